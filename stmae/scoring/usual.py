"""What is usual at each tile of a camera's view: ranges, velocities, and how fast a share of tiles falls off.

numpy only. Legend: F frames, 256 tiles in rows of 16, V velocity bins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from stmae.scoring.raw import STILL_SPEED as STILL
from stmae.scoring.raw import TILES

Floats = npt.NDArray[np.floating]

MAX_SPREADS = 30.0
DIRECTIONS = 16
SPEED_STEP = 0.22
"""Logarithm of the ratio of one bin's speed to the next one's."""
SPEED_BINS = 24
"""From STILL to 150 times that."""
BINS = DIRECTIONS * SPEED_BINS
FLOW_ERROR = 0.1
"""Pixels by which the flow of a tile is wrong: what is faster by no more is not faster, and what is slow has no sure
direction."""
STEEPNESS = 12.0
"""Twice as fast as anything seen is about 2 ** STEEPNESS times as unlikely."""
SPEED_PRIOR = 100.0
"""Samples that the speeds of the whole view count for in each row, so that a row seldom crossed borrows them."""
DIRECTION_PRIOR = 100.0
"""... and that its directions count for at each tile and speed. One passer-by leaves more, being in a tile for many
frames and spread over the bins around: who goes where few went is not yet odd, who comes back where many went is."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)
"""Knots of a tail."""


@dataclasses.dataclass(frozen=True, slots=True)
class Usual:
    """Median and spread of a quantity at each tile; a spread is at least the median tile's."""

    median: Floats
    """[256]."""
    spread: Floats
    """[256]."""

    @classmethod
    def fit(cls, values_F256: Floats) -> Self:
        median = np.median(values_F256, axis=0)
        spread = 1.4826 * np.median(np.abs(values_F256 - median), axis=0)
        return cls(median, np.maximum(spread, max(float(np.median(spread)), 1e-6)))

    def deviation(self, values_F256: Floats) -> Floats:
        """In spreads, upwards; within +-MAX_SPREADS."""
        return np.clip((values_F256 - self.median) / self.spread, -MAX_SPREADS, MAX_SPREADS)


@dataclasses.dataclass(frozen=True, slots=True)
class Velocities:
    """How often each velocity was seen at each tile, given that something moved."""

    counts: Floats
    """[256, V] samples, V = DIRECTIONS x SPEED_BINS."""

    @classmethod
    def fit(cls, flows: Sequence[Floats]) -> Self:
        """Count the moving tiles of normal clips, flow tiles [F,2,16,16] in pixels."""
        counts = np.zeros((TILES * TILES, BINS))
        for flow in flows:
            _, tile, direction, speed = _moving(flow)
            np.add.at(counts, (tile, direction * SPEED_BINS + np.round(speed).astype(np.intp)), 1.0)
        return cls(counts)

    def less(self, part: Velocities) -> Velocities:
        """Without the samples of a part of the clips."""
        # Never below 0: a sample between two bins may fall into the other one when flow is computed in other runs, or
        # of fewer frames.
        return Velocities(np.maximum(self.counts - part.counts, 0.0))

    def surprise(self, flow: Floats) -> Floats:
        """[F,256]: how seldom anything went as fast in a tile's direction; 0 where nothing moves.

        -ln of the mean, over what was seen there, of min(1, (v + FLOW_ERROR) / |u|) ** STEEPNESS, where u is the tile's
        velocity and v the part of a seen one that goes in its direction: about the share that is at least as fast. So
        it rises with speed in every direction, and sooner in one that nobody takes.
        """
        frame, tile, direction, speed = _moving(flow)
        table = self._surprises()
        below = np.minimum(speed.astype(np.intp), SPEED_BINS - 2)
        low, high = table[tile, direction, below], table[tile, direction, below + 1]
        result = np.zeros((len(flow), TILES * TILES))
        result[frame, tile] = low + (high - low) * (speed - below)
        return result

    def _surprises(self) -> Floats:
        """[256, DIRECTIONS, SPEED_BINS]."""
        angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
        along = np.maximum(np.cos(angle[:, None] - angle), 0.0)
        speed = STILL * np.exp(SPEED_STEP * np.arange(SPEED_BINS))
        # Of the direction and speed that is asked for, the direction and speed that was seen.
        reached = (along[:, None, :, None] * speed + FLOW_ERROR) / speed[:, None, None]
        share = np.clip(reached, 0.02, 1.0) ** STEEPNESS
        mean = self._likelihood() @ share.reshape(BINS, BINS).T
        return np.asarray(-np.log(mean).reshape(-1, DIRECTIONS, SPEED_BINS))

    def _likelihood(self) -> Floats:
        """[256, V]: the share of a speed in its row times that of a direction at its tile, given the speed.

        How fast people go is a matter of how far away they are, where they go is one of the place: a lane that nobody
        was seen to hurry on says little against hurrying, one that nobody was seen to come back on much against it.
        """
        counts = self.counts.reshape(TILES, TILES, DIRECTIONS, SPEED_BINS)
        speeds = _spread_out(counts.sum(axis=(1, 2)), 0)
        speeds = _shares(speeds, speeds.sum(axis=0), SPEED_PRIOR, axis=1)
        around = counts
        for axis in (0, 1, 3):
            around = _spread_out(around, axis)
        directions = _shares(around, around.sum(axis=(0, 1)), DIRECTION_PRIOR, axis=2)
        return np.asarray((directions * speeds[:, None, None]).reshape(TILES * TILES, BINS))


