"""What is abnormal in a synthetic scene, and when it comes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from stmae.config import WalkwayConfig
from stmae.datasets.synthetic.actors import Actor, Stay
from stmae.datasets.synthetic.crowd import MARGINS_M, PAUSE_S, SPEEDS_M_S, SPREAD, WALKING_M_S, heading, lane
from stmae.datasets.synthetic.figures import BOX_SIDE_M, FIGURES, walker
from stmae.datasets.synthetic.scene import Scene

ABNORMAL_SHARE = 0.35
"""Of a test clip's frames, about."""
CLEARANCE = 0.03
"""Between what stays at a spot and who passes it, of the frame's height."""
BOX_RESTS_S = 0.6
DROP_HEIGHT_M, GRAVITY, BOUNCE = 3.2, 9.81, 0.35
LIES_S = (10.0, 14.0)
"""How long an object lies."""
HAND_M, SET_DOWN_M_S = 0.6, 1.0
"""From this height, and this slowly, somebody puts it down."""
STAYS_S = (12.0, 18.0)
LOITERS_AFTER_S = PAUSE_S[1]
"""Who stays longer than anybody of the crowd pauses is loitering."""


def with_anomalies(
    config: WalkwayConfig, scene: Scene, actors: list[Actor], kind: str, rng: np.random.Generator
) -> list[Actor]:
    """`actors` and what makes about ABNORMAL_SHARE of the clip abnormal, with normal footage around each spell."""
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
    """Something fast, from one side to the other."""
    row = float(rng.uniform(*scene.view.crossing)) * scene.height
    speed = SPEEDS_M_S[kind] * float(rng.uniform(*SPREAD))
    crossing_s = scene.width_m(row) / speed + (BOX_RESTS_S if kind == "fallen" else 0.0)
    actors = []
    for enters in _spells(config, crossing_s, rng):
        direction = heading(config, scene, row, rng)
        y = row + float(rng.uniform(-0.03, 0.03)) * scene.height
        actor = Actor(FIGURES[kind](rng), enters, y, 0.0, speed, direction, abnormal_s=(0.0, math.inf))
        if kind == "fallen":
            drops_at = (0.12 if direction > 0 else 0.88) * scene.width
            pause = (_lies_flat_s(0.45 * crossing_s, speed), BOX_RESTS_S)
            actor = dataclasses.replace(actor, pause_s=pause, drops_at=drops_at, height=_drop)
        actors.append(dataclasses.replace(actor, margin_m=MARGINS_M.get(kind, actor.margin_m)))
    return actors


def _objects(config: WalkwayConfig, scene: Scene, actors: list[Actor], rng: np.random.Generator) -> list[Actor]:
    """Something that one passer-by puts down and another takes away; in between it lies still."""
    lies_s = float(rng.uniform(*LIES_S))
    extras = []
    for enters in _spells(config, lies_s, rng):
        x, y = _spot(scene, 0.0, rng)
        actors = _giving_way(actors, scene, x, y)
        thing = Actor(FIGURES["object"](rng), enters, y, 0.0, 0.0, 1, abnormal_s=(0.0, lies_s))
        thing = dataclasses.replace(thing, drops_at=x, height=_set_down, leaves_s=lies_s)
        # They pass between it and the camera: it neither appears out of nothing nor vanishes into it.
        before = y + 0.5 * CLEARANCE * scene.height
        extras += [thing, *(_passer(config, scene, x, before, time, rng) for time in (enters, enters + lies_s))]
    return actors + extras


def _loiterers(config: WalkwayConfig, scene: Scene, actors: list[Actor], rng: np.random.Generator) -> list[Actor]:
    """Somebody who walks in, stays at a spot for long and walks on."""
    stays_s = float(rng.uniform(*STAYS_S))
    extras = []
    for begins in _spells(config, stays_s - LOITERS_AFTER_S, rng):
        x, y = _spot(scene, 0.05, rng)
        actors = _giving_way(actors, scene, x, y)
        actor = _passer(config, scene, x, y, begins - LOITERS_AFTER_S, rng)
        stops_s = begins - LOITERS_AFTER_S - actor.enters_s
        stay = Stay.around(stays_s, actor.direction, rng)
        abnormal = (stops_s + LOITERS_AFTER_S, stops_s + stays_s)
        extras.append(dataclasses.replace(actor, pause_s=(stops_s, stays_s), stay=stay, abnormal_s=abnormal))
    return actors + extras


def _wrong_way(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """A walker like the others, in the wrong direction."""
    actors = []
    row = float(rng.uniform(*scene.view.crossing))
    speed = float(rng.uniform(*WALKING_M_S))
    for enters in _spells(config, scene.width_m(row * scene.height) / speed, rng):
        low, high, direction = lane(scene.view, row)
        y = min(max(row, low), high) * scene.height
        actors.append(Actor(walker(rng), enters, y, 0.0, speed, -direction, abnormal_s=(0.0, math.inf)))
    return actors


def _spells(config: WalkwayConfig, lasts_s: float, rng: np.random.Generator) -> Iterator[float]:
    """When what lasts `lasts_s` begins, so often that it fills about ABNORMAL_SHARE of the clip."""
    seconds = config.frames / config.fps
    times = max(1, round(ABNORMAL_SHARE * seconds / lasts_s))
    slot = seconds / times
    for i in range(times):
        # A clip too short for a whole spell ends while the anomaly is in view.
        slack = max(slot - lasts_s, 0.55 * slot if times == 1 and lasts_s > 0.6 * slot else 0.0)
        yield i * slot + slack * float(rng.uniform(0.45, 0.7))


def _spot(scene: Scene, room: float, rng: np.random.Generator) -> tuple[float, float]:
    """x and y of somewhere to stay, with `room` to the sides, a share of the width."""
    left, right = scene.view.spots
    x = float(rng.uniform(left + room, right - room)) * scene.width
    return x, float(rng.uniform(*scene.view.crossing)) * scene.height


def _passer(config: WalkwayConfig, scene: Scene, x: float, y: float, time_s: float, rng: np.random.Generator) -> Actor:
    """A walker that passes x at a moment."""
    actor = Actor(walker(rng), 0.0, y, 0.0, float(rng.uniform(*WALKING_M_S)), heading(config, scene, y, rng))
    return dataclasses.replace(actor, enters_s=time_s - actor.reaches_s(scene, x))


def _giving_way(actors: list[Actor], scene: Scene, x: float, y: float) -> list[Actor]:
    """The crowd on its ways, but nobody through what stays at (x, y): they pass before or behind it."""
    clearance = CLEARANCE * scene.height
    ways = []
    for actor in actors:
        gap = actor.y + actor.drift * actor.reaches_s(scene, x) - y
        aside = math.copysign(max(clearance - abs(gap), 0.0), gap)
        ways.append(dataclasses.replace(actor, y=actor.y + aside))
    return ways


def _lies_flat_s(about_s: float, speed: float) -> float:
    """The moment nearest to `about_s` at which a tumbling box lies on a side."""
    return round(about_s * speed / BOX_SIDE_M) * BOX_SIDE_M / speed


def _drop(since_s: float) -> float:
    """Height in metres of something dropped `since_s` seconds ago that bounces once."""
    lands = math.sqrt(2 * DROP_HEIGHT_M / GRAVITY)
    if since_s < lands:
        return DROP_HEIGHT_M - GRAVITY / 2 * since_s**2
    up = BOUNCE * GRAVITY * lands
    after = since_s - lands
    return max(0.0, up * after - GRAVITY / 2 * after**2)


def _set_down(since_s: float) -> float:
    return max(0.0, HAND_M - SET_DOWN_M_S * since_s)
