"""Six hours of one real camera: are return periods what they say, and does it matter how the footage is cut?

The network is trained on the first ten minutes, which are scored nowhere. Detectors and calibration are fitted to all
hours but one, six times, and find the events of the hour that was left out.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.scoring.sets import Set, trained
from stmae.evaluation.evaluate import Measure
from stmae.evaluation.fitting import NormalClip, fit_calibration, fit_normality
from stmae.scoring.calibration import Calibration, ScoredFrames
from stmae.scoring.events import Event, find_events
from stmae.scoring.normality import FrameValues, NormalityModel
from stmae.scoring.raw import RawScores
from stmae.video.reader import FrameSource

FPS = 5.0
TRAINING_FRAMES = 3000
EVENT_HOURS = 2.0
"""Return period whose events are counted."""
PIECE_SECONDS = 10
SPLIT_HOUR = "03-08"
"""The hour whose beginning the network is trained on."""
UPCAM = Set(
    "upcam",
    "folder",
    overrides=(
        "name=upcam",
        "data.train_glob=beginning",
        "data.test_glob=hours/*",
        f"data.fps={FPS}",
        "model.width=16",
        "train.steps=1500",
    ),
    seeds=(1,),
)


def upcam(data_root: Path, work: Path) -> Measure:
    """Returns what measures the six hours, trained where it is missing."""
    lay_out(data_root / "upcam-sample", work / UPCAM.name / "films")
    return trained(UPCAM, 1, data_root, work)


def return_period(measure: Measure) -> dict[str, Any]:
    """Returns how many events were expected and found, hour by hour, and whether cutting footage changed anything."""
    hours = [measure(clip) for clip in measure.manifest.split("test")]
    found, equal = [], []
    for index, raw in enumerate(hours):
        normality, calibration = _fit(hours[:index] + hours[index + 1 :])
        whole = _scored(normality, calibration, [raw])
        found.append(len(whole[2]))
        if index == 1:
            equal = [_same(a, b) for a, b in zip(whole, _scored(normality, calibration, _cut(raw)), strict=True)]
    length = sum(map(len, hours)) / FPS / 3600
    return {
        "event_hours": EVENT_HOURS,
        "hours": round(length, 3),
        "expected": round(length / EVENT_HOURS, 3),
        "found": sum(found),
        "found_by_hour": found,
        **{f"{what}_equal_in_pieces": same for what, same in zip(("values", "scores", "events"), equal, strict=True)},
    }


def _fit(hours: list[RawScores]) -> tuple[NormalityModel, Calibration]:
    normality, values = fit_normality([NormalClip.of(raw) for raw in hours], fps=FPS)
    return normality, fit_calibration(values, fps=FPS, event_hours=EVENT_HOURS, min_seconds=0.5, merge_seconds=5.0)


def _scored(
    normality: NormalityModel, calibration: Calibration, parts: list[RawScores]
) -> tuple[FrameValues, ScoredFrames, list[Event]]:
    values = list(normality.frame_values(parts))
    scores = list(calibration.scores(values))
    return FrameValues.join(values), ScoredFrames.join(scores), list(find_events(scores, calibration))


def _cut(raw: RawScores) -> list[RawScores]:
    bounds = [*range(0, len(raw), round(PIECE_SECONDS * FPS)), len(raw)]
    return [raw[start:stop] for start, stop in itertools.pairwise(bounds)]


def _same(one: FrameValues | ScoredFrames | list[Event], other: FrameValues | ScoredFrames | list[Event]) -> bool:
    if isinstance(one, list) or isinstance(other, list):
        return one == other
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)


def lay_out(source: Path, films: Path) -> None:
    """Makes folders of images of the first ten minutes and of the rest of their hour; other hours stay as they are."""
    if films.exists():
        return
    for folder in ("beginning", f"hours/{SPLIT_HOUR}"):
        (films / folder).mkdir(parents=True)
    for frame in FrameSource(source / f"{SPLIT_HOUR}.mp4"):
        folder = "beginning" if frame.index < TRAINING_FRAMES else f"hours/{SPLIT_HOUR}"
        cv2.imwrite(str(films / folder / f"{frame.index:05d}.png"), frame.image[:, :, ::-1])
    for path in sorted(source.glob("*.mp4")):
        if path.stem != SPLIT_HOUR:
            (films / "hours" / path.name).symlink_to(path.resolve())
