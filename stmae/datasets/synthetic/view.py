"""Views: where a synthetic camera stands, what it looks at, and where its light comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Backdrop:
    """The picture without figures. Colours are [H, W, 3] in 0..255."""

    ground: Floats
    """What lies behind and below the figures."""
    front: Floats
    """What stands between the figures and the camera."""
    cover: Floats
    """Where `front` stands: [H, W, 1] in 0..1."""
    light: Floats
    """Light on everything: [H, W, 1 or 3], 1 = plain daylight."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """A camera's view. Rows are fractions of the frame's height from the top, columns fractions of its width."""

    camera_height_m: float
    horizon: float
    """Row of the horizon; negative where the camera looks down on the scene."""
    pavement: tuple[float, float]
    """Rows of the far and the near edge of where people walk."""
    crossing: tuple[float, float]
    """Rows between which anomalies and normal movers pass."""
    spots: tuple[float, float]
    """Columns between which an actor that stays is in full view."""
    shadow: tuple[float, float]
    """The shadow of a metre of height: metres to the right, metres up the picture."""
    shade: float
    """Fraction of the light that a shadow takes."""
    noise: float
    """Standard deviation of the sensor noise, grey levels."""
    paint: Callable[[View, int, int, np.random.Generator], Backdrop]
    """View, height, width, random numbers -> the picture without figures."""

    @property
    def walked(self) -> tuple[float, float]:
        """Returns the farthest and the nearest row of people's feet."""
        return self.pavement[0] + 0.04, self.pavement[1] - 0.02

    def ground_m(self, height: int, width: int) -> tuple[Floats, Floats]:
        """Returns how far the ground at each pixel is from the camera and to its right, in metres, [H, W] each."""
        yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
        below = yy - self.horizon * height
        return 1.5 * height * self.camera_height_m / below, (xx - 0.45 * width) * self.camera_height_m / below
