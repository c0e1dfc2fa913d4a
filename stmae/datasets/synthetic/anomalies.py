"""The anomalies of a synthetic scene: what is abnormal, and when it comes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from stmae.datasets.synthetic.actors import Actor, Stay
from stmae.datasets.synthetic.config import WalkwayConfig
from stmae.datasets.synthetic.crowd import MARGINS_M, PAUSE_S, SPEED_FACTORS, SPEEDS_M_S, WALKING_M_S, heading, lane
from stmae.datasets.synthetic.figures import BOX_SIDE_M, FIGURES, walker
from stmae.datasets.synthetic.scene import Scene

ABNORMAL_FRACTION = 0.35
"""Fraction of a test clip's frames that are abnormal, approximately."""
CLEARANCE = 0.03
"""Rows between what stays at a spot and those who pass it, as a fraction of the frame's height."""
BOX_RESTS_S = 0.6
"""How long the falling box rests before it tumbles on."""
DROP_HEIGHT_M, GRAVITY_M_S2, BOUNCE = 3.2, 9.81, 0.35
LIES_S = (10.0, 14.0)
"""Shortest and longest time that an object lies."""
HAND_M, SET_DOWN_M_S = 0.6, 1.0
"""Height and speed at which an object is put down."""
STAYS_S = (12.0, 18.0)
"""Shortest and longest stay of a loiterer."""
LOITERS_AFTER_S = PAUSE_S[1]
"""A stay is loitering once it is longer than any pause of a normal walker."""


def with_anomalies(
    config: WalkwayConfig, scene: Scene, actors: list[Actor], kind: str, rng: np.random.Generator
) -> list[Actor]:
    """Returns `actors` and the anomalies of a test clip, with normal footage before and after each of them."""
    match kind:
        case "object":
            return _objects(config, scene, actors, rng)
        case "loiterer":
            return _loiterers(config, scene, actors, rng)
        case "wrong-way":
            return actors + _wrong_way(config, scene, rng)
        case _:
            return actors + _crossings(config, scene, kind, rng)


def _crossings(config: WalkwayConfig, scene: Scene, kind: str, rng: np.random.Generator) -> list[Actor]:
    """Returns fast actors that cross the view from one side to the other."""
    row = float(rng.uniform(*scene.view.crossing)) * scene.height
    speed = SPEEDS_M_S[kind] * float(rng.uniform(*SPEED_FACTORS))
    crossing_s = scene.width_m(row) / speed + (BOX_RESTS_S if kind == "fallen" else 0.0)
    actors = []
    for enters in _start_times(config, crossing_s, rng):
        direction = heading(config, scene, row, rng)
        y = row + float(rng.uniform(-0.03, 0.03)) * scene.height
        actor = Actor(FIGURES[kind](rng), enters, y, 0.0, speed, direction, abnormal_s=(0.0, math.inf))
        if kind == "fallen":
            drops_at = (0.12 if direction > 0 else 0.88) * scene.width
            pause = (_lies_flat_s(0.45 * crossing_s, speed), BOX_RESTS_S)
            actor = dataclasses.replace(actor, pause_s=pause, drops_at=drops_at, height=_drop_m)
        actors.append(dataclasses.replace(actor, margin_m=MARGINS_M.get(kind, actor.margin_m)))
    return actors


def _objects(config: WalkwayConfig, scene: Scene, actors: list[Actor], rng: np.random.Generator) -> list[Actor]:
    """Adds objects that one passer-by puts down and another takes away; between the two they lie still."""
    lies_s = float(rng.uniform(*LIES_S))
    extras = []
    for enters in _start_times(config, lies_s, rng):
        x, y = _spot(scene, 0.0, rng)
        actors = _avoiding(actors, scene, x, y)
        thing = Actor(FIGURES["object"](rng), enters, y, 0.0, 0.0, 1, abnormal_s=(0.0, lies_s))
        thing = dataclasses.replace(thing, drops_at=x, height=_set_down_m, leaves_s=lies_s)
        # Both pass between the object and the camera, so that it neither appears nor vanishes in full view.
        before = y + 0.5 * CLEARANCE * scene.height
        extras += [thing, *(_passer(config, scene, x, before, time, rng) for time in (enters, enters + lies_s))]
    return actors + extras


