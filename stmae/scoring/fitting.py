"""Fitting: normal clips in, a normality model and its values of clips that it was not fitted to out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.normality import (
    Booleans,
    Detectors,
    Distribution,
    FrameValues,
    Nonconformity,
    NormalityModel,
    nonconformity,
)
from stmae.scoring.pvalues import FRAME_SHAPE, FRAME_THRESHOLD, PValues
from stmae.scoring.raw import Floats, RawScores

FOLDS = 5
"""Most groups of calibration clips that are left out in turn."""
TILE_THRESHOLD = 0.99
"""Probability at which the generalised Pareto tail of a tile's nonconformity begins."""
TILE_SHAPE = 0.0
"""Shape of that tail: exponential, since there are many tiles."""
FEWEST_TILES = 1000
"""Tiles, at least, that a distribution of its own is fitted to: with fewer that move, or stand still, all count."""


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

    def halves(self) -> list[NormalClip]:
        """Returns the clip as two."""
        middle = len(self.raw) // 2
        return [NormalClip.of(self.raw[:middle], self.fps), NormalClip.of(self.raw[middle:], self.fps)]


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
    clips = clips if len(clips) > 1 else clips[0].halves()
    motion = _motion([*training, *clips])
    detectors = _detectors(clips, motion)
    left_out = _leave_one_clip_out(clips, motion)
    model = NormalityModel(detectors, _pvalues(left_out))
    values = [
        (FrameValues.join([model.values(*block) for block in blocks]), clip.fps)
        for blocks, clip in zip(left_out, clips, strict=True)
    ]
    for clip in training:
        if len(clip.raw):
            without = dataclasses.replace(detectors, motion=motion.without(_motion([clip])))
            blocks = nonconformity(without, [clip.raw], clip.fps)
            values.append((FrameValues.join([model.values(*block) for block in blocks]), clip.fps))
    return model, values


def _detectors(clips: Sequence[NormalClip], motion: MotionDetector) -> Detectors:
    return Detectors.fit([clip.raw for clip in clips], clips[0].fps, motion)


def _motion(clips: Sequence[NormalClip]) -> MotionDetector:
    return MotionDetector.fit([clip.flow_tiles for clip in clips], [clip.fps for clip in clips])


Blocks = list[tuple[Nonconformity, Booleans]]


def _leave_one_clip_out(clips: Sequence[NormalClip], motion: MotionDetector) -> list[Blocks]:
    """Returns the nonconformity of each clip to detectors that were fitted to the others.

    The camera moves by part of a pixel from night to night, and the sun goes round: detectors that are judged on
    footage of their own would not know how far normal clips differ.
    """
    blocks: dict[int, Blocks] = {}
    for fold in range(min(FOLDS, len(clips))):
        own = range(fold, len(clips), FOLDS)
        own_motion = _motion([clips[i] for i in own])
        others = [clip for i, clip in enumerate(clips) if i not in own]
        detectors = _detectors(others, motion.without(own_motion))
        blocks |= {i: list(nonconformity(detectors, [clips[i].raw], clips[i].fps)) for i in own}
    return [blocks[i] for i in range(len(clips))]


def _pvalues(clips: Sequence[Blocks]) -> Mapping[Distribution, PValues]:
    blocks = [block for blocks in clips for block in blocks]
    every = {name: np.concatenate([seen[name].ravel() for seen, _ in blocks]) for name in get_args(Distribution)}
    moves = np.concatenate([moves.ravel() for _, moves in blocks])

    def those(values: Floats, chosen: Booleans) -> Floats:
        return values[chosen] if chosen.sum() >= FEWEST_TILES else values

    every["prediction still"] = those(every["prediction still"], ~moves)
    every["prediction moving"] = those(every["prediction moving"], moves)
    every["appearance"] = those(every["appearance"], moves)
    tails = dict.fromkeys(("prediction view", "persistence view"), (FRAME_THRESHOLD, FRAME_SHAPE))
    tile = (TILE_THRESHOLD, TILE_SHAPE)
    return {name: PValues.fit(values, *tails.get(name, tile)) for name, values in every.items()}
