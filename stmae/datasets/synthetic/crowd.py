"""Who comes through a synthetic scene on an ordinary day: the crowd and the scene's normal traffic."""

from __future__ import annotations

import numpy as np

from stmae.config import WALKWAY_TRAFFIC, WalkwayConfig
from stmae.datasets.synthetic.actors import Actor
from stmae.datasets.synthetic.figures import FIGURES, walker
from stmae.datasets.synthetic.scene import Scene
from stmae.datasets.synthetic.view import View

WALKING_M_S = (0.95, 1.4)
SPEEDS_M_S = {"cyclist": 3.2, "cart": 2.9, "runner": 3.2, "fallen": 2.9}
"""Of what is faster, give or take SPREAD."""
SPREAD = (0.92, 1.08)
MARGINS_M = {"cart": 2.0, "cyclist": 2.0}
"""Of what is longer than a walker."""
PAUSE_S = (1.0, 4.0)
"""How long some of the crowd stand still."""
BESIDE = 0.035
"""Between companions, of the frame's height."""
LANE_GAP = 0.02
"""From the middle of the pavement to each lane, of the frame's height."""
TRAFFIC_EVERY_S = 9.0


def crowd(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """Walkers that arrive at random, some before the start; `config.walkers` are in view on average."""
    seconds = config.frames / config.fps
    typical_s = scene.width_m(sum(scene.view.pavement) / 2 * scene.height) / 1.2
    time = -1.6 * typical_s
    actors: list[Actor] = []
    while True:
        time += float(rng.exponential(typical_s / config.walkers))
        if time >= seconds:
            return actors
        row = float(rng.uniform(*scene.view.walked))
        direction = _either(rng)
        speed = float(rng.uniform(*WALKING_M_S))
        pause = (float(rng.uniform(2, 8)), float(rng.uniform(*PAUSE_S))) if rng.random() < 0.12 else (0.0, 0.0)
        drift = float(rng.normal(0, 0.004)) * scene.height
        if config.one_way:
            low, high, direction = lane(scene.view, row)
            row, drift = min(max(row, low), high - BESIDE), 0.0
        y = row * scene.height
        for companion in range(2 if rng.random() < 0.2 else 1):
            beside = y + companion * BESIDE * scene.height
            late = time + companion * float(rng.uniform(0.1, 0.5))
            actors.append(Actor(walker(rng), late, beside, drift, speed, direction, pause))


def traffic(config: WalkwayConfig, scene: Scene, rng: np.random.Generator) -> list[Actor]:
    """What else is normal in the scene."""
    kind = WALKWAY_TRAFFIC[scene.number - 1]
    actors: list[Actor] = []
    if not kind:
        return actors
    time = float(rng.uniform(-5, 5))
    while time < config.frames / config.fps:
        y = float(rng.uniform(*scene.view.crossing)) * scene.height
        speed = SPEEDS_M_S[kind] * float(rng.uniform(*SPREAD))
        direction = heading(config, scene, y, rng)
        margin_m = MARGINS_M.get(kind, 1.3)
        actors.append(Actor(FIGURES[kind](rng), time, y, 0.0, speed, direction, margin_m=margin_m))
        time += float(rng.uniform(0.5, 1.5)) * TRAFFIC_EVERY_S
    return actors


def heading(config: WalkwayConfig, scene: Scene, y: float, rng: np.random.Generator) -> int:
    """1 = to the right: either way, or as the lane at image row `y` has it."""
    direction = _either(rng)
    return lane(scene.view, y / scene.height)[2] if config.one_way else direction


def lane(view: View, row: float) -> tuple[float, float, int]:
    """Far row, near row and direction of the lane at a row."""
    far, near = view.walked
    middle = (far + near) / 2
    return (far, middle - LANE_GAP, -1) if row < middle else (middle + LANE_GAP, near, 1)


def _either(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1
