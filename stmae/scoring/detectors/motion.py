"""Motion: a tile moves faster than anything moved there, or in a direction that nobody takes.

It sees runners, vehicles, and who walks against the stream; fitted without directions, speeds alone. It does not see
what moves as others do, nor what stands still. It needs footage in which the normal traffic is seen: a lane that stayed
empty is judged by the view as a whole.

Legend: tiles are [16,16], D directions: DIRECTIONS, or 1 where they do not count; V speeds.
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
PRIOR_FRAMES = 16.0
"""Dirichlet pseudo-counts, in frames, that back a rarely crossed tile off to the velocities of the whole view."""

SPEED = STILL_SPEED * np.exp(SPEED_RATIO * np.arange(SPEEDS))
Integers = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True, slots=True)
class MotionDetector:
    """Velocity histogram of each tile: how often which velocity was seen there, given that something moved."""

    counts: Integers
    """[16,16,D,V] frames."""

    @classmethod
    def fit(cls, flows: Sequence[Floats], fps: float, *, direction: bool = True) -> Self:
        """Counts the moving tiles of normal clips: flow tiles [F,2,16,16] in pixels, at `fps` frames a second.

        Without `direction`, one speed is as another whichever way it goes.
        """
        counts = np.zeros((TILES, TILES, DIRECTIONS if direction else 1, SPEEDS), np.intp)
        for flow in flows:
            *where, speed = _velocities(step_average(flow, flow, fps), counts.shape[2])
            np.add.at(counts, (*where[1:], np.round(speed).astype(np.intp)), 1)
        return cls(counts)

    def without(self, flows: Sequence[Floats], fps: float) -> MotionDetector:
        """Returns the detector had it not been fitted to these of its clips."""
        others = self.fit(flows, fps, direction=self.counts.shape[2] > 1)
        # Never below 0: flow that is computed in other batches may put a sample into the neighbouring bin.
        return MotionDetector(np.maximum(self.counts - others.counts, 0))

    def score(self, raw: RawScores, fps: float) -> Floats:
        """Returns the nonconformity of each tile [F,16,16]: how rare it is to move that fast that way; 0 if still."""
        return self.rarity(step_average(raw.flow_tiles, raw.flow_tiles, fps))

    def rarity(self, flow_tiles: Floats) -> Floats:
        """Returns [F,16,16], -ln of about the fraction of what was seen that went at least as fast in the direction.

        That is the mean, over what was seen at the tile, of min(1, (v + STILL_SPEED) / |u|) ** STEEPNESS, where u is
        the velocity of the tile and v the part of a seen one in the direction of u. It rises with the speed in every
        direction, and sooner in one that nobody takes. STILL_SPEED is also how wrong the flow of a tile may be.
        """
        frame, row, column, direction, speed = _velocities(flow_tiles, self.counts.shape[2])
        table = self._table()[row, column, direction]
        bins, below = np.arange(len(frame)), np.minimum(speed.astype(np.intp), SPEEDS - 2)
        low, high = table[bins, below], table[bins, below + 1]
        result = np.zeros((len(flow_tiles), TILES, TILES))
        result[frame, row, column] = low + (high - low) * (speed - below)
        return result

    def _table(self) -> Floats:
        """Returns [16,16,D,V], the rarity of each velocity."""
        # A tile's velocities are like its neighbours': averages with a Gaussian of one tile and one bin of speed.
        near = ndimage.gaussian_filter(self.counts.astype(np.float64), (1.0, 1.0, 0.0, 1.0), mode="constant")
        directions = self.counts.shape[2]
        view = self.counts.sum(axis=(0, 1)) + 1 / (directions * SPEEDS)
        seen = near + PRIOR_FRAMES * view / view.sum()
        angle = np.arange(directions) * (2 * np.pi / directions)
        along = np.maximum(np.cos(angle[:, None] - angle), 0.0)
        # [asked direction, asked speed, seen direction, seen speed]
        reached = (along[:, None, :, None] * SPEED + STILL_SPEED) / SPEED[:, None, None]
        weight = np.clip(reached, 0.02, 1.0) ** STEEPNESS
        mean = np.tensordot(seen, weight, axes=((2, 3), (2, 3))) / seen.sum(axis=(2, 3), keepdims=True)
        return np.asarray(-np.log(mean))


def _velocities(flow_tiles: Floats, directions: int) -> tuple[Integers, Integers, Integers, Integers, Floats]:
    """Returns frame, row, column, direction's bin and speed in (fractional) bins of the tiles that move."""
    speed = np.hypot(flow_tiles[:, 0], flow_tiles[:, 1])
    frame, row, column = np.nonzero(speed > STILL_SPEED)
    angle = np.arctan2(flow_tiles[frame, 1, row, column], flow_tiles[frame, 0, row, column])
    direction = np.round(angle * (directions / (2 * np.pi))).astype(np.intp) % directions
    bins = np.log(speed[frame, row, column] / STILL_SPEED) / SPEED_RATIO
    return frame, row, column, direction, np.minimum(bins, SPEEDS - 1.0)
