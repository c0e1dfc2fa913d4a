"""RawScores of made-up footage, of which it is known what is usual and what is odd; 10 frames a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from stmae.scoring.calibration import Calibration, fit_calibration
from stmae.scoring.raw import RawScores

FPS = 10.0
PLACE = (5, 9)
"""Row and column of the tile at which something odd is."""


def calm(frames: int, seed: int) -> RawScores:
    """A calm scene: errors and distances vary a little; in row 12 people walk to the right."""
    random = np.random.default_rng(seed)
    errors = 1e-4 * np.exp(random.normal(0, 0.3, (frames, 16, 16)))
    flow = np.zeros((frames, 2, 16, 16))
    walking = random.random((frames, 16)) < 0.3
    flow[:, 0, 12] = np.where(walking, random.normal(1.0, 0.1, (frames, 16)), 0)
    return RawScores(
        psnr=(-10 * np.log10(errors.mean(axis=(1, 2)))).astype(np.float32),
        memory_distance=random.random((frames, 2)).astype(np.float32),
        error_tiles=errors.astype(np.float32),
        location_tiles=np.exp(random.normal(0, 0.2, (frames, 16, 16))).astype(np.float32),
        feature_tiles=(0.2 * np.exp(random.normal(0, 0.2, (frames, 16, 16)))).astype(np.float32),
        flow_tiles=flow.astype(np.float32),
    )


def with_tile(evidence: RawScores, name: str, frames: slice, value: float | tuple[float, float]) -> RawScores:
    """The same with another value at PLACE."""
    tiles = getattr(evidence, name).copy()
    tiles[(frames, ..., *PLACE)] = value
    return dataclasses.replace(evidence, **{name: tiles})


def fit(
    heldout: Sequence[RawScores], smoothing_seconds: float = 0.0, training: Sequence[RawScores] = ()
) -> Calibration:
    """Events start above all but a hundredth of the frames. Unless said otherwise, training clips moved alike."""
    return fit_calibration(
        heldout,
        [FPS] * len(heldout),
        [(part.flow_tiles, FPS) for part in training or heldout],
        [(part, FPS) for part in training],
        smoothing_seconds=smoothing_seconds,
        enter_quantile=0.99,
        exit_quantile=0.9,
        min_seconds=0.2,
        merge_seconds=0.5,
    )
