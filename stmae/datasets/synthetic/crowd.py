"""The normal actors of a synthetic scene: walkers, and the kind of mover that is normal in it."""

from __future__ import annotations

import numpy as np

from stmae.datasets.synthetic.actors import Actor
from stmae.datasets.synthetic.config import NORMAL_MOVERS, WalkwayConfig
from stmae.datasets.synthetic.figures import FIGURES, walker
from stmae.datasets.synthetic.scene import Scene
from stmae.datasets.synthetic.view import View

WALKING_M_S = (0.95, 1.4)
"""Slowest and fastest walker."""
SPEEDS_M_S = {"cyclist": 3.2, "cart": 2.9, "runner": 3.2, "fallen": 2.9}
"""Mean speeds of the faster kinds; single ones vary by the factors SPEED_FACTORS."""
SPEED_FACTORS = (0.92, 1.08)
MARGINS_M = {"cart": 2.0, "cyclist": 2.0}
"""Half lengths of the kinds that are longer than a walker."""
PAUSE_S = (1.0, 4.0)
"""Shortest and longest pause of a walker who stands still for a while."""
COMPANION_GAP = 0.035
"""Rows between two walkers side by side, as a fraction of the frame's height."""
LANE_GAP = 0.02
"""Rows from the middle of the pavement to each lane, as a fraction of the frame's height."""
MOVER_EVERY_S = 9.0
"""Mean time between two normal movers."""


def crowd(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """Returns walkers that arrive at random times, some before the clip starts.

    `config.walkers` of them are in view on average.
    """
    seconds = config.frames / config.fps
    typical_s = scene.width_m(sum(scene.view.pavement) / 2 * scene.height) / 1.2
    time = -1.6 * typical_s
    actors: list[Actor] = []
    while True:
        time += float(rng.exponential(typical_s / config.walkers))
        if time >= seconds:
            return actors
        row = float(rng.uniform(*scene.view.walked))
        direction = _random_direction(rng)
        speed = float(rng.uniform(*WALKING_M_S))
        pause = (float(rng.uniform(2, 8)), float(rng.uniform(*PAUSE_S))) if rng.random() < 0.12 else (0.0, 0.0)
        drift = float(rng.normal(0, 0.004)) * scene.height
        if config.one_way:
            low, high, direction = lane(scene.view, row)
            row, drift = min(max(row, low), high - COMPANION_GAP), 0.0
        y = row * scene.height
        for companion in range(2 if rng.random() < 0.2 else 1):
            beside = y + companion * COMPANION_GAP * scene.height
            late = time + companion * float(rng.uniform(0.1, 0.5))
            actors.append(Actor(walker(rng), late, beside, drift, speed, direction, pause))


def normal_movers(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """Returns the carts, runners or cyclists that are normal in the scene; none in scene 1."""
    kind = NORMAL_MOVERS[scene.number - 1]
    actors: list[Actor] = []
    if not kind:
        return actors
    time = float(rng.uniform(-5, 5))
    while time < config.frames / config.fps:
        y = float(rng.uniform(*scene.view.crossing)) * scene.height
        speed = SPEEDS_M_S[kind] * float(rng.uniform(*SPEED_FACTORS))
        direction = heading(config, scene, y, rng)
        margin_m = MARGINS_M.get(kind, 1.3)
        actors.append(Actor(FIGURES[kind](rng), time, y, 0.0, speed, direction, margin_m=margin_m))
        time += float(rng.uniform(0.5, 1.5)) * MOVER_EVERY_S
    return actors


def heading(config: WalkwayConfig, scene: Scene, y: float, rng: np.random.Generator) -> int:
    """Returns a direction, 1 = to the right: random, or that of the lane at image row `y`."""
    direction = _random_direction(rng)
    return lane(scene.view, y / scene.height)[2] if config.one_way else direction


def lane(view: View, row: float) -> tuple[float, float, int]:
    """Returns far row, near row and direction of the lane at a row; rows are fractions of the frame's height."""
    far, near = view.walked
    middle = (far + near) / 2
    return (far, middle - LANE_GAP, -1) if row < middle else (middle + LANE_GAP, near, 1)


def _random_direction(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1
