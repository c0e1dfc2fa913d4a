"""Calibration: what a camera's normal footage looks like, and how unlikely a frame is among it. numpy only.

The combined score. Three things are judged at each of the 16 x 16 tiles of a frame:

- `prediction`: the error of the prediction, against that of the whole view;
- `motion`: where the tile moves, against the velocities that were seen there and around;
- `presence`: something stands there, for seconds, that the tile does not usually show.

Each is turned into a surprise, -ln of the share of tiles of held-out normal footage that are at least as odd; for
predictions, of those tiles that move, or stand still, as it does. `tile_map` weighs the three together; the score of a
frame is the mean of its TOP_TILES highest tiles, smoothed over time.

Legend: F frames, tiles are [16,16] or flat [256], V velocity bins.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from stmae.score import TILES, Evidence, rolling_quantile, smooth
from stmae.usual import BINS, Tail, Usual, Velocities, flat, steady

Kind = Literal["prediction", "motion", "presence"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Shares = Literal["still", "moving", "motion", "presence"]
"""Where the shares of normal tiles are known from: predictions have two, of tiles that stand still and that move."""
Floats = npt.NDArray[np.floating]

TOP_TILES = 4
"""What is odd may be small; a tile alone would follow the noise."""
BASELINE_TILES = 4
GAIT_SECONDS = 0.5
"""Over which a velocity is one: about a step."""
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
KAPPA = 0.2
"""Of the e-values: the lower, the more is expected of what is odd, and the less of what is only unusual."""
FOLDS = 5
"""Groups of held-out clips, at most, each judged by a calibration on the others."""
FEWEST = 1000
"""Tiles that a tail is fitted on, at least: with fewer that move, or stand still, all count for them."""
MIN_ERROR, MIN_DISTANCE = 1e-6, 1e-3
"""Added before the logarithm."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """Consecutive frames of one video, as far as they are calibrated."""

    error: Floats
    """[F,256] logarithm of the tile error."""
    place: Floats
    """[F,256] logarithm of the distance from what is usual at the place, as far as it lasts."""
    flow: Floats
    """[F,2,16,16], averaged over a step."""
    fps: float

    @classmethod
    def of(cls, evidence: Evidence, fps: float) -> Self:
        error, place = _log(evidence.error_tiles, MIN_ERROR), _staying(evidence.place_tiles, fps)
        return cls(error, place, steady(evidence.flow_tiles, GAIT_SECONDS * fps), fps)

    def halves(self) -> list[Sighting]:
        middle = len(self.error) // 2
        return [
            Sighting(self.error[half], self.place[half], self.flow[half], self.fps)
            for half in (slice(None, middle), slice(middle, None))
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Norm:
    """What each tile usually shows."""

    error: Floats
    """[256] logarithm of the error against which a tile's is judged; the median tile of a usual moment has it."""
    place: Usual
    velocities: Velocities

    @classmethod
    def fit(cls, seen: Sequence[Sighting], velocities: Velocities) -> Self:
        error, place = (np.concatenate([getattr(one, name) for one in seen]) for name in ("error", "place"))
        mean = np.exp(error).mean(axis=0)
        judged_by = np.log(mean + ALWAYS_WRONG * mean.mean())
        return cls(judged_by + np.median(error - judged_by), Usual.fit(place), velocities)

    def oddities(self, seen: Sighting) -> dict[Kind, Floats]:
        """How odd each tile is, [F,256] a kind, in units of its own."""
        error = _beyond_view(seen.error - self.error)
        place = _beyond_view(self.place.deviation(seen.place))
        return {
            "prediction": error,
            "motion": self.velocities.surprise(seen.flow),
            "presence": place - _condition(place),
        }

    def without(self, trained: Sighting) -> Norm:
        """The norm had it not seen a training clip: of those it knows velocities only."""
        return dataclasses.replace(self, velocities=self.velocities.less(Velocities.fit([trained.flow])))

    def unseen_oddities(self, seen: Sequence[Sighting]) -> list[dict[Kind, Floats]]:
        """How odd each of the clips that it was fitted on is to a norm fitted on the others.

        The camera moves by part of a pixel from night to night, and the sun goes round: what differs between normal
        clips is not odd. A norm that is measured on its own clips would not know.
        """
        oddities: dict[int, dict[Kind, Floats]] = {}
        for fold in range(min(FOLDS, len(seen))):
            own = range(fold, len(seen), FOLDS)
            velocities = self.velocities.less(Velocities.fit([seen[i].flow for i in own]))
            others = Norm.fit([one for i, one in enumerate(seen) if i not in own], velocities)
            oddities |= {i: others.oddities(seen[i]) for i in own}
        return [oddities[i] for i in range(len(seen))]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What is normal for a camera, fitted on normal footage."""

    norm: Norm
    tails: Mapping[Shares, Tail]
    """Of normal footage that the norm has not seen."""
    frame_tail: Tail
    """Of the scores of its frames."""
    enter: float
    """Score above which an event starts."""
    exit: float
    """Score below which it ends."""
    smoothing_seconds: float
    min_seconds: float
    merge_seconds: float
    frames: int
    """Held-out frames it was fitted on."""

    def surprises(self, evidence: Evidence, fps: float) -> dict[Kind, Floats]:
        """[F,16,16] a kind: -ln of the share of normal tiles that are at least as odd."""
        return surprises_of(self.norm.oddities(Sighting.of(evidence, fps)), self.tails)

    def tile_map(self, evidence: Evidence, fps: float) -> Floats:
        """[F,16,16]: how odd each tile is, whatever its kind, nats. Where to look."""
        return weighed(self.surprises(evidence, fps))

    def curve(self, tile_map: Floats, fps: float) -> Floats:
        """The combined score [F] of the frames of a tile map; larger is odder."""
        return frame_score(tile_map, self.smoothing_seconds * fps)

    def score(self, evidence: Evidence, fps: float) -> Floats:
        """The combined score of consecutive frames of one video, [F]."""
        return self.curve(self.tile_map(evidence, fps), fps)

    def share(self, scores: Floats) -> Floats:
        """The share of normal frames that score lower, [F] of scores [F]; a half for all below their median."""
        return -np.expm1(-self.frame_tail.surprise(scores))

    def to_json(self) -> str:
        table = dataclasses.asdict(self)
        counts = self.norm.velocities.counts
        tile, velocity = np.nonzero(counts)
        counts = counts[tile, velocity]
        table["norm"]["velocities"] = {"tile": tile, "bin": velocity, "count": counts.astype(np.int64)}
        return json.dumps(table, sort_keys=True, default=lambda array: array.tolist()) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Inverse of `to_json`, bit for bit. Raises ValueError where the text is not a calibration."""
        try:
            table: dict[str, Any] = json.loads(text)
            norm = table.pop("norm")
            sparse, counts = norm["velocities"], np.zeros((TILES * TILES, BINS))
            counts[sparse["tile"], sparse["bin"]] = sparse["count"]
            place = Usual(**{field: np.array(values) for field, values in norm["place"].items()})
            tails = {name: _tail(tail) for name, tail in table.pop("tails").items()}
            if set(tails) != set(get_args(Shares)):
                raise ValueError(f"tails of {', '.join(sorted(tails))} where {', '.join(get_args(Shares))} are wanted")
            norm = Norm(np.array(norm["error"], np.float64), place, Velocities(counts))
            return cls(norm=norm, tails=tails, frame_tail=_tail(table.pop("frame_tail")), **table)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a calibration: {error!r}; publish the model again") from None

    def digest(self) -> str:
        """SHA-256 (hex)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def calibration_file(scene: str) -> str:
    """Name of the file with a scene's calibration; of the only scene, calibration.json."""
    return f"calibration-{scene}.json" if scene else "calibration.json"


