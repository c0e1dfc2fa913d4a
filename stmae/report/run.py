"""What became of a pipeline run: its steps, the first failure, and where the artifacts are."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 10.0
"""Longest wait for the Kubeflow Pipelines API."""
OUTPUT = "executor_output.json"
"""File that a finished step leaves in its folder, in a local run."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    name: str
    state: str
    """As Kubeflow names it: SUCCEEDED, FAILED, SKIPPED, ..."""
    error: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """A run that has ended."""

    pipeline: str
    dataset: str
    run: str
    state: str
    error: str
    artifacts: str
    """Where the artifacts of all steps are."""
    steps: list[Step]
    note: str = ""
    """Why the steps are not known, where they are not."""

    @classmethod
    def of(
        cls, *, pipeline: str, dataset: str, run: str, state: str, error: str, artifact: str, kubeflow_api: str
    ) -> RunReport:
        """Finds out which steps ran.

        Args:
            pipeline: Name of the pipeline.
            dataset: Name of the configuration.
            run: Identifier of the run.
            state: The final state: SUCCEEDED, FAILED or CANCELLED.
            error: What the orchestrator says of a failure.
            artifact: URI of the report, from which those of the other artifacts follow.
            kubeflow_api: Address of the Kubeflow Pipelines API; empty for a local run, whose folders tell.
        """
        # <root>/<run>/<step>/<execution>/<artifact> on a cluster, <root>/<step>/<artifact> in a local run
        before, known, _ = artifact.partition(f"/{run}/")
        artifacts = f"{before}/{run}" if known else artifact.rsplit("/", 2)[0]
        steps, note = list(_in_folder(Path(artifacts))), ""
        if not steps:
            steps, note = _asked(kubeflow_api, run)
        return cls(
            pipeline=pipeline,
            dataset=dataset,
            run=run,
            state=state,
            error=error,
            artifacts=artifacts,
            steps=steps,
            note=note,
        )

    @property
    def failed(self) -> list[Step]:
        return [step for step in self.steps if step.state == "FAILED"]

    def to_json(self) -> str:
        """Returns one line for the log."""
        table = {"event": "run", **dataclasses.asdict(self), "failed": [step.name for step in self.failed]}
        return json.dumps(table, sort_keys=True)

    def to_markdown(self) -> str:
        """Returns a page for the Kubeflow interface."""
        lines = [f"# {self.pipeline}, {self.dataset}: {self.state}", ""]
        lines += [f"Run `{self.run}`. Artifacts: `{self.artifacts}`", ""]
        lines += [f"Failed: {', '.join(step.name for step in self.failed)}", ""] if self.failed else []
        lines += [f"```\n{self.error}\n```", ""] if self.error else []
        lines += [f"The steps are not known here: {self.note}", ""] if self.note else []
        if self.steps:
            lines += ["| step | state | error |", "|---|---|---|"]
            lines += [f"| {step.name} | {step.state} | {_cell(step.error)} |" for step in self.steps]
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _in_folder(root: Path, name: str = "") -> Iterator[Step]:
    """Yields the steps of a local run, those of loops too. A step that failed left its folder without OUTPUT."""
    if not root.is_dir():
        return
    for folder in sorted((each for each in root.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime):
        if folder.name.startswith("for-loop-"):
            turn = folder.name.rpartition("-")[2]
            yield from _in_folder(folder, f"{name}{turn}/")
        elif folder.name != "report-run":
            yield Step(name + folder.name, "SUCCEEDED" if (folder / OUTPUT).is_file() else "FAILED")


def _asked(kubeflow_api: str, run: str) -> tuple[list[Step], str]:
    """Returns the steps as the API lists them, or none and why."""
    if not kubeflow_api:
        return [], "no address of the Kubeflow Pipelines API (kubeflow_api in the site file)"
    address = f"{kubeflow_api.rstrip('/')}/apis/v2beta1/runs/{run}"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            details: list[dict[str, Any]] = json.load(answer)["run_details"]["task_details"]
        # Drivers and the loops' own entries have no pod of a component: they end with their last step.
        steps = [each for each in details if not each["display_name"].endswith("-driver")]
        return [Step(each["display_name"], each.get("state", "UNKNOWN"), _message(each)) for each in steps], ""
    except (OSError, KeyError, TypeError, ValueError) as error:
        return [], f"{address}: {error!r}"


def _message(task: dict[str, Any]) -> str:
    return str((task.get("error") or {}).get("message", ""))
