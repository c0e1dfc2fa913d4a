"""Run the training pipeline on this machine: the same DAG, its steps as processes, one after another."""

import contextlib
import datetime
import hashlib
import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from kfp import local

from pipelines.steps import StepLog, open_log
from pipelines.train import train


class RunError(RuntimeError):
    """A run that did not complete; the message names the step, its last lines and what was kept."""


def run(config: str, *, data_root: Path, workspace: Path, repository: Path, runtime: Path) -> Path:
    """Run every step and write `summary.json` into the run's folder.

    Args:
        config: The resolved configuration as JSON.
        data_root: Folder with the footage.
        workspace: Holds `runs/train/<name>-<time>/`.
        repository: The Triton model repository to publish to.
        runtime: Folder of the embedded Triton runtime.

    Returns:
        The path of `summary.json`.

    Raises:
        RunError: A step failed.
        OSError: The workspace cannot be written.
    """
    name = json.loads(config)["name"]
    folder = new_folder(workspace / "runs" / "train", name)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")
    with open_log(folder / "run.log") as log:
        steps = StepLog(log, sys.stderr)
        arguments = {
            "config": config,
            "data_root": str(data_root.resolve()),
            "data_version": data_version(data_root),
            "repository": str(repository.resolve()),
            "runtime": str(runtime.resolve()),
        }
        outputs = _execute(steps, folder, arguments)
    evaluation = Path(outputs["evaluation"].path)
    report = folder / "evaluation.html"
    shutil.copyfile(outputs["report"].path, report)
    summary = {
        "run": str(folder),
        "config": name,
        "figures": json.loads((evaluation / "evaluation.json").read_text(encoding="utf-8"))["figures"],
        "seconds_by_step": steps.seconds,
        "evaluation_report": str(report),
        "evaluation": str(evaluation / "evaluation.json"),
        "calibration": str(evaluation / "calibration.json"),
        "repository": arguments["repository"],
        "deployment": name,
    }
    text = json.dumps(summary, indent=2) + "\n"
    _write(folder / "summary.json", text)
    _write(folder.parent / f"latest-{name}.json", text)
    return folder / "summary.json"


def new_folder(parent: Path, name: str) -> Path:
    """Make this run's own folder, also when several runs start in the same second."""
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
    """SHA-256 (hex) over the names and sizes of the files below `data_root`; "" where there is no folder.

    Cheap enough for terabytes of footage; the content is hashed when the dataset is prepared.
    """
    if not data_root.is_dir():
        return ""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(data_root):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            digest.update(f"{path.relative_to(data_root)}\0{path.lstat().st_size}\n".encode())
    return digest.hexdigest()


def _execute(steps: StepLog, folder: Path, arguments: dict[str, str]) -> dict[str, Any]:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder))
    # Retries are for lost nodes and full disks of a cluster; here a failed step fails again, hours later.
    for task in train.pipeline_spec.root.dag.tasks.values():
        task.ClearField("retry_policy")
    try:
        with contextlib.redirect_stdout(steps), warnings.catch_warnings():  # type: ignore[type-var]
            warnings.simplefilter("ignore")  # the image's name, and resources that only a cluster grants
            logging.captureWarnings(False)
            return dict(train(**arguments).outputs)
    except RuntimeError as error:
        if steps.failed is None:
            raise
        kept = ", ".join(steps.seconds) or "no step"
        raise RunError(
            f"step {steps.failed} failed:\n\n{steps.error()}\n\n"
            f"kept: the artifacts of {kept} in {folder}, and all that was printed in {folder / 'run.log'}"
        ) from error


def _write(path: Path, text: str) -> None:
    """Write aside, then rename: a reader never sees half a file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
