"""Runs of a pipeline on this machine: the same DAG, with its steps as processes, one after another."""

import contextlib
import datetime
import hashlib
import json
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp import local
from kfp.dsl.graph_component import GraphComponent

from pipelines.steps import StepLog, Stopped, open_log
from pipelines.study import study as study_pipeline
from pipelines.train import train


class RunError(RuntimeError):
    """Raised where a run did not complete; the message names the step, its last lines and what was kept."""


def run_train(config: str, *, data_root: Path, workspace: Path, repository: Path, runtime: Path) -> Path:
    """Runs the training pipeline and writes `summary.json` into the run's folder.

    Args:
        config: The resolved configuration as JSON.
        data_root: Folder with the footage.
        workspace: Holds `runs/train/<name>-<time>/`.
        repository: The Triton repository that is served here. The models store is `<workspace>/models`.
        runtime: Folder of the embedded Triton runtime.

    Returns:
        The path of `summary.json`.

    Raises:
        RunError: A step failed.
        OSError: The workspace cannot be written.
    """
    name = json.loads(config)["name"]
    folder = _begin(workspace, "train", name, config)
    arguments = {
        "config": config,
        "data_root": str(data_root.resolve()),
        "data_version": data_version(data_root),
        "models": str((workspace / "models").resolve()),
        "repository": str(repository.resolve()),
        "runtime": str(runtime.resolve()),
    }
    outputs, seconds = _execute(train, folder, arguments, {})
    evaluation = Path(outputs["evaluation"].path)
    report = folder / "evaluation.html"
    shutil.copyfile(outputs["report"].path, report)
    summary = {
        "run": str(folder),
        "config": name,
        "figures": _load(evaluation / "evaluation.json")["figures"],
        "seconds_by_step": seconds,
        "evaluation_report": str(report),
        "evaluation": str(evaluation / "evaluation.json"),
        "repository": arguments["repository"],
        "deployments": {
            path.stem.replace("calibration", name, 1): str(path)
            for path in sorted(evaluation.glob("calibration*.json"))
        },
    }
    return _finish(folder, name, summary)


def run_study(study: str, config: str, seeds: list[dict[str, Any]], *, data_root: Path, workspace: Path) -> Path:
    """Runs the study pipeline and writes `summary.json` into the run's folder.

    Args:
        study: Name of the study; stmae/evaluation/study.py has them all.
        config: The resolved configuration as JSON.
        seeds: The study's seeds and variants.
        data_root: Folder with the footage.
        workspace: Holds `runs/<study>/<name>-<time>/`.

    Returns:
        The path of `summary.json`.

    Raises:
        RunError: A step failed; the message names the variant too.
        OSError: The workspace cannot be written.
    """
    began = time.monotonic()
    resolved = json.loads(config)
    folder = _begin(workspace, study, resolved["name"], config)
    arguments = {
        "study": study,
        "config": config,
        "seeds": seeds,
        "data_root": str(data_root.resolve()),
        "data_version": data_version(data_root),
    }
    outputs, seconds = _execute(study_pipeline, folder, arguments, _iteration_names(seeds))
    table = _load(Path(outputs["table"].path) / "study.json")
    shutil.copyfile(outputs["report"].path, folder / "study.html")
    summary = {
        "run": str(folder),
        "study": study,
        "config": resolved["name"],
        "reader": resolved["data"]["reader"],
        "seeds": table["seeds"],
        "figures": table["figures"],
        "variants": [_with_page(folder, variant) for variant in table["variants"]],
        "seconds": round(time.monotonic() - began, 1),
        "seconds_by_step": seconds,
        "study_report": str(folder / "study.html"),
    }
    return _finish(folder, resolved["name"], summary)


def _iteration_names(seeds: list[dict[str, Any]]) -> dict[tuple[int, ...], str]:
    """Returns names of the iterations over seeds and over variants, by their indices from the outer loop on."""
    names: dict[tuple[int, ...], str] = {}
    for outer, seed in enumerate(seeds):
        names[(outer,)] = f"seed {seed['seed']}"
        for inner, variant in enumerate(seed["variants"]):
            names[outer, inner] = f"{variant['name']} seed {seed['seed']}"
    return names


def _with_page(folder: Path, variant: dict[str, Any]) -> dict[str, Any]:
    """Copies the variant's evaluation report to the run's folder and returns the variant with its path."""
    evaluation = Path(variant["evaluation"])
    page = folder / f"{variant['name']}-seed{variant['seed']}.html"
    shutil.copyfile(evaluation.with_name("report"), page)  # artifacts of a step lie side by side
    return variant | {"evaluation": str(evaluation / "evaluation.json"), "evaluation_report": str(page)}


def _begin(workspace: Path, pipeline: str, name: str, config: str) -> Path:
    folder = new_folder(workspace / "runs" / pipeline, name)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")
    return folder


def _finish(folder: Path, name: str, summary: dict[str, Any]) -> Path:
    text = json.dumps(summary, indent=2) + "\n"
    _write(folder / "summary.json", text)
    _write(folder.parent / f"latest-{name}.json", text)
    return folder / "summary.json"


def new_folder(parent: Path, name: str) -> Path:
    """Makes a folder of its own for a run, also where several runs start in the same second, and returns it."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    parent = parent.resolve()
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (f"{name}-{stamp}" if number == 1 else f"{name}-{stamp}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def data_version(data_root: Path) -> str:
    """Returns the SHA-256 (hex) over the names and sizes of the files below `data_root`; "" where there is no folder.

    This is cheap enough for terabytes of footage. The content is hashed when the dataset is prepared.
    """
    if not data_root.is_dir():
        return ""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(data_root):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            digest.update(os.fsencode(path.relative_to(data_root)) + f"\0{path.lstat().st_size}\n".encode())
    return digest.hexdigest()


def _execute(
    pipeline: GraphComponent, folder: Path, arguments: dict[str, Any], iteration_names: Mapping[tuple[int, ...], str]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Runs the pipeline and returns its outputs and the seconds that each step took."""
    # These outlive the run: one that was stopped, or a study with more seeds, does only what is not done yet.
    for name in ("checkpoints", "flow"):
        os.environ.setdefault(f"STMAE_{name.upper()}", str(folder.parents[2] / name))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    _adapt(pipeline)
    with open_log(folder / "run.log") as log:
        steps = StepLog(log, sys.stderr, iteration_names)
        try:
            with contextlib.redirect_stdout(steps), warnings.catch_warnings():  # type: ignore[type-var]
                warnings.simplefilter("ignore")  # kfp warns of the image and of resources, which only a cluster grants
                logging.captureWarnings(False)
                return dict(pipeline(**arguments).outputs), steps.seconds
        except (RuntimeError, Stopped) as error:
            if steps.failed is None:
                raise
            kept = ", ".join(steps.seconds) or "no step"
            raise RunError(
                f"step {steps.failed} failed:\n\n{steps.error()}\n\n"
                f"kept: the artifacts of {kept} in {folder}, and all that was printed in {folder / 'run.log'}"
            ) from error


def _adapt(pipeline: GraphComponent) -> None:
    """Removes retries and parallel loops from the pipeline, which a local run has no use for.

    A step that fails on one machine fails again, hours later; retries are for the lost nodes of a cluster. Two
    trainings at once on one machine take as long as one after the other.
    """
    spec = pipeline.pipeline_spec
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            task.ClearField("retry_policy")
            if task.HasField("iterator_policy"):
                task.iterator_policy.parallelism_limit = 1


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _write(path: Path, text: str) -> None:
    """Writes aside, then renames, so that a reader never sees half a file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
