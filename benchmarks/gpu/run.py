"""The measurement: prepare Ped2, time the served graph and the training step, then train several seeds side by side."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import serving, training
from benchmarks.gpu.folder import check
from benchmarks.gpu.stages import Stage, side_by_side
from benchmarks.record import code_digest, environment
from stmae.config import load

FILE = "gpu.json"
BOXES = {"prepare": 0.15, "serving": 0.2, "step": 0.1}
"""Largest fractions of the time; the trainings have what these leave."""
CLOSING = 0.02
"""Fraction of the time that is kept for the end."""


def measure(data: Path, out: Path, seeds: Sequence[int], seconds: float, overrides: Sequence[str], command: str) -> int:
    """Writes `<out>/gpu.json`, anew after each stage; returns 0 if all stages came to their end, else 1.

    The stages `prepare`, `serving` and `step` run one after another, and a stage `seed-<n>` for each seed side by side.
    Stages that need the prepared data set are left out where it was not finished. Raises DatasetError where `data` is
    no assembled folder.
    """
    check(data)
    began = time.monotonic()
    # The package with the weights of other features is not there, and too large to travel with the frames.
    config = load("ped2", ["model.features=gradients", *overrides])
    # Checkpoints of another run would shorten a training that is timed.
    os.environ.pop("STMAE_CHECKPOINTS", None)
    measured: dict[str, Any] = {
        "command": command,
        "code": code_digest(),
        **environment(),
        "config": json.loads(config.to_json()),
        "stages": {},
    }

    def left() -> float:
        return seconds * (1 - CLOSING) - (time.monotonic() - began)

    with tempfile.TemporaryDirectory(prefix="stmae-gpu-") as folder:
        work = Path(folder)

        def run(stages: Sequence[Stage], box: float) -> bool:
            """Runs stages and writes what they found; returns whether all came to their end."""
            results = side_by_side(stages, work, max(box, 0))
            for seed in seeds:
                if f"seed-{seed}" in results:
                    results[f"seed-{seed}"]["figures"] |= training.reached(work, seed)
            measured["stages"] |= results
            _write(out / FILE, measured)
            for name, result in results.items():
                print(f"{name:10} {result['seconds']:6.1f} s  {result['unfinished'] or ''}", file=sys.stderr)
            return all(result["complete"] for result in results.values())

        done = run([Stage("prepare", training.prepare_dataset, (config, data, work))], BOXES["prepare"] * seconds)
        timed = Stage("serving", serving.speeds, (config,))
        complete = run([timed], min(BOXES["serving"] * seconds, left())) and done
        if done:
            stepped = Stage("step", training.time_step, (config, work))
            complete = run([stepped], min(BOXES["step"] * seconds, left())) and complete
            box = left()
            trained = [
                Stage(f"seed-{seed}", training.train_seed, (dataclasses.replace(config, seed=seed), work, box))
                for seed in seeds
            ]
            complete = run(trained, box) and complete
    print(out / FILE)
    return 0 if complete else 1


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)
