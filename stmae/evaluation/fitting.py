"""Fitting: normal clips in, a normality model and its values of clips that it was not fitted to out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from stmae.scoring.calibration import FRAME_SHAPE, FRAME_THRESHOLD
from stmae.scoring.detectors.appearance import AppearanceDetector
from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.detectors.persistence import PersistenceDetector
from stmae.scoring.detectors.prediction import PredictionDetector
from stmae.scoring.normality import TILE_THRESHOLD, FrameValues, Nonconformity, NormalityModel
from stmae.scoring.pvalues import PValues
from stmae.scoring.raw import Floats, RawScores, Singles

FOLDS = 5
"""Most groups of calibration clips that are left out in turn."""
FEWEST_TILES = 1000
"""Moving tiles, at least, that a distribution is fitted to: with fewer, tiles that stand still count too."""


@dataclasses.dataclass(frozen=True, slots=True)
class NormalClip:
    """Normal footage: how all of it moves, and the raw scores of all of it, of a part, or of none."""

    flow_tiles: Floats
    """[F,2,16,16] of the whole clip."""
    fps: float
    raw: RawScores

    @classmethod
    def of(cls, raw: RawScores, fps: float) -> NormalClip:
        """Returns a clip whose raw scores are all there."""
        return cls(raw.flow_tiles, fps, raw)


def fit_normality(
    calibration: Sequence[NormalClip], training: Sequence[NormalClip] = ()
) -> tuple[NormalityModel, list[tuple[FrameValues, float]]]:
    """Fits a normality model to the clips of the calibration split, and its velocity histogram to training clips too.

    Returns the model, and the values, with frames a second, of each clip that has raw scores, by detectors that were
    fitted without that clip. Of an only calibration clip, each half is one. Raises ValueError for fewer than 2 frames.
    """
    clips = [clip for clip in calibration if len(clip.raw)]
    if sum(len(clip.raw) for clip in clips) < 2:
        raise ValueError("calibration: the clips of the calibration split have no scored frames; use longer ones")
    if len(clips) == 1:
        middle = len(clips[0].raw) // 2
        clips = [NormalClip.of(clips[0].raw[half], clips[0].fps) for half in (slice(middle), slice(middle, None))]
    motion = _motion([*training, *clips])
    left_out = _leave_one_clip_out(clips, motion)
    model = _fitted(clips, motion)
    model = dataclasses.replace(model, pvalues=_pvalues([block for blocks in left_out for block in blocks]))
    values = [(_joined(model, blocks), clip.fps) for blocks, clip in zip(left_out, clips, strict=True)]
    for clip in training:
        if len(clip.raw):
            without = dataclasses.replace(model, motion=motion.without(_motion([clip])))
            values.append((_joined(model, list(without.nonconformity([clip.raw], clip.fps))), clip.fps))
    return model, values


def _fitted(clips: Sequence[NormalClip], motion: MotionDetector) -> NormalityModel:
    """Returns detectors that are fitted to clips, without p-values."""
    raw, fps = [clip.raw for clip in clips], clips[0].fps
    persistence = PersistenceDetector.fit(raw, fps)
    return NormalityModel(PredictionDetector.fit(raw, fps), motion, AppearanceDetector(), persistence, {})


def _motion(clips: Sequence[NormalClip]) -> MotionDetector:
    return MotionDetector.fit([clip.flow_tiles for clip in clips], [clip.fps for clip in clips])


def _joined(model: NormalityModel, blocks: Sequence[Nonconformity]) -> FrameValues:
    return FrameValues.join([model.values(block) for block in blocks])


def _leave_one_clip_out(clips: Sequence[NormalClip], motion: MotionDetector) -> list[list[Nonconformity]]:
    """Returns the nonconformity of each clip to detectors that were fitted to the others.

    The camera moves by part of a pixel from night to night, and the sun goes round: detectors that are judged on
    footage of their own would not know how far normal clips differ.
    """
    blocks: dict[int, list[Nonconformity]] = {}
    for fold in range(min(FOLDS, len(clips))):
        own = range(fold, len(clips), FOLDS)
        others = [clip for index, clip in enumerate(clips) if index not in own]
        model = _fitted(others, motion.without(_motion([clips[index] for index in own])))
        blocks |= {index: list(model.nonconformity([clips[index].raw], clips[index].fps)) for index in own}
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
