"""What a camera's tiles usually show, and how odd another one is to who knows that. numpy only.

Legend: F frames, tiles are [16,16] or flat [256].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import numpy.typing as npt

from stmae.scoring.raw import TILES, RawScores, rolling_quantile
from stmae.scoring.usual import Usual, Velocities, flat, steady

Kind = Literal["prediction", "motion", "appearance", "presence"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Oddity = Literal["prediction", "instant", "step", "appearance", "presence"]
"""What is asked of each tile. Two ask how it moves: from this frame to the next, and over a step."""
Floats = npt.NDArray[np.floating]

GAIT_SECONDS = 0.5
"""Over which a velocity, and a look, is one: about a step."""
STAY_SECONDS = 6.0
"""Length of the window over which something has to be there to be present."""
STAY_QUANTILE = 0.1
"""... for all but this share of it: who passes in front does not end a presence."""
CHECKS_PER_SECOND = 5.0
ALWAYS_WRONG = 10.0
"""Times the mean error of the view that a tile has to err on average, as a screen or a clock in the picture does, for
it to matter which tile it is. Below that, errors are alike wherever they are: by what a calm tile usually errs, trifles
would be odd."""
CONDITION = 4.0
"""Spreads, at most, by which a place may be unusual for half of a video and not be odd: a mount gave, the sun moved."""
FOLDS = 5
"""Groups of held-out clips, at most, each judged by a calibration on the others."""
MIN_ERROR = 1e-6
"""Added to errors before the logarithm."""
TRIFLE = 0.5
"""Of a video's median distance, added to distances before the logarithm: to be closer to the usual than most says
nothing."""


class Flow(NamedTuple):
    """How the tiles of a video move, pixels a frame: legs swing, and flow errs, in one and not in the other."""

    instant: Floats
    """[F,2,16,16] as it is from frame to frame."""
    step: Floats
    """[F,2,16,16] averaged over a step."""

    @classmethod
    def of(cls, flow_tiles: Floats, fps: float) -> Self:
        return cls(flow_tiles, steady(flow_tiles, flow_tiles, GAIT_SECONDS * fps))


class Traffic(NamedTuple):
    """Which velocities were seen at each tile."""

    instant: Velocities
    step: Velocities

    @classmethod
    def fit(cls, flows: Sequence[Flow]) -> Self:
        return cls(Velocities.fit([one.instant for one in flows]), Velocities.fit([one.step for one in flows]))

    def less(self, flows: Sequence[Flow]) -> Traffic:
        """Without what was seen in some of the clips."""
        part = Traffic.fit(flows)
        return Traffic(self.instant.less(part.instant), self.step.less(part.step))


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """Consecutive frames of one video, as far as they are calibrated."""

    error: Floats
    """[F,256] logarithm of the tile error."""
    place: Floats
    """[F,256] logarithm of the distance from what is usual at the place, as far as it lasts."""
    look: Floats
    """[F,256] squared distance from the nearest look of what moves, averaged over a step where it moves."""
    flow: Flow
    fps: float

    @classmethod
    def of(cls, evidence: RawScores, fps: float) -> Self:
        error, place = _log(evidence.error_tiles, MIN_ERROR), _staying(evidence.location_tiles, fps)
        flow, looks = evidence.flow_tiles, evidence.feature_tiles
        step = steady(np.concatenate([flow, looks[:, None]], axis=1), flow, GAIT_SECONDS * fps)
        look = np.where(step[:, :2].any(axis=1), step[:, 2], looks)
        return cls(error, place, flat(look), Flow(flow, step[:, :2]), fps)

    def halves(self) -> list[Sighting]:
        middle = len(self.error) // 2
        return [
            Sighting(
                self.error[half],
                self.place[half],
                self.look[half],
                Flow(self.flow.instant[half], self.flow.step[half]),
                self.fps,
            )
            for half in (slice(None, middle), slice(middle, None))
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Norm:
    """What each tile usually shows."""

    error: Floats
    """[256] logarithm of the error against which a tile's is judged; the median tile of a usual moment has it."""
    place: Usual
    traffic: Traffic

    @classmethod
    def fit(cls, seen: Sequence[Sighting], traffic: Traffic) -> Self:
        error, place = (np.concatenate([getattr(one, name) for one in seen]) for name in ("error", "place"))
        mean = np.exp(error).mean(axis=0)
        judged_by = np.log(mean + ALWAYS_WRONG * mean.mean())
        return cls(judged_by + np.median(error - judged_by), Usual.fit(place), traffic)

    def oddities(self, seen: Sighting) -> dict[Oddity, Floats]:
        """How odd each tile is, [F,256] each, in units of its own."""
        error = _beyond_view(seen.error - self.error)
        place = _beyond_view(self.place.deviation(seen.place))
        return {
            "prediction": error,
            "instant": self.traffic.instant.surprise(seen.flow.instant),
            "step": self.traffic.step.surprise(seen.flow.step),
            "appearance": seen.look,
            "presence": place - _condition(place),
        }

    def without(self, trained: Sighting) -> Norm:
        """The norm had it not seen a training clip: of those it knows traffic only."""
        return dataclasses.replace(self, traffic=self.traffic.less([trained.flow]))

    def unseen_oddities(self, seen: Sequence[Sighting]) -> list[dict[Oddity, Floats]]:
        """How odd each of the clips that it was fitted on is to a norm fitted on the others.

        The camera moves by part of a pixel from night to night, and the sun goes round: what differs between normal
        clips is not odd. A norm that is measured on its own clips would not know.
        """
        oddities: dict[int, dict[Oddity, Floats]] = {}
        for fold in range(min(FOLDS, len(seen))):
            own = range(fold, len(seen), FOLDS)
            traffic = self.traffic.less([seen[i].flow for i in own])
            others = Norm.fit([one for i, one in enumerate(seen) if i not in own], traffic)
            oddities |= {i: others.oddities(seen[i]) for i in own}
        return [oddities[i] for i in range(len(seen))]


def _staying(location_tiles: Floats, fps: float) -> Floats:
    """The logarithm of the distance that a place keeps up for STAY_SECONDS, [F,256].

    Looked at CHECKS_PER_SECOND times a second.
    """
    stride = max(round(fps / CHECKS_PER_SECOND), 1)
    checked = location_tiles[::stride]
    trifle = TRIFLE * float(np.median(checked)) if len(checked) else 0.0
    steady = rolling_quantile(_log(checked, max(trifle, MIN_ERROR)), round(STAY_SECONDS * fps / stride), STAY_QUANTILE)
    return np.asarray(steady[np.arange(len(location_tiles)) // stride])


def _beyond_view(odd_F256: Floats) -> Floats:
    """Less what half of the view, for half of a video, is above 0: a sharper picture, more noise, another light.

    What comes over the whole view for a while, as a lamp that blinds the camera, stays odd.
    """
    # Not the median of all tiles, which the least thing anywhere would change a little.
    view_F = np.median(odd_F256, axis=1)
    return odd_F256 - max(float(np.median(view_F)), 0.0) if len(view_F) else odd_F256


def _condition(place_F256: Floats) -> Floats:
    """What a video shows for half of its time, as far as it is no more than CONDITION spreads, [256]."""
    return np.clip(np.median(place_F256, axis=0), 0, CONDITION) if len(place_F256) else np.zeros(TILES * TILES)


def _log(tiles: Floats, floor: float) -> Floats:
    return np.asarray(np.log(flat(tiles) + floor))
