"""Motion: a tile moves faster than anything moved there, or in a direction that nobody takes.

It sees runners, vehicles, and who walks against the stream. It does not see what moves as others do, nor what stands
still. It needs footage in which the normal traffic is seen: a lane that stayed empty is judged by the view as a whole.

Legend: 256 tiles in rows of 16, D directions, V speeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from stmae.scoring.detectors.step import step_average
from stmae.scoring.raw import STILL_SPEED, TILES, Floats, RawScores

DIRECTIONS = 16
"""Bins of a full turn."""
SPEEDS = 24
"""Bins of speed, from STILL_SPEED to 150 times that."""
SPEED_RATIO = 0.22
"""Natural logarithm of the ratio of one bin's speed to the next one's."""
STEEPNESS = 6.0
"""A speed twice that of what was seen is taken for 2**STEEPNESS times as rare."""
PRIOR_SAMPLES = 100.0
"""Dirichlet pseudo-counts that back a rarely crossed row off to the view's speeds, and a rarely crossed tile to the
view's directions. One passer-by leaves more in a tile, being there for many frames."""

SPEED = STILL_SPEED * np.exp(SPEED_RATIO * np.arange(SPEEDS))


@dataclasses.dataclass(frozen=True, slots=True)
class MotionDetector:
    """Velocity histogram of each tile: how often which velocity was seen there, given that something moved."""

    counts: Floats
    """[256,D,V] frames."""

    @classmethod
    def fit(cls, flows: Sequence[Floats], fps: Sequence[float]) -> Self:
        """Counts the moving tiles of normal clips: flow tiles [F,2,16,16] in pixels, and their frames a second."""
        counts = np.zeros((TILES * TILES, DIRECTIONS, SPEEDS))
        for flow, rate in zip(flows, fps, strict=True):
            _, tile, direction, speed = _velocities(step_average(flow, flow, rate))
            np.add.at(counts, (tile, direction, np.round(speed).astype(np.intp)), 1.0)
        return cls(counts)

    def without(self, other: MotionDetector) -> MotionDetector:
        """Returns the detector had it not been fitted to the clips that `other` was fitted to."""
        # Never below 0: flow that is computed in other batches may put a sample into the neighbouring bin.
        return MotionDetector(np.maximum(self.counts - other.counts, 0.0))

    def score(self, raw: RawScores, fps: float) -> Floats:
        """Returns the nonconformity of each tile [F,16,16]: how rare it is to move that fast that way; 0 if still."""
        return self.rarity(step_average(raw.flow_tiles, raw.flow_tiles, fps))

    def rarity(self, flow_tiles: Floats) -> Floats:
        """Returns [F,16,16], -ln of about the fraction of what was seen that went at least as fast in the direction.

        That is the mean, over what was seen at the tile, of min(1, (v + STILL_SPEED) / |u|) ** STEEPNESS, where u is
        the velocity of the tile and v the part of a seen one in the direction of u. It rises with the speed in every
        direction, and sooner in one that nobody takes. STILL_SPEED is also how wrong the flow of a tile may be.
        """
        frame, tile, direction, speed = _velocities(flow_tiles)
        table = self._table()
        below = np.minimum(speed.astype(np.intp), SPEEDS - 2)
        low, high = table[tile, direction, below], table[tile, direction, below + 1]
        result = np.zeros((len(flow_tiles), TILES * TILES))
        result[frame, tile] = low + (high - low) * (speed - below)
        return result.reshape(-1, TILES, TILES)

    def _table(self) -> Floats:
        """Returns [256,D,V], the rarity of each velocity."""
        angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
        along = np.maximum(np.cos(angle[:, None] - angle), 0.0)
        # [asked direction, asked speed, seen direction, seen speed]
        reached = (along[:, None, :, None] * SPEED + STILL_SPEED) / SPEED[:, None, None]
        weight = np.clip(reached, 0.02, 1.0) ** STEEPNESS
        bins = DIRECTIONS * SPEEDS
        mean = self._probabilities().reshape(-1, bins) @ weight.reshape(bins, bins).T
        return np.asarray(-np.log(mean).reshape(-1, DIRECTIONS, SPEEDS))

    def _probabilities(self) -> Floats:
        """Returns [256,D,V]: the probability of a speed in the tile's row times that of a direction given the speed.

        How fast people look is a matter of how far away they are, so rows share their speeds; where people go is one
        of the place.
        """
        counts = self.counts.reshape(TILES, TILES, DIRECTIONS, SPEEDS)
        speeds = _blurred(counts.sum(axis=(1, 2)), 0)
        speeds = _with_prior(speeds, speeds.sum(axis=0), axis=1)
        around = counts
        for axis in (0, 1, 3):
            around = _blurred(around, axis)
        directions = _with_prior(around, around.sum(axis=(0, 1)), axis=2)
        return np.asarray((directions * speeds[:, None, None]).reshape(-1, DIRECTIONS, SPEEDS))


Indices = npt.NDArray[np.intp]


def _velocities(flow_tiles: Floats) -> tuple[Indices, Indices, Indices, Floats]:
    """Returns frame, tile, direction's bin and speed in (fractional) bins of the tiles that move."""
    x, y = (flow_tiles[:, axis].reshape(len(flow_tiles), -1) for axis in (0, 1))
    speed = np.hypot(x, y)
    frame, tile = np.nonzero(speed > STILL_SPEED)
    x, y, speed = x[frame, tile], y[frame, tile], speed[frame, tile]
    direction = np.round(np.arctan2(y, x) * (DIRECTIONS / (2 * np.pi))).astype(np.intp) % DIRECTIONS
    return frame, tile, direction, np.minimum(np.log(speed / STILL_SPEED) / SPEED_RATIO, SPEEDS - 1.0)


def _blurred(counts: Floats, axis: int) -> Floats:
    """Returns the counts with those of neighbouring bins added, weighted by a Gaussian of one bin."""
    blurred = ndimage.gaussian_filter1d(counts, 1.0, axis=axis, mode="constant", truncate=3.0)
    return np.asarray(blurred * np.sqrt(2 * np.pi))  # a bin's own count stays whole


def _with_prior(counts: Floats, overall: Floats, axis: int) -> Floats:
    """Returns probabilities along an axis, with PRIOR_SAMPLES pseudo-counts that are spread as `overall` is."""
    total = overall.sum(axis=axis - counts.ndim, keepdims=True)
    prior = (overall + 1.0 / counts.shape[axis]) / (total + 1)
    return np.asarray((counts + PRIOR_SAMPLES * prior) / (counts.sum(axis=axis, keepdims=True) + PRIOR_SAMPLES))
