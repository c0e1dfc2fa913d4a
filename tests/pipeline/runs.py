"""Running the real pipeline as a user does, on a few seconds of synthetic footage."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "model.size=32",
    "model.width=8",
    "model.features=gradients",
    "train.steps=8",
    "train.pretrain_fraction=1",
    "walkway.train_clips=3",
    "walkway.test_clips=2",
    "walkway.frames=30",
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished `python -m pipelines run`."""

    workspace: Path
    returncode: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        path = Path(self.stdout.splitlines()[-1])
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return loaded

    def artifact(self, step: str, name: str) -> Path:
        (folder,) = Path(self.summary["run"]).glob("stmae-train-*")
        return folder / step / name


def run_pipeline(workspace: Path, *arguments: str, config: str = "walkway", **environment: str) -> Run:
    """Run it as a user does. KFP_HOST of the machine is not inherited."""
    inherited = {key: value for key, value in os.environ.items() if key != "KFP_HOST"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipelines", "run", "--config", config),
            *("--workspace", str(workspace), *arguments),
        ],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(workspace, done.returncode, done.stdout, done.stderr)


def small(*more: str) -> list[str]:
    """Overrides for a run of a few seconds a step; `more` win."""
    return [part for override in (*SMALL, *more) for part in ("--set", override)]