@dataclasses.dataclass(frozen=True, slots=True)
class Tail:
    """From a value to its surprise among normal values: -ln of the share that is at least as high."""

    knots: Floats
    """Values at QUANTILES."""
    decay: float
    """Mean excess over the last knot."""
    support: float
    """Degrees of freedom, the clips it is known from less one: an exponential tail of many, a power law of few."""

    @classmethod
    def fit(cls, values: Floats, support: float) -> Self:
        knots = np.quantile(values, QUANTILES) + np.arange(len(QUANTILES)) * 1e-9  # np.interp wants them to rise
        beyond = values[values > knots[-1]] - knots[-1]
        span = float(knots[-1] - knots[0])
        return cls(knots, max(float(beyond.mean()) if len(beyond) else 0.0, 0.05 * span, 1e-6), support)

    def surprise(self, values: Floats) -> Floats:
        inside = np.interp(values, self.knots, -np.log(1 - np.array(QUANTILES)))
        beyond = np.maximum(values - self.knots[-1], 0) / self.decay
        # The share that is higher is (1 + beyond / support) ** -support, Lomax's: what is expected of an exponential
        # tail whose scale is only known from a few samples.
        return np.asarray(inside + self.support * np.log1p(beyond / self.support))


def steady(values: Floats, flow: Floats, sigma: float) -> Floats:
    """What is measured of what moves in each tile [F,c,16,16], averaged over `sigma` frames before and after.

    Legs swing, and flow [F,2,16,16] errs from frame to frame. Only what goes the same way counts: who comes the other
    way is someone else. What stands still has 0.
    """
    moves = (flow * flow).sum(axis=1) > STILL**2
    total, weight = np.zeros_like(values), np.zeros_like(values[:, :1])
    reach = min(round(3 * sigma), len(flow) - 1)
    for step in range(-reach, reach + 1):
        now, then = (slice(max(shift, 0), len(flow) + min(shift, 0)) for shift in (-step, step))
        along = (flow[now] * flow[then]).sum(axis=1) > 0
        share = (moves[then] & along)[:, None] * values.dtype.type(np.exp(-0.5 * (step / sigma) ** 2))
        total[now] += share * values[then]
        weight[now] += share
    return np.where(moves[:, None], total / np.maximum(weight, 1e-6), 0)


def flat(maps: Floats) -> Floats:
    """[F,16,16] -> [F,256], in double precision: what is fitted has to come back from JSON as it was."""
    return maps.reshape(len(maps), TILES * TILES).astype(np.float64)


def _moving(flow: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Of the tiles [F,2,16,16] that move: frame, tile, direction's bin, and speed in bins, with a fraction."""
    x, y = flat(flow[:, 0]), flat(flow[:, 1])
    speed = np.hypot(x, y)
    frame, tile = np.nonzero(speed > STILL)
    x, y, speed = x[frame, tile], y[frame, tile], speed[frame, tile]
    direction = np.round(np.arctan2(y, x) * (DIRECTIONS / (2 * np.pi))).astype(np.intp) % DIRECTIONS
    return frame, tile, direction, np.minimum(np.log(speed / STILL) / SPEED_STEP, SPEED_BINS - 1.0)


def _spread_out(counts: Floats, axis: int) -> Floats:
    """Add to each bin what its neighbours saw, less the farther they are (a Gaussian of one bin)."""
    bins, reach = counts.shape[axis], np.arange(-3, 4)
    padded = np.pad(np.moveaxis(counts, axis, 0), [(3, 3), *[(0, 0)] * (counts.ndim - 1)])
    spread = sum(
        weight * padded[3 + step : 3 + step + bins] for step, weight in zip(reach, np.exp(-0.5 * reach**2), strict=True)
    )
    return np.moveaxis(np.asarray(spread), 0, axis)


def _shares(counts: Floats, overall: Floats, prior: float, axis: int) -> Floats:
    """What each bin along an axis has of the samples, with `prior` more of which it has as much as overall."""
    even = 1.0 / counts.shape[axis]
    total = overall.sum(axis=axis - counts.ndim, keepdims=True)
    usual = (overall + even) / (total + 1)
    return np.asarray((counts + prior * usual) / (counts.sum(axis=axis, keepdims=True) + prior))
