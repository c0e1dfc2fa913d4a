"""Calibration: what a camera's normal footage looks like, and how unlikely a frame is among it. numpy only.

The combined score asks four things at each of the 16 x 16 tiles of a frame:

- `prediction`: the error of the prediction, against that of the whole view;
- `motion`: where the tile moves, against the velocities that were seen there and around, from this frame to the next
  and over a step;
- `appearance`: where the tile moves, what it looks like, against all that was seen to move;
- `presence`: something stands there, for seconds, that the tile does not usually show.

Each is turned into a surprise, -ln of the share of tiles of held-out normal footage that are at least as odd; for
predictions, of those tiles that move, or stand still, as it does. Each way to be odd (stmae.scoring.combine) has a
curve over the frames; the score is how unlikely these are among the frames of normal footage.

Legend: F frames, W ways to be odd, tiles are [16,16] or flat [256], V velocity bins.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from stmae.scoring.combine import WAYS, either, joined, tile_map, way_curves
from stmae.scoring.norm import Flow, Kind, Norm, Oddity, Sighting, Traffic
from stmae.scoring.raw import TILES, RawScores
from stmae.scoring.usual import BINS, Tail, Usual, Velocities

Shares = Literal["still", "moving", "instant", "step", "appearance", "presence"]
"""Where the shares of normal tiles are known from: predictions have two, of tiles that stand still and that move."""
Floats = npt.NDArray[np.floating]

OF_MANY = 1e6
"""Support of the tails of curves, exponential: the surprises that these are made of allow for few clips already."""
FEWEST = 1000
"""Tiles that a tail is fitted on, at least: with fewer that move, or stand still, all count for them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What is normal for a camera, fitted on normal footage."""

    norm: Norm
    tails: Mapping[Shares, Tail]
    """Of normal footage that the norm has not seen."""
    way_tails: tuple[Tail, ...]
    """Of the curves of its frames, in the order of stmae.scoring.combine.way_curves."""
    enter: float
    """Score above which an event starts."""
    exit: float
    """Score below which it ends."""
    smoothing_seconds: float
    min_seconds: float
    merge_seconds: float
    frames: int
    """Held-out frames it was fitted on."""

    def surprises(self, evidence: RawScores, fps: float) -> dict[Kind, Floats]:
        """[F,16,16] a kind: -ln of the share of normal tiles that are at least as odd."""
        return surprises_of(self.norm.oddities(Sighting.of(evidence, fps)), self.tails)

    def tile_map(self, evidence: RawScores, fps: float) -> Floats:
        """[F,16,16]: how odd each tile is, whatever its kind, nats. Where to look."""
        return tile_map(self.surprises(evidence, fps))

    def curve(self, surprises: Mapping[Kind, Floats], fps: float) -> Floats:
        """The combined score [F] of consecutive frames whose `surprises` are known; larger is odder."""
        return _joined(way_curves(surprises, self.smoothing_seconds * fps), self.way_tails)

    def score(self, evidence: RawScores, fps: float) -> Floats:
        """The combined score of consecutive frames of one video, [F]."""
        return self.curve(self.surprises(evidence, fps), fps)

    def alarm(self, scores: Floats) -> Floats:
        """Scores [F] as probabilities of an anomaly [F]: the posterior where a score is ln of a Bayes factor
        and the prior odds are such that it is a half at `exit`, where an event ends."""
        return 0.5 + 0.5 * np.tanh((scores - self.exit) / 2)

    def to_json(self) -> str:
        table = dataclasses.asdict(self)
        table["norm"]["traffic"] = {name: _sparse(seen) for name, seen in self.norm.traffic._asdict().items()}
        return json.dumps(table, sort_keys=True, default=lambda array: array.tolist()) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Inverse of `to_json`, bit for bit. Raises ValueError where the text is not a calibration."""
        try:
            table: dict[str, Any] = json.loads(text)
            norm = table.pop("norm")
            traffic = Traffic(**{name: _dense(seen) for name, seen in norm["traffic"].items()})
            place = Usual(**{field: np.array(values) for field, values in norm["place"].items()})
            tails = {name: _tail(tail) for name, tail in table.pop("tails").items()}
            if set(tails) != set(get_args(Shares)):
                raise ValueError(f"tails of {', '.join(sorted(tails))} where {', '.join(get_args(Shares))} are wanted")
            norm = Norm(np.array(norm["error"], np.float64), place, traffic)
            way_tails = tuple(map(_tail, table.pop("way_tails")))
            if len(way_tails) != len(WAYS):
                raise ValueError(f"way_tails: {len(way_tails)} where {len(WAYS)} are wanted")
            return cls(norm=norm, tails=tails, way_tails=way_tails, **table)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a calibration: {error!r}; publish the model again") from None

    def digest(self) -> str:
        """SHA-256 (hex)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def calibration_file(scene: str) -> str:
    """Name of the file with a scene's calibration; of the only scene, calibration.json."""
    return f"calibration-{scene}.json" if scene else "calibration.json"