def surprises_of(oddities: Mapping[Kind, Floats], tails: Mapping[Shares, Tail]) -> dict[Kind, Floats]:
    """[F,256] a kind -> [F,16,16] a kind: -ln of the share of normal tiles that are at least as odd."""
    error, motion = oddities["prediction"], oddities["motion"]
    surprises: dict[Kind, Floats] = {
        "prediction": np.where(motion > 0, tails["moving"].surprise(error), tails["still"].surprise(error)),
        "motion": tails["motion"].surprise(motion),
        "presence": tails["presence"].surprise(oddities["presence"]),
    }
    return {kind: each.reshape(-1, TILES, TILES) for kind, each in surprises.items()}


def weighed(surprises: Mapping[Kind, Floats]) -> Floats:
    """The tile map [F,16,16] of the surprises of each kind: ln of the mean of three e-values, nats.

    A surprise s is worth KAPPA * exp((1 - KAPPA) * s) (Vovk and Wang, "E-values: calibration, combination and
    applications", 2021): normal tiles are worth 1 on average, odd ones more. What is odd may move oddly, may also not
    be predicted, or may stand where nothing does: the mean of the e-values of motion, of motion times prediction, and
    of presence. As far as motion and prediction are independent, at most a share of exp(-x) of normal tiles has x or
    more.
    """
    prediction, motion, presence = (np.log(KAPPA) + (1 - KAPPA) * surprises[kind] for kind in KINDS)
    return np.asarray(np.logaddexp(np.logaddexp(motion, motion + prediction), presence) - np.log(3))


