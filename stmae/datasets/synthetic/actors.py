"""Actors: figures on their paths through a synthetic scene."""

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
"""How long limbs keep swinging after a stop."""
REACH_M = 0.45
"""Farthest that small steps lead away from a spot."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stay:
    """What an actor does while it stays at a spot: it turns and takes a few small steps. Keyframes, [K] each."""

    times_s: npt.NDArray[np.float64]
    """Seconds since the stop."""
    offsets_m: npt.NDArray[np.float64]
    """Metres to the right of the spot."""
    facing: npt.NDArray[np.float64]
    """The direction faced, as in `Placed`."""

    @classmethod
    def around(cls, lasts_s: float, direction: int, rng: np.random.Generator) -> Stay:
        """Returns a random stay that ends at the spot, facing `direction`."""
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
        """Returns metres to the right of the spot, metres walked, facing, and how far the limbs swing (0 to 1)."""
        offset, facing = (float(np.interp(time_s, self.times_s, row)) for row in (self.offsets_m, self.facing))
        walked = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(self.offsets_m)))])
        steps = float(np.interp(time_s, self.times_s, walked))
        moving = steps - float(np.interp(time_s - 0.1, self.times_s, walked)) > 1e-3
        sways = 0.06 * (1 + math.sin(1.7 * time_s))
        gait = max(0.5 if moving else sways, 1 - time_s / COMES_TO_REST_S)
        return offset, steps, facing, gait if time_s < self.times_s[-1] else 1.0


def on_the_ground(_since_s: float) -> float:
    """Returns the height of an actor that does not fall, 0 m."""
    return 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """A figure on its path across the view. Times in seconds, lengths in metres, x and y in pixels."""

    pose: Pose
    enters_s: float
    y: float
    """Image row of its feet where it enters."""
    drift: float
    """Pixels a second, downwards."""
    speed: float
    direction: int
    """1 = to the right."""
    pause_s: tuple[float, float] = (0.0, 0.0)
    """When it stands still, since it entered, and for how long."""
    stay: Stay | None = None
    """What it does in the pause; None where it does not move at all."""
    margin_m: float = 1.3
    """Half the length of the figure and its shadow: so far beside the frame it is out of view."""
    drops_at: float | None = None
    """x at which it drops into the view; None where it comes from the edge."""
    height: Callable[[float], float] = on_the_ground
    """Seconds since it entered -> metres above the ground."""
    leaves_s: float = math.inf
    """When it disappears, since it entered."""
    abnormal_s: tuple[float, float] = (0.0, 0.0)
    """Begin and end of its being abnormal, since it entered."""

    def place(self, scene: Scene, time_s: float) -> Placed | None:
        """Returns the actor at a time of the clip; None while it is out of view."""
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
        """Returns x where it enters; `span` is half its length in pixels."""
        if self.drops_at is not None:
            return self.drops_at
        return -span if self.direction > 0 else scene.width + span

    def reaches_s(self, scene: Scene, x: float) -> float:
        """Returns when it passes x if it does not pause, in seconds since it entered."""
        scale = scene.pixels_per_metre(self.y)
        return (x - self.starts_at(scene, self.margin_m * scale)) * self.direction / (self.speed * scale)
