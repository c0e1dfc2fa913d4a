"""Calibration: from the detectors' values of a frame to the return period of what it shows.

Legend: F frames, D detectors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
from scipy import ndimage

from stmae.scoring import CLAIM, DETECTORS
from stmae.scoring.combine import merge
from stmae.scoring.normality import FrameValues
from stmae.scoring.pvalues import PValues
from stmae.scoring.raw import Floats, Rows
from stmae.scoring.stream import windows

SMOOTHING_SECONDS = 0.4
"""Standard deviation of the Gaussian, cut at 2.5 of them, that values are averaged with."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredFrames(Rows):
    """What calibrated values say of consecutive frames."""

    score: Floats
    """[F] log10 of the return period in hours, not bounded by what may be claimed."""
    log10_p: Floats
    """[F,D] -log10 p of each detector's value."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReturnPeriods:
    """How long one watches normal footage to meet a declustered peak as high."""

    peaks: PValues
    """Distribution of the heights of peaks, with a generalised Pareto tail."""
    log10_hours: float
    """log10 of the mean hours from one peak to the next."""

    def log10(self, heights: Floats) -> Floats:
        """Returns log10 of the return period in hours; below all peaks it falls on in a line."""
        below = np.minimum(heights - self.peaks.quantiles[0], 0.0) / (self.peaks.scale * np.log(10))
        return np.asarray(self.log10_hours + self.peaks.log10(heights) + below)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What a camera's normal footage makes of the values of its normality model."""

    NAME: ClassVar[str] = "calibration"
    FORMAT: ClassVar[int] = 4

    fps: float
    """Frames a second of the values."""
    hours: float
    """Length of the calibration footage."""
    pvalues: tuple[PValues, ...]
    """Distributions of the smoothed values, in the order of DETECTORS."""
    return_periods: ReturnPeriods
    event_hours: float
    """Return period from which an event is one."""
    min_seconds: float
    merge_seconds: float

    def __post_init__(self) -> None:
        if len(self.pvalues) != len(DETECTORS):
            raise ValueError(f"pvalues: not one for each of {', '.join(DETECTORS)}")

    @property
    def bound_hours(self) -> float:
        """Returns the return period beyond which nothing is claimed."""
        return CLAIM * self.hours

    def scores(self, parts: Iterable[FrameValues]) -> Iterator[ScoredFrames]:
        """Yields the scores of a stream of values, block by block; a second around a frame decides on its score."""
        for smooth in smoothed(parts, self.fps):
            log10_p = log10_ps(self.pvalues, smooth)
            yield ScoredFrames(self.return_periods.log10(merge(log10_p)), log10_p)


def smoothed(parts: Iterable[FrameValues], fps: float) -> Iterator[Floats]:
    """Yields the smoothed values [F,D] of each block of a stream."""
    reach = int(2.5 * SMOOTHING_SECONDS * fps)
    for window, block in windows(parts, reach, reach):
        values, sigma = window.values.astype(np.float64), max(SMOOTHING_SECONDS * fps, 1e-3)
        yield ndimage.gaussian_filter1d(values, sigma, axis=0, mode="nearest", radius=reach)[block]


def log10_ps(pvalues: Sequence[PValues], smooth_FD: Floats) -> Floats:
    """Returns [F,D], -log10 p of smoothed values."""
    return np.stack([each.log10(column) for each, column in zip(pvalues, smooth_FD.T, strict=True)], axis=1)