def _loiterers(config: WalkwayConfig, scene: Scene, actors: list[Actor], rng: np.random.Generator) -> list[Actor]:
    """Adds walkers who stay at a spot for long and walk on."""
    stays_s = float(rng.uniform(*STAYS_S))
    extras = []
    for begins in _start_times(config, stays_s - LOITERS_AFTER_S, rng):
        x, y = _spot(scene, 0.05, rng)
        actors = _avoiding(actors, scene, x, y)
        actor = _passer(config, scene, x, y, begins - LOITERS_AFTER_S, rng)
        stops_s = begins - LOITERS_AFTER_S - actor.enters_s
        stay = Stay.around(stays_s, actor.direction, rng)
        abnormal = (stops_s + LOITERS_AFTER_S, stops_s + stays_s)
        extras.append(dataclasses.replace(actor, pause_s=(stops_s, stays_s), stay=stay, abnormal_s=abnormal))
    return actors + extras


def _wrong_way(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """Returns walkers who walk against the direction of their lane."""
    actors = []
    row = float(rng.uniform(*scene.view.crossing))
    speed = float(rng.uniform(*WALKING_M_S))
    for enters in _start_times(config, scene.width_m(row * scene.height) / speed, rng):
        low, high, direction = lane(scene.view, row)
        y = min(max(row, low), high) * scene.height
        actors.append(Actor(walker(rng), enters, y, 0.0, speed, -direction, abnormal_s=(0.0, math.inf)))
    return actors


def _start_times(config: WalkwayConfig, lasts_s: float, rng: np.random.Generator) -> Iterator[float]:
    """Yields when anomalies of `lasts_s` seconds begin, so that they fill ABNORMAL_FRACTION of the clip."""
    seconds = config.frames / config.fps
    times = max(1, round(ABNORMAL_FRACTION * seconds / lasts_s))
    slot = seconds / times
    for i in range(times):
        # A clip too short for a whole anomaly ends while it is in view.
        slack = max(slot - lasts_s, 0.55 * slot if times == 1 and lasts_s > 0.6 * slot else 0.0)
        yield i * slot + slack * float(rng.uniform(0.45, 0.7))


def _spot(scene: Scene, room: float, rng: np.random.Generator) -> tuple[float, float]:
    """Returns x and y of a spot to stay at, at least `room` (a fraction of the width) inside the view's free part."""
    left, right = scene.view.spots
    x = float(rng.uniform(left + room, right - room)) * scene.width
    return x, float(rng.uniform(*scene.view.crossing)) * scene.height


def _passer(config: WalkwayConfig, scene: Scene, x: float, y: float, time_s: float, rng: np.random.Generator) -> Actor:
    """Returns a walker that passes the column x at the time `time_s`."""
    actor = Actor(walker(rng), 0.0, y, 0.0, float(rng.uniform(*WALKING_M_S)), heading(config, scene, y, rng))
    return dataclasses.replace(actor, enters_s=time_s - actor.reaches_s(scene, x))


def _avoiding(actors: list[Actor], scene: Scene, x: float, y: float) -> list[Actor]:
    """Returns the actors with paths that pass before or behind the spot (x, y) instead of through it."""
    clearance = CLEARANCE * scene.height
    avoiding = []
    for actor in actors:
        gap = actor.y + actor.drift * actor.reaches_s(scene, x) - y
        aside = math.copysign(max(clearance - abs(gap), 0.0), gap)
        avoiding.append(dataclasses.replace(actor, y=actor.y + aside))
    return avoiding


def _lies_flat_s(about_s: float, speed: float) -> float:
    """Returns the time nearest to `about_s` at which a tumbling box lies on a side."""
    return round(about_s * speed / BOX_SIDE_M) * BOX_SIDE_M / speed


def _drop_m(since_s: float) -> float:
    """Returns the height of something dropped `since_s` seconds ago that bounces once."""
    lands = math.sqrt(2 * DROP_HEIGHT_M / GRAVITY_M_S2)
    if since_s < lands:
        return DROP_HEIGHT_M - GRAVITY_M_S2 / 2 * since_s**2
    up = BOUNCE * GRAVITY_M_S2 * lands
    after = since_s - lands
    return max(0.0, up * after - GRAVITY_M_S2 / 2 * after**2)


def _set_down_m(since_s: float) -> float:
    """Returns the height of something that a hand began to put down `since_s` seconds ago."""
    return max(0.0, HAND_M - SET_DOWN_M_S * since_s)