def frame_score(tile_map: Floats, sigma: float, tiles: int = TOP_TILES) -> Floats:
    """Mean of the highest tiles of each frame [F,16,16] -> [F], smoothed over `sigma` frames."""
    highest = np.partition(flat(tile_map), -tiles, axis=1)[:, -tiles:]
    return smooth(highest.mean(axis=1), sigma)


def flow_magnitude(evidence: Evidence) -> Floats:
    """The baseline: mean flow magnitude (pixels) of the BASELINE_TILES fastest tiles, [F]."""
    speed = np.hypot(evidence.flow_tiles[:, 0], evidence.flow_tiles[:, 1])
    return frame_score(speed, 0.0, BASELINE_TILES)


def fit_calibration(
    heldout: Sequence[Evidence],
    fps: Sequence[float],
    training_flow: Sequence[tuple[Floats, float]] = (),
    training: Sequence[tuple[Evidence, float]] = (),
    *,
    smoothing_seconds: float,
    enter_quantile: float,
    exit_quantile: float,
    min_seconds: float,
    merge_seconds: float,
) -> Calibration:
    """Fit on the evidence of held-out normal clips, and their frames a second.

    Training clips add what they can, with their frames a second: flow tiles [F,2,16,16], from which velocities are
    known too; and some of them evidence, from which enter and exit are.
    Raises ValueError where there is no frame to fit on.
    """
    seen = [Sighting.of(clip, rate) for clip, rate in zip(heldout, fps, strict=True) if len(clip)]
    frames = sum(map(len, heldout))
    if frames < 2:
        raise ValueError("calibration: the held-out clips have no scored frames; hold out more or longer clips")
    seen = seen if len(seen) > 1 else seen[0].halves()
    trained = [Sighting.of(clip, rate) for clip, rate in training if len(clip)]
    flows = [steady(flow, GAIT_SECONDS * rate) for flow, rate in training_flow]
    norm = Norm.fit(seen, Velocities.fit([*flows, *(one.flow for one in seen)]))
    oddities = norm.unseen_oddities(seen)
    tails = _tails(oddities, len(seen), len(training_flow))
    oddities += [norm.without(one).oddities(one) for one in trained]
    curves = [
        frame_score(weighed(surprises_of(odd, tails)), smoothing_seconds * one.fps)
        for one, odd in zip([*seen, *trained], oddities, strict=True)
    ]
    scores = np.concatenate(curves)
    enter, exit_ = np.quantile(scores, (enter_quantile, exit_quantile))
    return Calibration(
        norm=norm,
        tails=tails,
        frame_tail=Tail.fit(scores, len(curves) - 1.0),
        enter=float(enter),
        exit=float(exit_),
        smoothing_seconds=smoothing_seconds,
        min_seconds=min_seconds,
        merge_seconds=merge_seconds,
        frames=frames,
    )


def _tail(table: dict[str, Any]) -> Tail:
    return Tail(np.array(table.pop("knots")), **table)


def _tails(oddities: Sequence[Mapping[Kind, Floats]], heldout: int, training: int) -> dict[Shares, Tail]:
    """Of so many held-out clips; what usually moves is also known from training clips."""
    error, motion, presence = (np.concatenate([odd[kind].ravel() for odd in oddities]) for kind in KINDS)
    still, moving = (error[chosen] if chosen.sum() >= FEWEST else error for chosen in (motion == 0, motion > 0))
    known: dict[Shares, Floats] = {"still": still, "moving": moving, "presence": presence}
    tails = {name: Tail.fit(values, heldout - 1.0) for name, values in known.items()}
    return {**tails, "motion": Tail.fit(motion, heldout + training - 1.0)}


def _staying(place_tiles: Floats, fps: float) -> Floats:
    """The logarithm of the distance that a place keeps up for STAY_SECONDS, [F,256].

    Looked at CHECKS_PER_SECOND times a second.
    """
    stride = max(round(fps / CHECKS_PER_SECOND), 1)
    checked = _log(place_tiles[::stride], MIN_DISTANCE)
    steady = rolling_quantile(checked, round(STAY_SECONDS * fps / stride), STAY_QUANTILE)
    return np.asarray(steady[np.arange(len(place_tiles)) // stride])


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
