"""The synthetic camera: perspective, shadows, occlusion, light, lens and sensor noise."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt

from stmae.datasets.synthetic import hall, park, pavement, yard
from stmae.datasets.synthetic.parts import Part
from stmae.datasets.synthetic.view import Floats, View

VIEWS: dict[int, View] = {1: pavement.VIEW, 2: hall.VIEW, 3: park.VIEW, 4: yard.VIEW}
"""The view of each scene, by the scene's number."""

OVERSAMPLING = 3
"""Figures are drawn at this many times the frame's resolution."""
SUBPIXEL_BITS = 4
"""Fractional bits of the coordinates that OpenCV draws with."""

Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """A figure at its position in the scene."""

    parts: list[Part]
    x: float
    """Column of the point between its feet, pixels."""
    y: float
    """Row of the point between its feet, pixels."""
    facing: float
    """1 = to the right, -1 = to the left; values between are turned towards or away from the camera."""
    lift: float = 0.0
    """Metres above the ground."""
    anomaly: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class CameraDrift:
    """How a fixed camera differs from one recording to the next: mount, exposure, focus, gain."""

    shift: tuple[float, float]
    """Shift of the mount, pixels to the right and down."""
    level: float
    """Brightness, 1 = as painted."""
    blur: float
    """Standard deviation of the lens blur, pixels."""
    gain: float
    """Factor of the sensor noise."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> CameraDrift:
        """Returns a random shift of part of a pixel and slightly different exposure, focus and gain."""
        x, y = rng.normal(0, 0.2, 2)
        return cls((float(x), float(y)), rng.uniform(0.95, 1.05), rng.uniform(0.45, 0.65), rng.uniform(0.8, 1.2))


class Scene:
    """One camera's scene, [height, width] pixels. Its background depends on seed and scene number alone."""

    def __init__(self, height: int, width: int, seed: int, number: int = 1) -> None:
        self.height, self.width = height, width
        self.number, self.view = number, VIEWS[number]
        self._seed = seed
        self.backdrop = self.view.paint(self.view, height, width, self.random(0))
        yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
        radius2 = ((xx / width - 0.5) ** 2 + (yy / height - 0.5) ** 2) * 2
        self._light = (1 - 0.22 * radius2)[..., None].astype(np.float32) * self.backdrop.light

    def random(self, *purpose: int) -> np.random.Generator:
        """Returns random numbers that depend on the seed, the scene and the purpose alone."""
        # Scene 1 was made before there were numbers, and its footage must not change.
        return np.random.default_rng([self._seed, *purpose, *([] if self.number == 1 else [self.number])])

    def pixels_per_metre(self, y: float) -> float:
        """Returns the scale of a figure whose feet are at image row `y`."""
        return (y - self.view.horizon * self.height) / self.view.camera_height_m

    def width_m(self, y: float) -> float:
        """Returns how many metres of ground are in view at image row `y`."""
        return self.width * self.view.camera_height_m / (y - self.view.horizon * self.height)

    def render(
        self, figures: list[Placed], light: float, drift: CameraDrift, rng: np.random.Generator
    ) -> tuple[Bytes, Bytes]:
        """Draws the figures, far ones first. Returns the frame [H, W, 3] RGB and the mask [H, W], 1 = anomaly."""
        size = (self.height * OVERSAMPLING, self.width * OVERSAMPLING)
        paint, cover, truth = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        shadow = np.zeros((self.height, self.width), np.uint8)  # blurred later, so it needs no oversampling
        for figure in sorted(figures, key=lambda figure: figure.y):
            for part in figure.parts:
                points = self._project(figure, part)
                width = part.width * self.pixels_per_metre(figure.y)
                _draw(shadow, self._cast(figure, part), width, 255, 1)
                _draw(paint, points, width, part.colour)
                _draw(cover, points, width, 255)
                _draw(truth, points, width, 255 if figure.anomaly else 0)
        alpha = self._shrink(cover)[..., None]
        shade = cv2.GaussianBlur(shadow, (0, 0), 0.9).astype(np.float32)[..., None] * np.float32(self.view.shade / 255)
        # `paint` is black outside the figures: after shrinking it is already weighted with its cover.
        frame = self.backdrop.ground * (1 - shade) * (1 - alpha) + self._shrink(paint) * 255
        frame = frame * (1 - self.backdrop.cover) + self.backdrop.front * self.backdrop.cover
        mask = (self._shrink(truth) * (1 - self.backdrop.cover[..., 0]) >= 0.5).astype(np.uint8)
        return self._expose(frame, light, drift, rng), mask

    def _expose(self, frame: Floats, light: float, drift: CameraDrift, rng: np.random.Generator) -> Bytes:
        """Applies mount shift, lens blur, light and sensor noise."""
        x, y = drift.shift
        mount = np.array([[1, 0, x], [0, 1, y]], np.float32)
        moved = cv2.warpAffine(
            frame, mount, (self.width, self.height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        frame = cv2.GaussianBlur(moved, (0, 0), drift.blur) * (self._light * (light * drift.level))
        noise = self.view.noise * drift.gain
        grain = rng.standard_normal((self.height, self.width, 1), dtype=np.float32) * noise
        colour = rng.standard_normal((self.height, self.width, 3), dtype=np.float32) * (0.35 * noise)
        exposed: Bytes = np.clip(frame + grain + colour + 0.5, 0, 255).astype(np.uint8)
        return exposed

    def _shrink(self, layer: Bytes) -> Floats:
        """Reduces an oversampled layer to the frame's size, values in 0..1."""
        small = cv2.resize(layer, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / np.float32(255)

    def _project(self, figure: Placed, part: Part) -> npt.NDArray[np.float64]:
        """Returns the points of a part in pixels of the frame."""
        scale = self.pixels_per_metre(figure.y)
        x = figure.x + part.points[:, 0] * figure.facing * scale
        return np.stack([x, figure.y - (part.points[:, 1] + figure.lift) * scale], axis=1)

    def _cast(self, figure: Placed, part: Part) -> npt.NDArray[np.float64]:
        """Returns the points of a part's shadow on the ground, in pixels of the frame."""
        scale = self.pixels_per_metre(figure.y)
        height = part.points[:, 1] + figure.lift
        x = figure.x + (part.points[:, 0] * figure.facing + self.view.shadow[0] * height) * scale
        return np.stack([x, figure.y - self.view.shadow[1] * height * scale], axis=1)


def _draw(
    canvas: Bytes,
    points: npt.NDArray[np.float64],
    width: float,
    colour: int | tuple[int, int, int],
    scale: int = OVERSAMPLING,
) -> None:
    """Draws a part, given in pixels of the frame, on a layer of `scale` times its resolution."""
    fixed = np.round(points * (scale << SUBPIXEL_BITS)).astype(np.int32)
    value = colour if isinstance(colour, tuple) else (colour,)
    if width == 0:
        cv2.fillPoly(canvas, [fixed], value, cv2.LINE_8, SUBPIXEL_BITS)
    elif len(points) == 1:
        radius = round(width / 2 * (scale << SUBPIXEL_BITS))
        centre = (int(fixed[0, 0]), int(fixed[0, 1]))
        cv2.circle(canvas, centre, radius, value, cv2.FILLED, cv2.LINE_8, SUBPIXEL_BITS)
    else:
        cv2.polylines(canvas, [fixed], False, value, max(1, round(width * scale)), cv2.LINE_8, SUBPIXEL_BITS)
