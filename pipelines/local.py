"""Runs of a pipeline on this machine: the same DAG, with its steps as processes, one after another."""

import contextlib
import datetime
import json
import logging
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from kfp import dsl, local
from kfp.dsl.graph_component import GraphComponent

from components.report_run import report_run
from pipelines.request import Request
from pipelines.resources import POD
from pipelines.steps import StepLog, Stopped, open_log
from pipelines.study import study as study_pipeline
from pipelines.train import train


class RunError(RuntimeError):
    """Raised where a run did not complete; the message names the step, its last lines and what was kept."""


def run_train(request: Request, *, data_root: str, workspace: Path, repository: Path, runtime: Path) -> Path:
    """Runs the training pipeline and writes `summary.json` into the run's folder.

    Args:
        request: What is trained.
        data_root: Folder with the footage, or s3:// URI.
        workspace: Holds `runs/train/<name>-<time>/`.
        repository: The Triton repository that is served here. The models store is `<workspace>/models`.
        runtime: Folder of the embedded Triton runtime.

    Returns:
        The path of `summary.json`.

    Raises:
        RunError: A step failed.
        OSError: The workspace cannot be written.
    """
    folder = _begin(workspace, "train", request)
    arguments = {
        **request.parameters,
        "data_root": _location(data_root),
        "models": str((workspace / "models").resolve()),
        "repository": str(repository.resolve()),
        "runtime": str(runtime.resolve()),
        "signing_key": "",
    }
    root, seconds = _execute(train, folder, arguments, request)
    evaluation = root / "evaluate" / "evaluation"
    report = folder / "evaluation.html"
    shutil.copyfile(root / "evaluate" / "report", report)
    gate = _load(root / "gate" / "executor_output.json")
    reasons = gate["artifacts"]["report"]["artifacts"][0]["metadata"]["reasons"]
    if not gate["parameterValues"]["passed"]:
        print(f"published, not promoted (`stmae promote` does it all the same): {'; '.join(reasons)}", file=sys.stderr)
    summary = {
        "run": str(folder),
        "config": request.name,
        "figures": _load(evaluation / "evaluation.json")["figures"],
        "seconds_by_step": seconds,
        "evaluation_report": str(report),
        "evaluation": str(evaluation / "evaluation.json"),
        "models": arguments["models"],
        "promoted": gate["parameterValues"]["passed"],
        "gate": reasons,
        "repository": arguments["repository"],
        "deployments": {
            path.stem.replace("calibration", request.name, 1): str(path)
            for path in sorted(evaluation.glob("calibration*.json"))
        },
    }
    return _finish(folder, request.name, summary)


def run_study(request: Request, *, data_root: str, workspace: Path) -> Path:
    """Runs the study pipeline and writes `summary.json` into the run's folder.

    Args:
        request: The study.
        data_root: Folder with the footage, or s3:// URI.
        workspace: Holds `runs/<study>/<name>-<time>/`.

    Returns:
        The path of `summary.json`.

    Raises:
        RunError: A step failed; the message names the variant too.
        OSError: The workspace cannot be written.
    """
    began = time.monotonic()
    folder = _begin(workspace, request.study, request)
    arguments = {**request.parameters, "data_root": _location(data_root)}
    root, seconds = _execute(study_pipeline, folder, arguments, request)
    (table_folder,) = (path.parent for path in root.glob("compare*/table/study.json"))
    table = _load(table_folder / "study.json")
    shutil.copyfile(table_folder.with_name("report"), folder / "study.html")
    summary = {
        "run": str(folder),
        "study": request.study,
        "config": request.name,
        "reader": request.resolved["data"]["reader"],
        "seeds": table["seeds"],
        "figures": table["figures"],
        "variants": [_with_page(folder, variant) for variant in table["variants"]],
        "seconds": round(time.monotonic() - began, 1),
        "seconds_by_step": seconds,
        "study_report": str(folder / "study.html"),
    }
    return _finish(folder, request.name, summary)


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


