"""Calibration: from the detectors' values of a frame to the return period of what it shows.

Legend: F frames, D detectors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Self

import numpy as np
from scipy import ndimage

from stmae.scoring.combine import KAPPA, merge
from stmae.scoring.document import Document
from stmae.scoring.normality import FrameValues
from stmae.scoring.pvalues import FRAME_TAIL, PValues, fit_pareto, pareto_log10
from stmae.scoring.raw import Floats, Rows
from stmae.scoring.stream import windows

BEFORE_SECONDS = 1.0
"""Frames before that a value is averaged with."""
AFTER_SECONDS = 0.5
"""Frames after that a value is averaged with."""
WIDEN_SECONDS = 0.25
"""Half-width of the maximum filter that covers the gradual entry and exit of what is averaged."""
DECLUSTER_SECONDS = 5.0
"""Peaks that are nearer to each other belong to one event."""
PEAK_THRESHOLD = 0.5
"""Fraction of the peaks below the generalised Pareto tail."""
PRIOR_PEAKS = 20.0
"""Peaks that the prior counts for, which is what exact p-values would give: a look every DECLUSTER_SECONDS, and ten
times as rare with each unit of -log10 p, of which an e-value keeps 1 - KAPPA."""
EVENT_REACH = 3.0
"""Lengths of the calibration footage that the return period of an event exceeds, at most: a calibration that is too
short to tell what the alert budget asks for still finds what is rarer than what it has seen."""
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
    """How long one watches normal footage to meet a peak as high (peaks over threshold, on declustered peaks)."""

    hours: float
    """Length of the calibration footage."""
    threshold: float
    """Height of the peaks at which the generalised Pareto tail begins."""
    log10_hours_at_threshold: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, peaks: Floats, hours: float) -> Self:
        """Fits to the heights of the declustered peaks of `hours` of normal footage."""
        threshold = float(np.quantile(peaks, PEAK_THRESHOLD, method="lower"))
        excesses = peaks[peaks > threshold] - threshold
        scale, shape = fit_pareto(excesses)
        weight = len(excesses) / (len(excesses) + PRIOR_PEAKS)
        found, exact = np.log10(hours / max(len(excesses), 1)), threshold + np.log10(DECLUSTER_SECONDS / 3600)
        return cls(
            hours,
            threshold,
            float(weight * found + (1 - weight) * exact),
            float(weight * scale + (1 - weight) * (1 - KAPPA) / np.log(10)),
            weight * shape,
        )

    def log10(self, curve: Floats) -> Floats:
        """Returns log10 of the return period in hours, which rises with the height of the curve."""
        excess = curve - self.threshold
        above = pareto_log10(excess, self.scale, self.shape)
        return np.asarray(self.log10_hours_at_threshold + np.minimum(excess, 0.0) + above)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibration(Document):
    """What a camera's normal footage makes of the values of its normality model."""

    NAME: ClassVar[str] = "calibration"
    FORMAT: ClassVar[int] = 1

    pvalues: tuple[PValues, ...]
    """Distributions of the smoothed values, in the order of DETECTORS."""
    return_periods: ReturnPeriods
    event_hours: float
    """Return period from which an event is one."""
    min_seconds: float
    merge_seconds: float

    @property
    def bound_hours(self) -> float:
        """Return period beyond which nothing is claimed."""
        return CLAIM * self.return_periods.hours

    def scores(self, parts: Iterable[FrameValues], fps: float) -> Iterator[ScoredFrames]:
        """Yields the scores of a stream of values, block by block.

        They depend on the values from BEFORE_SECONDS + WIDEN_SECONDS before a frame to AFTER_SECONDS + WIDEN_SECONDS
        after it.
        """
        for values in _smoothed(parts, fps):
            log10_p = np.stack([each.log10(column) for each, column in zip(self.pvalues, values.T, strict=True)])
            yield ScoredFrames(self.return_periods.log10(merge(log10_p)), log10_p.T)


def fit_calibration(
    clips: Sequence[tuple[FrameValues, float]], *, event_hours: float, min_seconds: float, merge_seconds: float
) -> Calibration:
    """Fits to the values, with frames a second, of normal clips that the detectors were not fitted to."""
    smooth = [np.concatenate(list(_smoothed([clip], fps))) for clip, fps in clips]
    pvalues = tuple(PValues.fit(column, FRAME_TAIL) for column in np.concatenate(smooth).T)
    hours = sum(len(clip) / fps for clip, fps in clips) / 3600
    curves = [merge(np.stack([p.log10(column) for p, column in zip(pvalues, one.T, strict=True)])) for one in smooth]
    peaks = np.concatenate([_peaks(curve, fps) for curve, (_, fps) in zip(curves, clips, strict=True)])
    return Calibration(
        pvalues=pvalues,
        return_periods=ReturnPeriods.fit(peaks, hours),
        event_hours=min(event_hours, EVENT_REACH * hours),
        min_seconds=min_seconds,
        merge_seconds=merge_seconds,
    )


def _smoothed(parts: Iterable[FrameValues], fps: float) -> Iterator[Floats]:
    """Yields smoothed values [F,D], which are high only where a value is high both before and after the frame.

    They are the logarithm of the harmonic mean of both averages: an average over both sides would reach the farther
    the higher a value is.
    """
    before, after, widen = (round(s * fps) for s in (BEFORE_SECONDS, AFTER_SECONDS, WIDEN_SECONDS))
    for window, block in windows(parts, before + widen, after + widen):
        values = window.values.astype(np.float64) * np.log(10)
        both = np.log(2) - np.logaddexp(-_past(values, before), -_past(values[::-1], after)[::-1])
        yield ndimage.maximum_filter1d(both / np.log(10), 2 * widen + 1, axis=0, mode="nearest")[block]


def _past(values_FD: Floats, frames: int) -> Floats:
    """Returns [F,D], the mean of each frame and the `frames` before it, of fewer where the stream starts."""
    # Not by running sums: their rounding would depend on values outside of the mean.
    total = ndimage.correlate1d(values_FD, [1.0] * (frames + 1) + [0.0] * frames, axis=0, mode="constant")
    return np.asarray(total / np.minimum(np.arange(len(values_FD)) + 1, frames + 1)[:, None])


def _peaks(curve_F: Floats, fps: float) -> Floats:
    """Returns the heights of the local maxima that are highest within DECLUSTER_SECONDS on both sides."""
    reach = round(DECLUSTER_SECONDS * fps)
    highest = ndimage.maximum_filter1d(curve_F, 2 * reach + 1, mode="nearest") == curve_F
    return np.asarray(curve_F[highest & ~np.roll(highest, 1) | (highest & (np.arange(len(curve_F)) == 0))])
