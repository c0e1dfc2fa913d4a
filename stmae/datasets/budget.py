"""The budget of footage: of normal footage that is longer, stretches are kept that are spread evenly over all of it.

What is kept decides on what preparation, flow, calibration and the disk cost; the length of the footage does not.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from stmae.config import DataConfig
from stmae.datasets.footage import Footage
from stmae.scoring.raw import CLIP_FRAMES
from stmae.video.sampling import Sampler
from stmae.video.stretches import Bounds, Seconds, Survey

MIN_FRAMES = CLIP_FRAMES + 1
"""Fewest frames of a clip: four that are seen and one that is predicted."""
TRAINING_SECONDS = 2.0
"""Length of a stretch that is trained on: many short ones show more of a day than a few long ones."""
TRAINING_FRAMES = 4 * MIN_FRAMES
"""Its frames, at least: none of its last four begins a window."""
CALIBRATION_SECONDS = 120.0
"""Length of a stretch of the calibration split: detectors look back over seconds, and return periods are of events."""
SPLITS: tuple[Literal["train", "calibration"], ...] = ("train", "calibration")

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A stretch of a clip of footage, in samples from its start: the clip's frames at `data.fps`."""

    split: Literal["train", "calibration"]
    first: int
    after: int
    """The sample behind its last one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """What is kept of a clip of footage that is not kept whole."""

    survey: Survey
    samples: Seconds
    """Times of its samples, seconds from its start."""
    kept: list[Kept]

    @property
    def bounds(self) -> Bounds:
        """Returns the bounds of the stretches, half-way between a sample that is kept and one that is not."""
        middles = (self.samples[1:] + self.samples[:-1]) / 2
        edges = [-math.inf, *middles.tolist(), math.inf]
        return [(edges[kept.first], edges[kept.after]) for kept in self.kept]


def cut(train: Sequence[Footage], data: DataConfig) -> dict[str, Cut]:
    """Returns what is kept of training clips, by name: the clips of each scene with more footage than its budget.

    Videos are read for it, and not decoded. Clips without frames are left out.
    """
    if not (data.train_frames or data.calibration_frames):
        return {}
    from stmae.video.survey import survey  # a machine that trains on frame folders may lack PyAV

    cuts: dict[str, Cut] = {}
    for scene in sorted({item.scene for item in train}):
        own = [item for item in train if item.scene == scene]
        surveys = [survey(item.path, item.folder_fps) for item in own]
        samples = [_samples(found, data.fps) for found in surveys]
        stretches = spread([len(each) for each in samples], data)
        if stretches is None:
            continue
        for item, found, taken, kept in zip(own, surveys, samples, stretches, strict=True):
            if len(taken):
                cuts[item.name] = Cut(found, taken, kept)
        frames = sum(each.after - each.first for kept in stretches for each in kept)
        log.info("%s: %d of %d frames are kept", scene or "normal footage", frames, sum(map(len, samples)))
    return cuts


def spread(samples: Sequence[int], data: DataConfig) -> list[list[Kept]] | None:
    """Returns the stretches that are kept of each clip of a scene; None where they are kept whole.

    `samples` are the numbers of samples of its clips. Stretches lie in one clip and do not overlap; those of the
    calibration split are placed first. A clip whose end a stretch would cross gets a part of it.
    """
    total = sum(samples)
    fraction = math.ceil(data.calibration_fraction * total)
    wanted = data.calibration_frames or fraction
    train = min(data.train_frames or total, total - min(wanted, fraction))
    calibration = min(wanted, total - train)
    if train >= total - fraction and calibration >= fraction:
        return None
    owner = np.zeros(total, np.int8)
    _mark(owner, 2, calibration, CALIBRATION_SECONDS * data.fps)
    _mark(owner, 1, train, max(TRAINING_SECONDS * data.fps, TRAINING_FRAMES))
    return [list(_runs(own)) for own in np.split(owner, np.cumsum(samples)[:-1])]


def _samples(found: Survey, fps: float) -> Seconds:
    """Returns the times of the frames that are sampled at `fps`."""
    sampler = Sampler(fps)
    return np.array([time_s for time_s in found.times.tolist() if sampler.takes(time_s)])


def _mark(owner: npt.NDArray[np.int8], mark: int, frames: int, length: float) -> None:
    """Marks `frames` samples that are still free, in at least two stretches of about `length`, spread evenly."""
    free = np.flatnonzero(owner == 0)
    count = max(round(frames / length), 2)
    for number in range(count):
        first = round((number + 0.5) * len(free) / count - frames / count / 2)
        owner[free[max(first, 0) : first + frames // count]] = mark


def _runs(own: npt.NDArray[np.int8]) -> Iterator[Kept]:
    """Yields the stretches of one clip that are long enough to be clips."""
    edges = np.flatnonzero(np.diff(own)) + 1
    for first, after in itertools.pairwise((0, *edges.tolist(), len(own))):
        if after - first >= MIN_FRAMES and own[first]:
            yield Kept(SPLITS[own[first] - 1], first, after)