def surprises_of(oddities: Mapping[Oddity, Floats], tails: Mapping[Shares, Tail]) -> dict[Kind, Floats]:
    """[F,256] each -> [F,16,16] a kind: -ln of the share of normal tiles that are at least as odd."""
    error, moves = oddities["prediction"], oddities["step"] > 0
    surprises: dict[Kind, Floats] = {
        "prediction": np.where(moves, tails["moving"].surprise(error), tails["still"].surprise(error)),
        "motion": either(*(tails[name].surprise(oddities[name]) for name in ("instant", "step"))),
        "appearance": np.where(moves, tails["appearance"].surprise(oddities["appearance"]), 0.0),
        "presence": tails["presence"].surprise(oddities["presence"]),
    }
    return {kind: each.reshape(-1, TILES, TILES) for kind, each in surprises.items()}


def fit_calibration(
    heldout: Sequence[RawScores],
    fps: Sequence[float],
    training_flow: Sequence[tuple[Floats, float]] = (),
    training: Sequence[tuple[RawScores, float]] = (),
    *,
    smoothing_seconds: float,
    enter_quantile: float,
    exit_quantile: float,
    min_seconds: float,
    merge_seconds: float,
) -> Calibration:
    """Fit on the evidence of held-out normal clips, and their frames a second.

    Training clips add what they can, with their frames a second: flow tiles [F,2,16,16], from which velocities are
    known too; and some of them evidence, which joins that of the held-out clips from the curves of frames on.
    Raises ValueError where there is no frame to fit on.
    """
    seen = [Sighting.of(clip, rate) for clip, rate in zip(heldout, fps, strict=True) if len(clip)]
    frames = sum(map(len, heldout))
    if frames < 2:
        raise ValueError("calibration: the held-out clips have no scored frames; hold out more or longer clips")
    seen = seen if len(seen) > 1 else seen[0].halves()
    trained = [Sighting.of(clip, rate) for clip, rate in training if len(clip)]
    flows = [Flow.of(flow, rate) for flow, rate in training_flow]
    norm = Norm.fit(seen, Traffic.fit([*flows, *(one.flow for one in seen)]))
    oddities = norm.unseen_oddities(seen)
    tails = _tails(oddities, len(seen), len(training_flow))
    oddities += [norm.without(one).oddities(one) for one in trained]
    curves = [
        way_curves(surprises_of(odd, tails), smoothing_seconds * one.fps)
        for one, odd in zip([*seen, *trained], oddities, strict=True)
    ]
    way_tails = tuple(Tail.fit(way, OF_MANY) for way in np.concatenate(curves, axis=1))
    scores = np.concatenate([_joined(each, way_tails) for each in curves])
    enter, exit_ = np.quantile(scores, (enter_quantile, exit_quantile))
    return Calibration(
        norm=norm,
        tails=tails,
        way_tails=way_tails,
        enter=float(enter),
        exit=float(exit_),
        smoothing_seconds=smoothing_seconds,
        min_seconds=min_seconds,
        merge_seconds=merge_seconds,
        frames=frames,
    )


def _joined(curves_WF: Floats, way_tails: Sequence[Tail]) -> Floats:
    return joined(np.stack([tail.surprise(way) for tail, way in zip(way_tails, curves_WF, strict=True)]))


def _sparse(velocities: Velocities) -> dict[str, npt.NDArray[np.integer]]:
    tile, velocity = np.nonzero(velocities.counts)
    return {"tile": tile, "bin": velocity, "count": velocities.counts[tile, velocity].astype(np.int64)}


def _dense(table: Mapping[str, Any]) -> Velocities:
    counts = np.zeros((TILES * TILES, BINS))
    counts[table["tile"], table["bin"]] = table["count"]
    return Velocities(counts)


def _tail(table: dict[str, Any]) -> Tail:
    return Tail(np.array(table.pop("knots")), **table)


def _tails(oddities: Sequence[Mapping[Oddity, Floats]], heldout: int, training: int) -> dict[Shares, Tail]:
    """Of so many held-out clips; what usually moves is also known from training clips."""
    every = {name: np.concatenate([odd[name].ravel() for odd in oddities]) for name in get_args(Oddity)}
    moves = every["step"] > 0

    def those(values: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
        return values[chosen] if chosen.sum() >= FEWEST else values

    known: dict[Shares, Floats] = {
        "still": those(every["prediction"], ~moves),
        "moving": those(every["prediction"], moves),
        "appearance": those(every["appearance"], moves),
        "presence": every["presence"],
    }
    tails = {name: Tail.fit(values, heldout - 1.0) for name, values in known.items()}
    of_all = heldout + training - 1.0
    return {**tails, "instant": Tail.fit(every["instant"], of_all), "step": Tail.fit(every["step"], of_all)}
