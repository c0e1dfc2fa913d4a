"""What each constant of the score is worth: frame AUC with other values of it, on synthetic films of fresh seeds."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.scoring.detectors import evaluated
from benchmarks.scoring.sets import COFFEE_ROOM, FRESH, SLOW, trained
from stmae import scoring
from stmae.evaluation import fitting
from stmae.scoring.detectors import motion

CHANGES: dict[str, tuple[float, float]] = {
    "raw.STILL_SPEED": (0.1, 0.4),
    "step.STEP_SECONDS": (0.15, 0.6),
    "motion.DIRECTIONS": (8, 32),
    "motion.SPEEDS": (12, 48),
    "motion.SPEED_RATIO": (0.11, 0.44),
    "motion.STEEPNESS": (3.0, 12.0),
    "motion.PRIOR_FRAMES": (8.0, 32.0),
    "persistence.BEFORE_SECONDS": (2.25, 9.0),
    "persistence.AFTER_SECONDS": (0.5, 2.0),
    "persistence.MAX_DEVIATION": (15.0, 60.0),
    "pvalues.BODY_QUANTILES": (10, 40),
    "pvalues.MIN_SCALE": (5e-4, 2e-3),
    "normality.BACKGROUND_SECONDS": (295.0, 1180.0),
    "fitting.TILE_THRESHOLD": (0.98, 0.995),
    "calibration.SMOOTHING_SECONDS": (0.2, 0.8),
    "fitting.FRAME_THRESHOLD": (0.8, 0.95),
    "fitting.FRAME_SHAPE": (0.0, 0.5),
    "fitting.DECLUSTER_SECONDS": (2.5, 10.0),
    "fitting.TAIL_PEAKS": (15, 60),
    "fitting.FOLDS": (2, 10),
    "fitting.FEWEST_TILES": (500, 2000),
}
"""Half and twice of each constant that a frame's score depends on; for probabilities, of what they leave over."""
NO_SCORE_DEPENDS_ON = {
    "raw.CLIP_FRAMES": "of the paper; the served model depends on it",
    "raw.TILES": "the served model depends on it",
    "raw.MOTION_FRAME_SIZE": "the served model depends on it",
    "stream.BLOCK": "tests show that no score depends on it",
    "scoring.CLAIM": "tells how far return periods are claimed",
    "events.EXIT_RATIO": "tells where an event ends",
    "localization.BOX_LEVEL": "tells how large a box is",
}
"""The other constants of the score, and why a frame's AUC cannot say what they are worth."""
SETS = (*FRESH, SLOW, COFFEE_ROOM)


def ablation(data_root: Path, work: Path) -> dict[str, Any]:
    """Returns the raw frame AUCs on each of SETS (with the first seed): as shipped, and with each change."""
    measures = [trained(one, one.seeds[0], data_root, work) for one in SETS]

    def aucs() -> list[float]:
        return [evaluated(measure)["combined_auc_micro_raw"] for measure in measures]

    figures: dict[str, Any] = {"sets": [one.name for one in SETS], "as shipped": aucs()}
    shipped = float(np.mean(figures["as shipped"]))
    print(f"as shipped {shipped:.4f}", flush=True)
    for name, values in CHANGES.items():
        for value in values:
            with changed(name, value):
                figures[f"{name} = {value:g}"] = aucs()
            difference = float(np.mean(figures[f"{name} = {value:g}"])) - shipped
            print(f"{name} = {value:g}: {difference:+.4f}", flush=True)
    return figures


@contextlib.contextmanager
def changed(name: str, value: float) -> Iterator[None]:
    """Gives a constant another value in every module that uses it."""
    constant = name.rpartition(".")[2]
    users = [module for module in _modules() if hasattr(module, constant)]
    before = getattr(users[0], constant)
    try:
        _set(users, constant, value)
        yield
    finally:
        _set(users, constant, before)


def _set(modules: list[ModuleType], constant: str, value: float) -> None:
    for module in modules:
        setattr(module, constant, value)
    motion.SPEED = motion.STILL_SPEED * np.exp(motion.SPEED_RATIO * np.arange(motion.SPEEDS))


def _modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(scoring.__path__, "stmae.scoring.")
    return [*(importlib.import_module(module.name) for module in found), fitting]
