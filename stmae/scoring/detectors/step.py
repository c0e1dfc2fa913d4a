"""Averages over a step: legs swing and flow errs, so that a single frame says little of how somebody moves."""

from __future__ import annotations

import numpy as np

from stmae.scoring.raw import STILL_SPEED, Floats

STEP_SECONDS = 0.3
"""Reach of the average before and after a frame: together about the time that a step takes."""


def step_average(values: Floats, flow_tiles: Floats, fps: float) -> Floats:
    """Returns values [F,c,16,16] averaged over the frames within STEP_SECONDS in which the tile moves the same way.

    Frames in which it moves the other way show somebody else, and are left out; a tile that is still has 0.
    """
    moves = (flow_tiles * flow_tiles).sum(axis=1) > STILL_SPEED**2
    total, count = np.zeros(values.shape), np.zeros((len(values), 1, *values.shape[2:]))
    reach = min(round(STEP_SECONDS * fps), len(values) - 1)
    for shift in range(-reach, reach + 1):
        now, then = (slice(max(by, 0), len(values) + min(by, 0)) for by in (-shift, shift))
        same_way = (flow_tiles[now] * flow_tiles[then]).sum(axis=1) > 0
        counted = (moves[then] & same_way)[:, None]
        total[now] += counted * values[then]
        count[now] += counted
    return np.where(moves[:, None], total / np.maximum(count, 1), 0.0)
