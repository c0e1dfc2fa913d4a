"""Calibration: from the detectors' values of a frame to the return period of what it shows.

Legend: F frames, D detectors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Self

import numpy as np
from scipy import ndimage

from stmae.scoring import DETECTORS
from stmae.scoring.combine import merge
from stmae.scoring.document import Document
from stmae.scoring.normality import FrameValues
from stmae.scoring.pvalues import PValues, pareto_log10
from stmae.scoring.raw import Floats, Rows
from stmae.scoring.stream import windows

SMOOTHING_SECONDS = 0.4
"""Standard deviation of the Gaussian, cut at 2.5 of them, that values are averaged with."""
FRAME_THRESHOLD = 0.9
"""Probability at which the tail of a detector's values begins."""
FRAME_SHAPE = 0.5
"""Shape of that tail. It is heavy, since the frames of a few clips show few situations."""
DECLUSTER_SECONDS = 5.0
"""Peaks that are nearer to each other belong to one event."""
TAIL_PEAKS = 30
"""Highest peaks, at most half of them, whose heights tell how fast rarer ones get rarer."""
EVENT_REACH = 3.0
"""Lengths of the calibration footage that an event's return period exceeds, at most: a calibration that is too short
for the alert budget still finds what is rarer than all that it has seen."""
CLAIM = 100.0
"""Return periods are claimed up to so many times the length of the calibration footage."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredFrames(Rows):
    """What calibrated values say of consecutive frames."""

    score: Floats
    """[F] log10 of the return period in hours, not bounded by what may be claimed."""
    log10_p: Floats
    """[F,D] -log10 p of each detector's value."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReturnPeriods:
    """How long one watches normal footage to meet a peak as high: a generalised Pareto tail of declustered peaks."""

    threshold: float
    """Height of the peaks at which the tail begins."""
    log10_hours_at_threshold: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, peaks: Floats, hours: float) -> Self:
        """Fits to the heights of the declustered peaks of `hours` of normal footage."""
        threshold = float(np.quantile(peaks, max(0.5, 1 - TAIL_PEAKS / len(peaks)), method="lower"))
        # One more, of the height that exact p-values have on average: equal peaks say little of the next one.
        excesses = np.append(peaks[peaks > threshold] - threshold, 0.5 / np.log(10))
        return cls(threshold, float(np.log10(hours / len(excesses))), *fit_pareto(excesses))

    def log10(self, heights: Floats) -> Floats:
        """Returns log10 of the return period in hours, which rises with the height, below the threshold in a line."""
        excess = heights - self.threshold
        below = np.minimum(excess, 0.0) / (self.scale * np.log(10))
        return np.asarray(self.log10_hours_at_threshold + below + pareto_log10(excess, self.scale, self.shape))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibration(Document):
    """What a camera's normal footage makes of the values of its normality model."""

    NAME: ClassVar[str] = "calibration"
    FORMAT: ClassVar[int] = 2

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

    def scores(self, parts: Iterable[FrameValues], fps: float) -> Iterator[ScoredFrames]:
        """Yields the scores of a stream of values, block by block; a second around a frame decides on its score."""
        for smooth in _smoothed(parts, fps):
            log10_p = _log10_p(self.pvalues, smooth)
            yield ScoredFrames(self.return_periods.log10(merge(log10_p)), log10_p)


def fit_calibration(
    clips: Sequence[tuple[FrameValues, float]], *, event_hours: float, min_seconds: float, merge_seconds: float
) -> Calibration:
    """Fits to the values, with frames a second, of normal clips that the detectors were not fitted to."""
    smooth = [np.concatenate(list(_smoothed([clip], fps))) for clip, fps in clips]
    pvalues = tuple(PValues.fit(column, FRAME_THRESHOLD, FRAME_SHAPE) for column in np.concatenate(smooth).T)
    hours = sum(len(clip) / fps for clip, fps in clips) / 3600
    peaks = [_peaks(merge(_log10_p(pvalues, one)), fps) for one, (_, fps) in zip(smooth, clips, strict=True)]
    return Calibration(
        hours=hours,
        pvalues=pvalues,
        return_periods=ReturnPeriods.fit(np.concatenate(peaks), hours),
        event_hours=min(event_hours, EVENT_REACH * hours),
        min_seconds=min_seconds,
        merge_seconds=merge_seconds,
    )


def fit_pareto(excesses: Floats) -> tuple[float, float]:
    """Returns scale and shape of a generalised Pareto distribution by probability-weighted moments.

    Hosking and Wallis, "Parameter and quantile estimation for the generalized Pareto distribution", 1987. The shape is
    kept within [0, 0.5]: a few excesses must not claim that there is a largest one, and beyond it the excesses have no
    variance and no sample tells the shape.
    """
    if len(excesses) < 2:
        return (float(excesses.mean()) if len(excesses) else 0.0), 0.0
    ordered, count = np.sort(excesses), len(excesses)
    mean, weighted = float(ordered.mean()), float((ordered * np.arange(count)[::-1]).mean() / (count - 1))
    shape = float(np.clip(2 - mean / (mean - 2 * weighted), 0.0, 0.5)) if mean > 2 * weighted else 0.0
    return mean * (1 - shape), shape


def _log10_p(pvalues: Sequence[PValues], smooth_FD: Floats) -> Floats:
    return np.stack([each.log10(column) for each, column in zip(pvalues, smooth_FD.T, strict=True)], axis=1)


def _smoothed(parts: Iterable[FrameValues], fps: float) -> Iterator[Floats]:
    """Yields smoothed values [F,D] of each block."""
    reach = int(2.5 * SMOOTHING_SECONDS * fps)
    for window, block in windows(parts, reach, reach):
        values, sigma = window.values.astype(np.float64), max(SMOOTHING_SECONDS * fps, 1e-3)
        yield ndimage.gaussian_filter1d(values, sigma, axis=0, mode="nearest", radius=reach)[block]


def _peaks(heights_F: Floats, fps: float) -> Floats:
    """Returns the heights that no other exceeds within DECLUSTER_SECONDS on both sides, one for equal neighbours."""
    highest = ndimage.maximum_filter1d(heights_F, 2 * round(DECLUSTER_SECONDS * fps) + 1, mode="nearest")
    is_peak = highest == heights_F
    return np.asarray(heights_F[is_peak & ~np.append(False, is_peak[:-1])])
