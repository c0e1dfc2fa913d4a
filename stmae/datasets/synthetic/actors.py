"""How figures move through a synthetic scene: where each of them is at a moment, and whether that is abnormal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stmae.datasets.synthetic.figures import Pose
from stmae.datasets.synthetic.scene import Placed, Scene

STEP_M_S = 0.5
"""Speed of a small step to the side."""
COMES_TO_REST_S = 0.5
REACH_M = 0.45
"""How far a few steps lead away from a spot."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stay:
    """What somebody does who stays at a spot: turns, and takes a few small steps around it. Keyframes, [K] each."""

    times_s: npt.NDArray[np.float64]
    """Since the stop."""
    offsets_m: npt.NDArray[np.float64]
    """To the right of the spot."""
    facing: npt.NDArray[np.float64]
    """As in `Placed`."""

    @classmethod
    def around(cls, lasts_s: float, direction: int, rng: np.random.Generator) -> Stay:
        """Ends where it began, facing `direction`."""
        keys: list[tuple[float, float, float]] = [(0.0, 0.0, float(direction))]
        while (time := keys[-1][0] + float(rng.uniform(1.2, 3.0))) < lasts_s - 4:
            _, offset, facing = keys[-1]
            keys.append((time, offset, facing))
            if rng.random() < 0.5:
                keys.append((time + 0.5, offset, float(rng.uniform(-1, 1))))
            else:
                there = float(rng.uniform(-REACH_M, REACH_M))
                takes = abs(there - offset) / STEP_M_S
                keys += [(time + 0.3, offset, math.copysign(0.9, there - offset))]
                keys += [(time + 0.3 + takes, there, math.copysign(0.9, there - offset))]
        last, offset, _ = keys[-1]
        keys.append((last + 0.4, offset, math.copysign(0.9, -offset)))
        keys.append((last + 0.4 + abs(offset) / STEP_M_S, 0.0, math.copysign(0.9, -offset)))
        keys.append((lasts_s, 0.0, float(direction)))
        return cls(*np.array(keys).T)

    def at(self, time_s: float) -> tuple[float, float, float, float]:
        """Metres to the right of the spot, metres walked, facing, and how far the limbs swing."""
        offset, facing = (float(np.interp(time_s, self.times_s, row)) for row in (self.offsets_m, self.facing))
        walked = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(self.offsets_m)))])
        steps = float(np.interp(time_s, self.times_s, walked))
        moving = steps - float(np.interp(time_s - 0.1, self.times_s, walked)) > 1e-3
        sways = 0.06 * (1 + math.sin(1.7 * time_s))
        gait = max(0.5 if moving else sways, 1 - time_s / COMES_TO_REST_S)
        return offset, steps, facing, gait if time_s < self.times_s[-1] else 1.0


def on_the_ground(_since_s: float) -> float:
    """The height of what does not fall."""
    return 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """A figure on its way across the view. Seconds and metres; x and y in pixels."""

    pose: Pose
    enters_s: float
    y: float
    """Image row of its feet where it enters."""
    drift: float
    """Rows a second, downwards."""
    speed: float
    direction: int
    """1 = to the right."""
    pause_s: tuple[float, float] = (0.0, 0.0)
    """Stands still from, for."""
    stay: Stay | None = None
    """How it spends the pause; None: it does not move at all."""
    margin_m: float = 1.3
    """Half of what the figure and its shadow need beside the frame."""
    drops_at: float | None = None
    """Drops into the view at this x; None: comes from the edge."""
    height: Callable[[float], float] = on_the_ground
    """Seconds since it entered -> metres above the ground."""
    leaves_s: float = math.inf
    """Is gone, seconds since it entered."""
    abnormal_s: tuple[float, float] = (0.0, 0.0)
    """From, until; seconds since it entered."""

    def place(self, scene: Scene, time_s: float) -> Placed | None:
        """The actor at a moment; None while it is out of view."""
        since = time_s - self.enters_s
        if not 0 <= since < self.leaves_s:
            return None
        begins, lasts = self.pause_s
        waited = min(max(since - begins, 0.0), lasts)
        distance = self.speed * (since - waited)
        y = self.y + self.drift * (since - waited)
        scale = scene.pixels_per_metre(y)
        span = self.margin_m * scale
        x = self.starts_at(scene, span) + self.direction * distance * scale
        facing, gait = float(self.direction), 1.0
        if self.stay is not None and waited > 0:
            offset, steps, facing, gait = self.stay.at(waited)
            x, distance = x + offset * scale, distance + steps
        if not -span <= x <= scene.width + span:
            return None
        abnormal = self.abnormal_s[0] <= since < self.abnormal_s[1]
        return Placed(self.pose(distance, gait), x, y, facing, self.height(since), abnormal)

    def starts_at(self, scene: Scene, span: float) -> float:
        """x where it enters, when it is `span` pixels from its middle to its end."""
        if self.drops_at is not None:
            return self.drops_at
        return -span if self.direction > 0 else scene.width + span

    def reaches_s(self, scene: Scene, x: float) -> float:
        """When it passes x unless it pauses, seconds since it entered."""
        scale = scene.pixels_per_metre(self.y)
        return (x - self.starts_at(scene, self.margin_m * scale)) * self.direction / (self.speed * scale)
