"""Fitting: normal clips in; a normality model, its values of clips that it was not fitted to, and a calibration out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from stmae.scoring.calibration import Calibration, ReturnPeriods, log10_ps, smoothed
from stmae.scoring.combine import merge
from stmae.scoring.detectors.appearance import AppearanceDetector
from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.detectors.persistence import PersistenceDetector
from stmae.scoring.detectors.prediction import PredictionDetector
from stmae.scoring.events import find_events
from stmae.scoring.normality import FrameValues, Nonconformity, NormalityModel
from stmae.scoring.pvalues import PValues
from stmae.scoring.raw import Floats, RawScores, Singles

TILE_THRESHOLD = 0.99
"""Probability at which the (exponential) tail of a nonconformity begins of which there are 256 in a frame."""
FRAME_THRESHOLD = 0.9
"""Probability at which the tail of a detector's values begins."""
FRAME_SHAPE = 0.25
"""Shape of that tail: somewhat heavier than exponential, since the frames of a few clips show few situations."""
DECLUSTER_SECONDS = 5.0
"""Peaks that are nearer to each other belong to one event."""
TAIL_PEAKS = 30
"""Highest peaks, at most half of them, whose heights tell how fast rarer ones get rarer."""
FOLDS = 5
"""Most groups of calibration clips that are left out in turn."""
FEWEST_TILES = 1000
"""Moving tiles, at least, that a distribution is fitted to: with fewer, tiles that stand still count too."""


@dataclasses.dataclass(frozen=True, slots=True)
class NormalClip:
    """Normal footage: how all of it moves, and the raw scores of all of it, of a part, or of none."""

    flow_tiles: Floats
    """[F,2,16,16] of the whole clip."""
    raw: RawScores

    @classmethod
    def of(cls, raw: RawScores) -> NormalClip:
        """Returns a clip whose raw scores are all there."""
        return cls(raw.flow_tiles, raw)


def fit_normality(
    calibration: Sequence[NormalClip], training: Sequence[NormalClip] = (), *, fps: float, direction: bool = True
) -> tuple[NormalityModel, list[FrameValues]]:
    """Fits a normality model to the clips of the calibration split, and its velocity histogram to training clips too.

    All clips have `fps` frames a second; `direction` says whether the way something goes counts. Returns the model,
    and the values of each clip that has raw scores, by detectors that were fitted without that clip. Of an only
    calibration clip, each half is one. Raises ValueError for fewer than 2 frames.
    """
    clips = [clip for clip in calibration if len(clip.raw)]
    if sum(len(clip.raw) for clip in clips) < 2:
        raise ValueError("calibration: the clips of the calibration split have no scored frames; use longer ones")
    if len(clips) == 1:
        middle = len(clips[0].raw) // 2
        clips = [NormalClip.of(clips[0].raw[half]) for half in (slice(middle), slice(middle, None))]
    motion = MotionDetector.fit(_flows([*training, *clips]), fps, direction=direction)
    left_out = _leave_one_clip_out(clips, motion, fps)
    model = _fitted(clips, motion, fps)
    model = dataclasses.replace(model, pvalues=_pvalues([block for blocks in left_out for block in blocks]))
    values = [_joined(model, blocks) for blocks in left_out]
    for clip in training:
        if len(clip.raw):
            without = dataclasses.replace(model, motion=motion.without(_flows([clip]), fps))
            values.append(_joined(model, list(without.nonconformity([clip.raw]))))
    return model, values


def fit_calibration(
    clips: Sequence[FrameValues], *, fps: float, event_hours: float, min_seconds: float, merge_seconds: float
) -> Calibration:
    """Fits to the values of normal clips, at `fps` frames a second, that the detectors were not fitted to.

    Where they are shorter than `event_hours`, an event is what is rarer than once in their length: a calibration that
    is too short for the alert budget still finds what is rarer than all that it has seen.
    """
    smooth = [np.concatenate(list(smoothed([clip], fps))) for clip in clips]
    pvalues = tuple(PValues.fit(column, FRAME_THRESHOLD, FRAME_SHAPE) for column in np.concatenate(smooth).T)
    hours = sum(map(len, clips)) / fps / 3600
    peaks = [_peaks(merge(log10_ps(pvalues, one)), fps) for one in smooth]
    return Calibration(
        fps=fps,
        hours=hours,
        pvalues=pvalues,
        return_periods=fit_return_periods(np.concatenate(peaks), hours),
        event_hours=min(event_hours, hours),
        min_seconds=min_seconds,
        merge_seconds=merge_seconds,
    )