def _location(data_root: str) -> str:
    """Returns a URI as it is, and a folder with its whole path: steps run in folders of their own."""
    return data_root if "://" in data_root else str(Path(data_root).resolve())


def _begin(workspace: Path, pipeline: str, request: Request) -> Path:
    folder = new_folder(workspace / "runs" / pipeline, request.name)
    (folder / "config.json").write_text(json.dumps(request.resolved, sort_keys=True) + "\n", encoding="utf-8")
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


def _execute(
    pipeline: GraphComponent, folder: Path, arguments: dict[str, Any], request: Request
) -> tuple[Path, dict[str, float]]:
    """Runs the pipeline; returns the folder with a folder for each step, and the seconds that each step took."""
    # These outlive the run: one that was stopped, or a study with more seeds, does only what is not done yet.
    for name in ("checkpoints", "flow"):
        os.environ.setdefault(f"STMAE_{name.upper()}", str(folder.parents[2] / name))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    _adapt(pipeline)
    with open_log(folder / "run.log") as log:
        steps = StepLog(log, sys.stderr, _iteration_names(request.variants))
        try:
            with contextlib.redirect_stdout(steps), warnings.catch_warnings():  # type: ignore[type-var]
                warnings.simplefilter("ignore")  # kfp warns of the image and of resources, which only a cluster grants
                logging.captureWarnings(False)
                pipeline(**arguments)
        except (RuntimeError, Stopped) as error:
            if steps.failed is None:
                raise
            with contextlib.redirect_stdout(log):
                _report_failure(pipeline.name, folder, request.name, steps)
            kept = ", ".join(steps.seconds) or "no step"
            raise RunError(
                f"step {steps.failed} failed:\n\n{steps.error()}\n\n"
                f"kept: the artifacts of {kept} in {folder}, and all that was printed in {folder / 'run.log'}"
            ) from error
    root = _root(folder, pipeline.name)
    shutil.copyfile(root / "report-run" / "report", folder / "run.md")
    return root, steps.seconds


def _report_failure(pipeline: str, folder: Path, name: str, steps: StepLog) -> None:
    """Reports as the exit handler does. It was not run: a run on one machine starts no step after a failure."""
    root = _root(folder, pipeline)
    report = root / "report-run" / "report"
    report.parent.mkdir(parents=True, exist_ok=True)
    report_run.python_func(
        pipeline=pipeline,
        dataset=name,
        run=root.name,
        kubeflow_api="",
        status=dsl.PipelineTaskFinalStatus(
            state="FAILED",
            pipeline_job_resource_name=root.name,
            pipeline_task_name=steps.failed or "",
            error_code=1,
            error_message=f"step {steps.failed} failed:\n{steps.error()}",
        ),
        report=dsl.Markdown(uri=str(report)),
    )
    shutil.copyfile(report, folder / "run.md")


def _root(folder: Path, pipeline: str) -> Path:
    """Returns kfp's folder in a run's own, which is missing until a step has written something."""
    return next(folder.glob(f"{pipeline}-*"), folder / pipeline)


def _adapt(pipeline: GraphComponent) -> None:
    """Removes from the pipeline what a local run has no use for: retries, parallel loops, the environment of pods.

    A step that fails on one machine fails again, hours later; retries are for the lost nodes of a cluster. Two
    trainings at once on one machine take as long as one after the other.
    """
    spec = pipeline.pipeline_spec
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            task.ClearField("retry_policy")
            if task.HasField("iterator_policy"):
                task.iterator_policy.parallelism_limit = 1
    for executor in spec.deployment_spec["executors"].values():
        variables = {each["name"]: each["value"] for each in executor["container"]["env"]}
        left = [{"name": name, "value": value} for name, value in variables.items() if not _of_pods(name)]
        executor["container"]["env"] = left


def _of_pods(variable: str) -> bool:
    return variable in POD or variable.startswith("AWS_")


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _write(path: Path, text: str) -> None:
    """Writes aside, then renames, so that a reader never sees half a file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
