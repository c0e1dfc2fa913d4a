"""What is usual at each tile of a camera's view: ranges, velocities, and how fast a share of tiles falls off.

numpy only. Legend: F frames, 256 tiles in rows of 16, V velocity bins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from stmae.score import TILES

Floats = npt.NDArray[np.floating]

MAX_SPREADS = 30.0
STILL = 0.2
"""Pixels a frame below which a tile does not move."""
BIN = 0.7
AT_ONCE = 65536
"""Moving tiles that are looked up together."""
BINS = 11
"""Bins an axis of velocity, over arsinh(pixels / STILL): fine where people walk, coarse where carts drive."""
KERNEL = 0.5
"""Width of the kernel around a bin, on the same axis."""
PRIOR = 30.0
"""Samples that the velocities of the whole view count for at each tile, so that a tile seldom crossed borrows them."""
QUANTILES = (0.5, 0.9, 0.99, 0.999)
"""Knots of a tail; beyond the last one it falls exponentially."""


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
    """How often each velocity was seen at each tile and around it, given that something moved."""

    counts: Floats
    """[256, V] samples, V = BINS * BINS bins of x and y."""

    @classmethod
    def fit(cls, flows: Sequence[Floats]) -> Self:
        """Count the moving tiles of normal clips, flow tiles [F,2,16,16] in pixels."""
        counts = np.zeros((TILES * TILES, BINS * BINS))
        for flow in flows:
            _, tile, x, y = _moving(flow)
            nearest = [np.abs(_axis(v)[:, None] - _centres()).argmin(axis=1) for v in (x, y)]
            np.add.at(counts, (tile, nearest[0] * BINS + nearest[1]), 1.0)
        return cls(counts)

    def surprise(self, flow: Floats) -> Floats:
        """[F,256]: -ln of the likelihood of each tile's velocity; 0 where nothing moves."""
        frame, tile, x, y = _moving(flow)
        likelihood = self._likelihood()
        result = np.zeros((len(flow), TILES * TILES))
        for start in range(0, len(x), AT_ONCE):
            run = slice(start, start + AT_ONCE)
            across, down = _offsets(x[run]), _offsets(y[run])
            away = (across[:, :, None] + down[:, None, :]).reshape(-1, BINS * BINS)
            # A bell for what was seen, and a heavy tail, so that twice as fast is odder than fast.
            kernel = np.exp(-0.5 * away) + 1e-4 / (1 + away) ** 1.5
            odds = (likelihood[tile[run]] * kernel).sum(axis=1)
            result[frame[run], tile[run]] = np.maximum(-np.log(odds), 0.0)
        return result

    def _likelihood(self) -> Floats:
        """[256, V]: counts of the tile and its neighbours, and PRIOR samples of the whole view."""
        around = _spread_out(self.counts.reshape(TILES, TILES, -1)).reshape(self.counts.shape)
        total = around.sum()
        overall = around.sum(axis=0) / total if total else np.full(BINS * BINS, 1 / BINS**2)
        return np.asarray((around + PRIOR * overall) / (around.sum(axis=1, keepdims=True) + PRIOR))


@dataclasses.dataclass(frozen=True, slots=True)
class Tail:
    """From a value to its surprise among normal values: -ln of the share that is at least as high."""

    knots: Floats
    """Values at QUANTILES."""
    decay: float
    """Mean excess over the last knot: the scale of an exponential tail."""

    @classmethod
    def fit(cls, values: Floats) -> Self:
        knots = np.quantile(values, QUANTILES) + np.arange(len(QUANTILES)) * 1e-9  # np.interp wants them to rise
        beyond = values[values > knots[-1]] - knots[-1]
        span = float(knots[-1] - knots[0])
        return cls(knots, max(float(beyond.mean()) if len(beyond) else 0.0, 0.05 * span, 1e-6))

    def surprise(self, values: Floats) -> Floats:
        inside = np.interp(values, self.knots, -np.log(1 - np.array(QUANTILES)))
        return np.asarray(inside + np.maximum(values - self.knots[-1], 0) / self.decay)


def flat(maps: Floats) -> Floats:
    """[F,16,16] -> [F,256], in double precision: what is fitted has to come back from JSON as it was."""
    return maps.reshape(len(maps), TILES * TILES).astype(np.float64)


def _moving(flow: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats, Floats]:
    """Frame, tile and x and y velocity of the tiles [F,2,16,16] that move."""
    x, y = flat(flow[:, 0]), flat(flow[:, 1])
    frame, tile = np.nonzero(np.hypot(x, y) > STILL)
    return frame, tile, x[frame, tile], y[frame, tile]


def _axis(velocity: Floats) -> Floats:
    return np.asarray(np.arcsinh(velocity / STILL))


def _offsets(velocity: Floats) -> Floats:
    """Squared distance from each bin along one axis, in kernel widths: [n] -> [n,BINS]."""
    return np.asarray(((_axis(velocity)[:, None] - _centres()) / KERNEL) ** 2)


def _centres() -> Floats:
    return (np.arange(BINS) - BINS // 2) * BIN


def _spread_out(counts_16_16_V: Floats) -> Floats:
    """Add to each tile what its neighbours saw, less the farther they are (a Gaussian of one tile)."""
    weight = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    for axis in (0, 1):
        counts_16_16_V = np.apply_along_axis(np.convolve, axis, counts_16_16_V, weight, "same")
    return counts_16_16_V