def held_out_alerts(clips: Sequence[FrameValues], fit: Callable[[Sequence[FrameValues]], Calibration]) -> int | None:
    """Returns how many events normal clips have under calibrations that `fit` makes of the others.

    Returns None for fewer than two clips.
    """
    folds = range(min(FOLDS, len(clips)))
    if len(folds) < 2:
        return None
    alerts = 0
    for fold in folds:
        calibration = fit([clip for index, clip in enumerate(clips) if index % FOLDS != fold])
        alerts += sum(len(list(find_events(calibration.scores([clip]), calibration))) for clip in clips[fold::FOLDS])
    return alerts


def fit_return_periods(peaks: Floats, hours: float) -> ReturnPeriods:
    """Fits to the heights of the declustered peaks of `hours` of normal footage."""
    body = PValues.fit(peaks, max(0.5, 1 - TAIL_PEAKS / len(peaks)))
    threshold = body.quantiles[-1]
    # One more, of the height that exact p-values have on average: equal peaks say little of the next one.
    scale, shape = fit_pareto(np.append(peaks[peaks > threshold] - threshold, 0.5 / np.log(10)))
    return ReturnPeriods(dataclasses.replace(body, scale=scale, shape=shape), float(np.log10(hours / len(peaks))))


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


def _fitted(clips: Sequence[NormalClip], motion: MotionDetector, fps: float) -> NormalityModel:
    """Returns detectors that are fitted to clips, without p-values."""
    raw = [clip.raw for clip in clips]
    persistence = PersistenceDetector.fit(raw, fps)
    return NormalityModel(fps, PredictionDetector.fit(raw, fps), motion, AppearanceDetector(), persistence, {})


def _flows(clips: Sequence[NormalClip]) -> list[Floats]:
    return [clip.flow_tiles for clip in clips]


def _joined(model: NormalityModel, blocks: Sequence[Nonconformity]) -> FrameValues:
    return FrameValues.join([model.values(block) for block in blocks])


def _leave_one_clip_out(clips: Sequence[NormalClip], motion: MotionDetector, fps: float) -> list[list[Nonconformity]]:
    """Returns the nonconformity of each clip to detectors that were fitted to the others.

    The camera moves by part of a pixel from night to night, and the sun goes round: detectors that are judged on
    footage of their own would not know how far normal clips differ.
    """
    blocks: dict[int, list[Nonconformity]] = {}
    for fold in range(min(FOLDS, len(clips))):
        own = range(fold, len(clips), FOLDS)
        others = [clip for index, clip in enumerate(clips) if index not in own]
        model = _fitted(others, motion.without(_flows([clips[index] for index in own]), fps), fps)
        blocks |= {index: list(model.nonconformity([clips[index].raw])) for index in own}
    return [blocks[index] for index in range(len(clips))]


def _pvalues(blocks: Sequence[Nonconformity]) -> dict[str, PValues]:
    def every(name: str) -> Singles:
        return np.concatenate([block[name].ravel() for block in blocks])

    moves = every("motion") > 0
    some = moves.sum() >= FEWEST_TILES
    pvalues = {}
    for name in blocks[0]:
        if "view" in name:
            pvalues[name] = PValues.fit(every(name), FRAME_THRESHOLD, FRAME_SHAPE)
        else:
            values = every(name)[moves] if some and name in ("prediction", "appearance") else every(name)
            pvalues[name] = PValues.fit(values, TILE_THRESHOLD)
    return pvalues


def _peaks(heights_F: Floats, fps: float) -> Floats:
    """Returns the heights that no other exceeds within DECLUSTER_SECONDS on both sides, one for equal neighbours."""
    highest = ndimage.maximum_filter1d(heights_F, 2 * round(DECLUSTER_SECONDS * fps) + 1, mode="nearest")
    is_peak = highest == heights_F
    return np.asarray(heights_F[is_peak & ~np.append(False, is_peak[:-1])])
