"""The calibration split: which part of the normal footage is kept from training, to calibrate scores on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stmae.datasets.footage import Footage
from stmae.datasets.manifest import DatasetError, Manifest
from stmae.scoring.raw import CLIP_FRAMES

MIN_SCORED = 2
"""Fewest scored frames of a scene's calibration clips; fewer have no spread to fit."""


def calibration_names(train: Sequence[Footage], fraction: float) -> frozenset[str]:
    """Returns the names of the clips that form the calibration split.

    They are at least `fraction` of each scene's training clips, spread evenly. None is chosen from a scene with a
    single clip, whose end is used instead.
    """
    names: set[str] = set()
    for scene in {item.scene for item in train}:
        clips = [item.name for item in train if item.scene == scene]
        count = math.ceil(fraction * len(clips) - 1e-9) if len(clips) > 1 else 0
        names.update(clips[int((i + 0.5) * len(clips) / count)] for i in range(count))
    return frozenset(names)


def calibration_frames(frames: int, fraction: float) -> int:
    """Returns how many frames at the end of a scene's single training clip form the calibration split."""
    return max(CLIP_FRAMES + MIN_SCORED, math.ceil(fraction * frames))


def check_calibration(manifest: Manifest) -> None:
    """Raises DatasetError where a scene has too few calibration frames that get a score."""
    for scene in manifest.scenes:
        clips = [clip for clip in manifest.split("calibration") if clip.scene == scene]
        scored = sum(clip.frames - CLIP_FRAMES for clip in clips)
        if scored < MIN_SCORED:
            raise DatasetError(
                f"{', '.join(clip.source for clip in clips)}: the calibration split has {scored} frames that get a "
                f"score and needs {MIN_SCORED}; add longer clips or raise data.calibration_fraction"
            )
