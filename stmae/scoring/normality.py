"""The normality model: the four detectors of a camera, fitted to normal footage, and their value of each frame.

Legend: F frames, D = 4 detectors in the order of DETECTORS, tiles are [16,16].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import numpy as np

from stmae.scoring import DETECTORS
from stmae.scoring.combine import together
from stmae.scoring.detectors.appearance import AppearanceDetector
from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.detectors.persistence import AFTER_SECONDS, BEFORE_SECONDS, PersistenceDetector, log_distance
from stmae.scoring.detectors.prediction import PredictionDetector
from stmae.scoring.pvalues import PValues
from stmae.scoring.raw import TILES, RawScores, Rows, Singles
from stmae.scoring.stream import RollingMedian, windows

BACKGROUND_SECONDS = 590.0
"""How long the median reaches back that the mean of the whole view is compared with: other light is there nearly
always, an event is not."""

Nonconformity = Mapping[str, Singles]
"""[F,16,16] for each of DETECTORS, [F] for "prediction view" and "persistence view", the means of the whole view."""


@dataclasses.dataclass(frozen=True, slots=True)
class FrameValues(Rows):
    """What the detectors say of consecutive frames."""

    values: Singles
    """[F,D] a value a detector; high is anomalous."""
    heatmap: Singles
    """[F,16,16] highest -log10 p of all detectors at each tile."""

    @classmethod
    def empty(cls) -> FrameValues:
        """Returns the values of no frames."""
        return cls(np.zeros((0, len(DETECTORS)), np.float32), np.zeros((0, TILES, TILES), np.float32))


@dataclasses.dataclass(frozen=True, slots=True)
class NormalityModel:
    """Fitted detectors and the distributions of their nonconformity on normal footage that they were not fitted to."""

    NAME: ClassVar[str] = "normality model"
    FORMAT: ClassVar[int] = 5

    fps: float
    """Rate at which footage is sampled, in training and in scoring, frames a second."""
    prediction: PredictionDetector
    motion: MotionDetector
    appearance: AppearanceDetector
    persistence: PersistenceDetector
    pvalues: Mapping[str, PValues]
    """By the names in Nonconformity; for prediction and appearance, of tiles that move."""
    noise: float = 0.0
    """Grey levels: of frames that differ by no more (video.stillness.difference), what is measured of one holds for
    the others. 0 where each frame is to be measured."""

    def frame_values(self, parts: Iterable[RawScores]) -> Iterator[FrameValues]:
        """Yields the values of a stream of raw scores, block by block.

        A frame's values depend on BACKGROUND_SECONDS before it and AFTER_SECONDS after it, on nothing else, and not
        on how the stream is cut into parts. Memory does not grow with the stream. Raises ValueError for raw scores
        that are not finite.
        """
        return map(self.values, self.nonconformity(parts))

    def nonconformity(self, parts: Iterable[RawScores]) -> Iterator[Nonconformity]:
        """Yields what the detectors and the mean of the view say of each block of a stream."""
        # What is large, or everywhere, shows in the mean; so does the light of the hour, so only the change counts.
        backgrounds = [RollingMedian(int(BACKGROUND_SECONDS * self.fps)) for _ in range(2)]
        back, ahead = int(BEFORE_SECONDS * self.fps) + 1, int(AFTER_SECONDS * self.fps) + 1
        for window, block in windows((part.check() for part in parts), back, ahead):
            seen = {name: getattr(self, name).score(window, self.fps)[block] for name in DETECTORS}
            means = seen["prediction"].mean(axis=(1, 2)), log_distance(window[block]).mean(axis=(1, 2))
            for name, mean, background in zip(("prediction", "persistence"), means, backgrounds, strict=True):
                seen[f"{name} view"] = mean - background(mean)
            yield {name: each.astype(np.float32) for name, each in seen.items()}

    def values(self, seen: Nonconformity) -> FrameValues:
        """Returns the values of a block, given what `nonconformity` yields for it."""
        log10_p = {name: self.pvalues[name].log10(each) for name, each in seen.items()}
        log10_p["appearance"] = np.where(seen["appearance"] > 0, log10_p["appearance"], 0.0)  # 0: it does not move
        # Prediction and appearance err on normal things too, but seldom where the motion is rare as well.
        tiles = {
            "prediction": together(log10_p["motion"], log10_p["prediction"]),
            "motion": log10_p["motion"],
            "appearance": together(log10_p["motion"], log10_p["appearance"]),
            "persistence": log10_p["persistence"],
        }
        values = {name: each.max(axis=(1, 2)) for name, each in tiles.items()}
        for name in ("prediction", "persistence"):
            values[name] = np.maximum(values[name], log10_p[f"{name} view"])
        columns = np.stack([values[name] for name in DETECTORS], axis=1)
        heatmap = np.maximum.reduce([log10_p[name] for name in DETECTORS])
        return FrameValues(columns.astype(np.float32), heatmap.astype(np.float32))
