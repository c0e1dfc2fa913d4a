"""Synthetic raw scores of a lane of walkers, 10 frames a second, and short cuts from raw scores to scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from stmae.evaluation.fitting import NormalClip, fit_calibration, fit_normality
from stmae.scoring.calibration import Calibration, ScoredFrames
from stmae.scoring.normality import FrameValues, NormalityModel
from stmae.scoring.raw import RawScores

FPS = 10.0
LANE = 12
"""Row of tiles in which people walk to the right, 1 pixel a frame. Nothing moves in the other rows."""
PLACE = (5, 9)
"""Row and column of the tile at which `with_tile` makes something anomalous."""
FRAMES_A_TILE = 16
FRAMES_A_WALKER = 80
"""Mean distance of one walker to the next."""

TileIndex = tuple[int | slice, int | slice]


def walkers(frames: int, seed: int) -> RawScores:
    """Returns raw scores of normal footage. Where somebody walks, the error is 3 and the distance 5 times as high."""
    random = np.random.default_rng(seed)
    walking = np.zeros((frames, 16), bool)
    crossing = 16 * FRAMES_A_TILE
    starts = random.integers(-crossing, max(frames, 1), round((frames + crossing) / FRAMES_A_WALKER))
    for start in starts:
        shown = np.arange(max(start, 0), min(start + crossing, frames))
        walking[shown, (shown - start) // FRAMES_A_TILE] = True
    moves = np.zeros((frames, 16, 16), bool)
    moves[:, LANE] = walking
    flow = np.zeros((frames, 2, 16, 16))
    flow[:, 0] = np.where(moves, random.normal(1.0, 0.1, moves.shape), 0)
    errors = 1e-4 * np.exp(random.normal(0, 0.3, moves.shape)) * np.where(moves, 3, 1)
    distances = np.exp(random.normal(0, 0.2, moves.shape)) * np.where(moves, 5, 1)
    return RawScores(
        psnr=(-10 * np.log10(errors.mean(axis=(1, 2)))).astype(np.float32),
        memory_distance=random.random((frames, 2)).astype(np.float32),
        error_tiles=errors.astype(np.float32),
        location_tiles=distances.astype(np.float32),
        feature_tiles=(0.2 * np.exp(random.normal(0, 0.2, moves.shape))).astype(np.float32),
        flow_tiles=flow.astype(np.float32),
    )


def with_tile(
    raw: RawScores, name: str, frames: slice, value: float | tuple[float, float], at: TileIndex = PLACE
) -> RawScores:
    """Returns the raw scores with another value in a field's tiles; for `flow_tiles` it is a velocity (x, y)."""
    tiles = getattr(raw, name).copy()
    tiles[(frames, ..., *at)] = np.reshape(value, (-1,) + (1,) * sum(isinstance(each, slice) for each in at))
    return dataclasses.replace(raw, **{name: tiles})


def times_tile(raw: RawScores, name: str, frames: slice, factor: float, at: TileIndex = PLACE) -> RawScores:
    """Returns the raw scores with a field's tiles multiplied by a factor."""
    tiles = getattr(raw, name).copy()
    tiles[(frames, ..., *at)] *= factor
    return dataclasses.replace(raw, **{name: tiles})


def fit(
    calibration: Sequence[RawScores], training: Sequence[RawScores] = (), *, fps: float = FPS, event_hours: float = 0.1
) -> tuple[NormalityModel, Calibration]:
    """Fits both to clips whose raw scores are all there. Events of at least 0.2 s, 0.5 s apart, are told apart."""
    model, values = fit_normality(
        [NormalClip.of(raw) for raw in calibration], [NormalClip.of(raw) for raw in training], fps=fps
    )
    return model, fit_calibration(values, fps=fps, event_hours=event_hours, min_seconds=0.2, merge_seconds=0.5)


def values_of(model: NormalityModel, raw: RawScores) -> FrameValues:
    """Returns the values of a stream that is given in one part of at least one frame."""
    return FrameValues.join(list(model.frame_values([raw])))


def scores_of(model: NormalityModel, calibration: Calibration, raw: RawScores) -> ScoredFrames:
    """Returns the scores of a stream that is given in one part of at least one frame."""
    return ScoredFrames.join(list(calibration.scores(model.frame_values([raw]))))
