"""The normality model: the four detectors of a camera, fitted to normal footage, and their value of each frame.

Legend: F frames, D = 4 detectors in the order of DETECTORS, tiles are [16,16].
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from stmae.scoring.combine import pool, together
from stmae.scoring.detectors.appearance import AppearanceDetector
from stmae.scoring.detectors.motion import MotionDetector
from stmae.scoring.detectors.persistence import AFTER_SECONDS, BEFORE_SECONDS, PersistenceDetector
from stmae.scoring.detectors.prediction import PredictionDetector
from stmae.scoring.detectors.step import STEP_SECONDS, moving
from stmae.scoring.pvalues import PValues
from stmae.scoring.raw import TILES, Floats, RawScores, Rows, Singles
from stmae.scoring.stream import RollingQuantile, windows

FORMAT = 1
"""Version of normality.json; another one has to be published again."""
BACKGROUND_SECONDS = 590.0
"""Length of the background that the mean of the whole view is compared with."""
BACKGROUND_QUANTILE = 0.5
"""Quantile of it that is the background: other light is there nearly always, an event is not."""

Detector = Literal["prediction", "motion", "appearance", "persistence"]
DETECTORS: tuple[Detector, ...] = get_args(Detector)
Distribution = Literal[
    "prediction still",
    "prediction moving",
    "motion",
    "appearance",
    "persistence",
    "prediction view",
    "persistence view",
]
"""What p-values are known of: tiles, for prediction errors those that stand still or move; and means of the view."""
Nonconformity = Mapping[Distribution, Floats]
Booleans = npt.NDArray[np.bool_]


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
class Detectors:
    """The detectors, each fitted to its footage."""

    prediction: PredictionDetector
    motion: MotionDetector
    appearance: AppearanceDetector
    persistence: PersistenceDetector

    @classmethod
    def fit(cls, clips: Sequence[RawScores], fps: float, motion: MotionDetector) -> Detectors:
        """Fits to calibration clips; `motion` also knows the training clips."""
        return cls(
            PredictionDetector.fit(clips, fps),
            motion,
            AppearanceDetector(),
            PersistenceDetector.fit(clips, fps),
        )

    def score(self, raw: RawScores, fps: float) -> dict[Detector, Floats]:
        """Returns the nonconformity of each tile, [F,16,16] a detector."""
        return {name: getattr(self, name).score(raw, fps) for name in DETECTORS}


@dataclasses.dataclass(frozen=True, slots=True)
class NormalityModel:
    """Fitted detectors and the distributions of their nonconformity on normal footage."""

    detectors: Detectors
    pvalues: Mapping[Distribution, PValues]

    def frame_values(self, parts: Iterable[RawScores], fps: float) -> Iterator[FrameValues]:
        """Yields the values of a stream of raw scores, block by block.

        A frame's values depend on BACKGROUND_SECONDS before it and AFTER_SECONDS after it, on nothing else, and not
        on how the stream is cut into parts. Memory does not grow with the stream. Raises ValueError for raw scores
        that are not finite.
        """
        return (self.values(seen, moves) for seen, moves in nonconformity(self.detectors, parts, fps))

    def values(self, seen: Nonconformity, moves: Booleans) -> FrameValues:
        """Returns the values of a block, of what `nonconformity` yields."""
        log10_p = {name: each.log10(seen[name]) for name, each in self.pvalues.items()}
        prediction = np.where(moves, log10_p["prediction moving"], log10_p["prediction still"])
        motion, persistence = log10_p["motion"], log10_p["persistence"]
        appearance = np.where(moves, log10_p["appearance"], 0.0)
        values: dict[Detector, Floats] = {
            # Prediction and appearance err on normal things too, but seldom where the motion is rare as well.
            "prediction": np.maximum(pool(together(motion, prediction)), log10_p["prediction view"]),
            "motion": pool(motion),
            "appearance": pool(together(motion, appearance)),
            "persistence": np.maximum(pool(persistence), log10_p["persistence view"]),
        }
        heatmap = np.maximum.reduce([prediction, motion, appearance, persistence])
        return FrameValues(
            np.stack([values[name] for name in DETECTORS], axis=1).astype(np.float32), heatmap.astype(np.float32)
        )

    def to_json(self) -> str:
        """Returns canonical JSON."""
        table = {
            "format": FORMAT,
            "prediction": dataclasses.asdict(self.detectors.prediction),
            "motion": self.detectors.motion.to_json(),
            "persistence": dataclasses.asdict(self.detectors.persistence),
            "pvalues": {name: dataclasses.asdict(each) for name, each in self.pvalues.items()},
        }
        return json.dumps(table, sort_keys=True, default=lambda array: array.tolist()) + "\n"

    @classmethod
    def from_json(cls, text: str) -> NormalityModel:
        """Returns the inverse of `to_json`, bit for bit. Raises ValueError for another text."""
        try:
            table: dict[str, Any] = json.loads(text)
            if table["format"] != FORMAT:
                raise ValueError(f"format {table['format']}, not {FORMAT}")
            detectors = Detectors(
                PredictionDetector.of_json(table["prediction"]),
                MotionDetector.of_json(table["motion"]),
                AppearanceDetector(),
                PersistenceDetector.of_json(table["persistence"]),
            )
            pvalues = {name: PValues.of_json(table["pvalues"][name]) for name in get_args(Distribution)}
            return cls(detectors, pvalues)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a normality model ({error!r}); publish the model again") from None

    def digest(self) -> str:
        """Returns the SHA-256 (hex) of the JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


class Background:
    """Takes the background off the means of the whole view, along one stream.

    What is large, or everywhere, shows in the mean; so does the light of the hour, which is why only the change counts.
    """

    def __init__(self, fps: float) -> None:
        length = round(BACKGROUND_SECONDS * fps)
        self._prediction = RollingQuantile(length, BACKGROUND_QUANTILE)
        self._persistence = RollingQuantile(length, BACKGROUND_QUANTILE)

    def change(self, raw: RawScores) -> dict[Distribution, Floats]:
        """Returns [F] for each mean: how far it is above its background."""
        prediction, persistence = PredictionDetector.view(raw), PersistenceDetector.view(raw)
        return {
            "prediction view": prediction - self._prediction(prediction),
            "persistence view": persistence - self._persistence(persistence),
        }


def nonconformity(
    detectors: Detectors, parts: Iterable[RawScores], fps: float
) -> Iterator[tuple[Nonconformity, Booleans]]:
    """Yields, for each block of a stream, what the distributions are of, and [F,16,16] whether a tile moves."""
    back = round(max(BEFORE_SECONDS, STEP_SECONDS) * fps)
    ahead = round(max(AFTER_SECONDS, STEP_SECONDS) * fps)
    background = Background(fps)
    for window, start, stop in windows((part.check() for part in parts), back, ahead):
        tiles = {name: each[start:stop] for name, each in detectors.score(window, fps).items()}
        block = window[start:stop]
        seen: dict[Distribution, Floats] = {
            "prediction still": tiles["prediction"],
            "prediction moving": tiles["prediction"],
            "motion": tiles["motion"],
            "appearance": tiles["appearance"],
            "persistence": tiles["persistence"],
        }
        yield seen | background.change(block), moving(block.flow_tiles)


def fitted_file(name: str, scene: str) -> str:
    """Returns the name of the file with a scene's `normality` or `calibration`; an only scene has no name."""
    return f"{name}-{scene}.json" if scene else f"{name}.json"
