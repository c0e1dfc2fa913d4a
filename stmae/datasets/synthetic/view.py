"""A camera of the synthetic scenes: where it stands, what it looks at, where its light comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Backdrop:
    """What is in the picture when nobody is. Colours [H, W, 3] in 0..255."""

    ground: Floats
    """Behind and below the figures."""
    front: Floats
    """What stands between them and the camera..."""
    cover: Floats
    """... and where it does: [H, W, 1] in 0..1."""
    light: Floats
    """On all of it: [H, W, 1 or 3], 1 = plain daylight."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """One camera. Rows are shares of the frame's height, from the top."""

    camera_height_m: float
    horizon: float
    """Row; above the frame, the camera looks down."""
    pavement: tuple[float, float]
    """Far and near edge of where people walk, rows."""
    crossing: tuple[float, float]
    """Between these rows anomalies come."""
    spots: tuple[float, float]
    """Between these columns somebody or something that stays is in full view, shares of the width."""
    shadow: tuple[float, float]
    """What a metre of height casts on the ground: metres to the right, metres up the picture."""
    shade: float
    """How much of the light a shadow takes."""
    noise: float
    """Standard deviation of the sensor noise, grey levels."""
    paint: Callable[[View, int, int, np.random.Generator], Backdrop]
    """View, height, width, random numbers -> what it looks at."""

    @property
    def walked(self) -> tuple[float, float]:
        """Far and near row of people's feet."""
        return self.pavement[0] + 0.04, self.pavement[1] - 0.02

    def ground_m(self, height: int, width: int) -> tuple[Floats, Floats]:
        """Metres away from the camera and metres to the right, [H, W] each, of the ground at each pixel."""
        yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
        below = yy - self.horizon * height
        return 1.5 * height * self.camera_height_m / below, (xx - 0.45 * width) * self.camera_height_m / below
