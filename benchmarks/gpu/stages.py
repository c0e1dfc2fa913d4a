"""Stages of a measurement: each runs in a process of its own, within a time box, and notes its figures as it goes."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import torch

DONE = "done"
LOG_LINES = 20
"""Lines of the log of a failed stage that are shown."""


class Notes:
    """What a stage has found so far, on file: it is there even if the stage is stopped."""

    def __init__(self, path: Path) -> None:
        self._path, self._began = path, time.monotonic()
        self._content: dict[str, Any] = {"figures": {}, "doing": "starting", "shortened": None}
        self._save()

    def put(self, **figures: Any) -> None:
        """Adds figures."""
        self._content["figures"] |= figures
        self._save()

    def doing(self, what: str) -> None:
        """Says what the stage does from now on, for the case that it is stopped."""
        self._content["doing"] = what
        self._save()

    def shortened(self, why: str) -> None:
        """Says that the stage does less than it should, and why."""
        self._content["shortened"] = why
        self._save()

    def failed(self, error: Exception) -> None:
        """Says why the stage has not come to its end."""
        self._content["error"] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        self._save()

    def seconds(self) -> float:
        """Returns the seconds since the stage began."""
        return time.monotonic() - self._began

    def _save(self) -> None:
        self._content["seconds"] = round(self.seconds(), 2)
        aside = self._path.with_suffix(".part")
        aside.write_text(json.dumps(self._content), encoding="utf-8")
        aside.replace(self._path)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A named function that is called with Notes and the arguments."""

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]


def side_by_side(stages: Sequence[Stage], folder: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """Runs stages side by side, stops those that are not done after `seconds`, and returns what each has found.

    A result has `figures`, `seconds`, `complete`, which says whether the stage came to its end, and `unfinished`, which
    is None or says what the stage has left out, and why. The logs of the stages lie in `folder`.
    """
    context = get_context("spawn")
    threads = max(torch.get_num_threads() // len(stages), 1)
    processes = {
        stage: context.Process(target=_work, args=(stage, _notes(folder, stage), _log(folder, stage), threads))
        for stage in stages
    }
    deadline = time.monotonic() + seconds
    try:
        for process in processes.values():
            process.start()
        for process in processes.values():
            process.join(max(deadline - time.monotonic(), 0))
        stopped = {stage for stage, process in processes.items() if process.is_alive()}
    finally:
        for process in processes.values():
            if process.is_alive():
                process.kill()
                process.join()
    return {
        stage.name: _result(folder, stage, process.exitcode, seconds if stage in stopped else None)
        for stage, process in processes.items()
    }


def _result(folder: Path, stage: Stage, exit_status: int | None, stopped_after: float | None) -> dict[str, Any]:
    notes = _notes(folder, stage)
    found: dict[str, Any] = {"figures": {}, "doing": "starting", "shortened": None, "seconds": 0.0}
    if notes.exists():
        found = json.loads(notes.read_text(encoding="utf-8"))
    complete, unfinished = found["doing"] == DONE, found["shortened"]
    if not complete and stopped_after is not None:
        unfinished = f"stopped after {stopped_after:.0f} s: {found['doing']}"
    elif not complete:
        path = _log(folder, stage)
        log = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        print(f"{stage.name} failed:", *log[-LOG_LINES:], sep="\n", file=sys.stderr)
        unfinished = f"failed: {found['doing']}: {found.get('error', f'exit status {exit_status}')}"
    return {key: found[key] for key in ("seconds", "figures")} | {"complete": complete, "unfinished": unfinished}


def _notes(folder: Path, stage: Stage) -> Path:
    return folder / f"{stage.name}.json"


def _log(folder: Path, stage: Stage) -> Path:
    return folder / f"{stage.name}.log"


def _work(stage: Stage, notes: Path, log: Path, threads: int) -> None:
    """Runs in the stage's own process."""
    with log.open("w", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    found = Notes(notes)
    try:
        stage.function(found, *stage.arguments)
    except Exception as error:
        found.failed(error)
        raise
    found.doing(DONE)
