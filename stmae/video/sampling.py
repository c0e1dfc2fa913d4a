"""Frames at a fixed rate by time, so that a pixel a frame means the same for every recorder."""

from __future__ import annotations

import math

EARLY = 0.3
"""A frame counts as that of the next sample from so much of a sampling interval before it: recorders jitter."""

SLOWER = 0.95
"""Footage with fewer frames a second than this fraction of the sampling rate is slower than it: it is told, not
stretched."""


class Sampler:
    """Says which frames are samples at `fps`.

    Samples are at multiples of 1 / fps on a timeline on which the footage begins at `start_s`; `after` is the number of
    one that was taken already. No frame is taken twice, and none is lost of footage that has about `fps` frames a
    second or fewer, however its stamps lie.
    """

    def __init__(self, fps: float, start_s: float = 0.0, after: int | None = None) -> None:
        self._fps, self._start, self._number = fps, start_s, after
        self._taken: float | None = None

    def takes(self, time_s: float) -> bool:
        """Says whether the frame of this time is a sample; times come in their order, seconds from the start."""
        number = sample_number(self._start + time_s, self._fps)
        due = self._number is None or number > self._number
        if not due and (self._taken is None or time_s - self._taken < SLOWER / self._fps):
            return False
        self._number = number if self._number is None else max(number, self._number)
        self._taken = time_s
        return True


def sample_number(at_s: float, fps: float) -> int:
    """Returns the number of the sample that a frame at this time may be."""
    return math.floor(at_s * fps + EARLY)


def is_slower(native_fps: float, fps: float) -> bool:
    """Says whether footage of `native_fps` frames a second has too few of them for samples at `fps`."""
    return native_fps < SLOWER * fps
