"""Stretches: parts of long footage, and the groups of pictures that a video must be decoded in for them.

A group of pictures is a key frame and the packets up to the next one: where decoding can begin.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bounds = Sequence[tuple[float, float]]
"""Start and end of each stretch, seconds from the start of the footage; in order, none within another."""
Seconds = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Groups:
    """The groups of pictures of a video that are decoded."""

    chosen: frozenset[int]
    """Their numbers, from 0."""
    stamps: Seconds
    """When each frame of the whole video is shown, by its container, ascending."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stretches:
    """The parts of footage that are wanted."""

    bounds: Bounds
    groups: Groups | None = None
    """What is decoded of a video; None for all of it."""

    def number(self, time_s: float) -> int | None:
        """Returns the number of the stretch that a frame of this time is in; None outside all of them."""
        number = bisect_right(self.bounds, time_s, key=lambda bounds: bounds[0]) - 1
        return number if number >= 0 and time_s < self.bounds[number][1] else None


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """All frames of a video in the order in which they are shown, and the groups of pictures that they are in."""

    stamps: Seconds
    """When each frame is shown, by the container, ascending."""
    firsts: npt.NDArray[np.int64]
    """Number of the first frame of each group."""
    opens: npt.NDArray[np.bool_]
    """Whether pictures of the group refer to the group before it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Survey:
    """The frames of footage as they are known before any is decoded."""

    times: Seconds
    """When each frame is shown, seconds from the start of the footage."""
    order: Order | None = None
    """None for image folders, and for videos that have to be decoded as a whole."""

    def stretches(self, bounds: Bounds) -> Stretches:
        """Returns the stretches with the groups of pictures in which they lie."""
        if self.order is None:
            return Stretches(bounds)
        chosen: set[int] = set()
        for start, stop in bounds:
            first, after = np.searchsorted(self.times, (start, stop))
            if first < after:
                begin, end = np.searchsorted(self.order.firsts, (first, after - 1), side="right") - 1
                chosen.update(range(max(begin - int(self.order.opens[begin]), 0), end + 1))
        return Stretches(bounds, Groups(frozenset(chosen), self.order.stamps))
