"""The synthetic camera: painted background, perspective, shadows, occlusion, light, lens and sensor noise."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt

from stmae.data.actors import Part

CAMERA_HEIGHT_M = 7.0
HORIZON = -0.15
"""Of the frame's height; above the frame, the camera looks down."""
PAVEMENT = (0.36, 0.90)
"""Far and near edge, of the frame's height."""
OVERSAMPLING = 3
SUBPIXEL_BITS = 4
NOISE = 2.2
"""Standard deviation of the sensor noise, grey levels."""

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """A figure in the scene."""

    parts: list[Part]
    x: float
    """Of the point between its feet, pixels."""
    y: float
    facing: float
    """1 = to the right, -1 = to the left; between them: turned towards or away from the camera."""
    lift: float = 0.0
    """Metres above the ground."""
    anomaly: bool = False


class Scene:
    """One camera's view. [height, width] pixels; the background depends on the seed alone."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = height, width
        rng = np.random.default_rng([seed, 0])
        self.background = _background(height, width, rng)
        self._post, self._post_alpha = _lamp_post(height, width)
        yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
        radius2 = ((xx / width - 0.5) ** 2 + (yy / height - 0.5) ** 2) * 2
        self._vignette = (1 - 0.22 * radius2)[..., None].astype(np.float32)

    def pixels_per_metre(self, y: float) -> float:
        """Scale of what stands at image row `y`."""
        return (y - HORIZON * self.height) / CAMERA_HEIGHT_M

    def render(self, figures: list[Placed], light: float, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
        """Draw the figures, far ones first. Returns the frame [H, W, 3] RGB and the anomaly's mask [H, W] 0/1."""
        size = (self.height * OVERSAMPLING, self.width * OVERSAMPLING)
        paint, cover, truth = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        shadow = np.zeros((self.height, self.width), np.uint8)  # soft anyway: needs no oversampling
        for figure in sorted(figures, key=lambda figure: figure.y):
            for part in figure.parts:
                points = self._project(figure, part)
                width = part.width * self.pixels_per_metre(figure.y)
                _draw(shadow, self._cast(figure, part), width, 255, 1)
                _draw(paint, points, width, part.colour)
                _draw(cover, points, width, 255)
                _draw(truth, points, width, 255 if figure.anomaly else 0)
        alpha = self._shrink(cover)[..., None]
        shade = cv2.GaussianBlur(shadow, (0, 0), 0.9).astype(np.float32)[..., None] * np.float32(0.38 / 255)
        # `paint` is black where nobody is: after shrinking it is already weighted with its cover.
        frame = self.background * (1 - shade) * (1 - alpha) + self._shrink(paint) * 255
        frame = frame * (1 - self._post_alpha) + self._post * self._post_alpha
        mask = (self._shrink(truth) * (1 - self._post_alpha[..., 0]) >= 0.5).astype(np.uint8)
        return self._expose(frame, light, rng), mask

    def _expose(self, frame: Floats, light: float, rng: np.random.Generator) -> Bytes:
        frame = cv2.GaussianBlur(frame, (0, 0), 0.55) * (self._vignette * light)
        grain = rng.standard_normal((self.height, self.width, 1), dtype=np.float32) * NOISE
        colour = rng.standard_normal((self.height, self.width, 3), dtype=np.float32) * (0.35 * NOISE)
        exposed: Bytes = np.clip(frame + grain + colour + 0.5, 0, 255).astype(np.uint8)
        return exposed

    def _shrink(self, layer: Bytes) -> Floats:
        small = cv2.resize(layer, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / np.float32(255)

    def _project(self, figure: Placed, part: Part) -> npt.NDArray[np.float64]:
        scale = self.pixels_per_metre(figure.y)
        x = figure.x + part.points[:, 0] * figure.facing * scale
        return np.stack([x, figure.y - (part.points[:, 1] + figure.lift) * scale], axis=1)

    def _cast(self, figure: Placed, part: Part) -> npt.NDArray[np.float64]:
        """The shadow on the ground, with the sun high on the left."""
        scale = self.pixels_per_metre(figure.y)
        height = part.points[:, 1] + figure.lift
        x = figure.x + (part.points[:, 0] * figure.facing + 0.62 * height) * scale
        return np.stack([x, figure.y - 0.16 * height * scale], axis=1)


def _draw(
    canvas: Bytes,
    points: npt.NDArray[np.float64],
    width: float,
    colour: int | tuple[int, int, int],
    scale: int = OVERSAMPLING,
) -> None:
    """Draw a part, given in pixels of the frame, onto a layer of `scale` times its resolution."""
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


def _background(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Wall with windows, hedge, slabs in perspective, lawn; [H, W, 3] in 0..255."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    row = yy / height
    image = _pavement(height, width, rng, yy, xx)
    image = np.where((row < 0.30)[..., None], _wall(height, width, rng), image)
    hedge_top = 0.27 + 0.03 * (_clouds(height, width, 0.03, rng)[:1] + 0.2)
    hedge = np.array([62, 82, 50], np.float32) * (1 + 0.38 * _clouds(height, width, 0.008, rng))[..., None]
    hedge *= (1.25 - 1.6 * np.clip(row - 0.28, 0, 0.1) / 0.1 * 0.4)[..., None]
    image = np.where(((row >= hedge_top) & (row < PAVEMENT[0] - 0.02))[..., None], hedge, image)
    lawn = np.array([100, 112, 76], np.float32) * (1 + 0.14 * _clouds(height, width, 0.005, rng))[..., None]
    lawn *= (1 + 0.1 * _clouds(height, width, 0.06, rng))[..., None]
    edge = PAVEMENT[1] + 0.012 * _clouds(height, width, 0.02, rng)[-1:]
    image = np.where((row > edge)[..., None], lawn, image)
    kerb = (row >= PAVEMENT[0] - 0.02) & (row < PAVEMENT[0])
    image = np.where(kerb[..., None], np.array([168, 164, 156], np.float32), image)
    image = _bench(image.astype(np.float32), height, width)
    # Shade of trees outside the view, over everything on the ground.
    shade = np.clip(_clouds(height, width, 0.09, rng) * 1.6 + 0.1, 0, 1) * (row > 0.33)
    image = image * (1 - 0.2 * shade[..., None])
    grey = image.mean(axis=2, keepdims=True)
    result: Floats = (0.72 * image + 0.28 * grey).astype(np.float32)  # cheap cameras have pale colours
    return result


def _pavement(height: int, width: int, rng: np.random.Generator, yy: Floats, xx: Floats) -> Floats:
    """Slabs of 1.2 x 1.2 m with joints and stains, seen in perspective."""
    below = yy - HORIZON * height
    depth = 1.5 * height * CAMERA_HEIGHT_M / below / 1.2
    across = (xx - 0.45 * width) * CAMERA_HEIGHT_M / below / 1.2 + 64
    slab = np.floor(depth).astype(int) * 131 + np.floor(across + 0.5 * (np.floor(depth) % 2)).astype(int)
    tone = rng.normal(0, 0.035, 4096).astype(np.float32)[slab % 4096]
    inside = np.minimum(_joint(depth), _joint(across + 0.5 * (np.floor(depth) % 2)))
    value = 146 * (1 + tone + 0.07 * _clouds(height, width, 0.05, rng) + 0.06 * _clouds(height, width, 0.004, rng))
    value = value * (0.84 + 0.16 * inside)
    slabs: Floats = value[..., None] * np.array([1.02, 1.0, 0.95], np.float32)
    return slabs


def _joint(position: Floats) -> Floats:
    """0 on the joint between slabs, 1 inside."""
    result: Floats = np.clip(np.abs((position % 1) - 0.5) * -14 + 7, 0, 1).astype(np.float32)
    return result


def _wall(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Brickwork with a row of windows and a door."""
    bottom = int(0.31 * height)
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = np.array([142, 112, 98], np.float32)
    course = max(3, height // 48)
    for i, y in enumerate(range(0, bottom, course)):
        wall[y : y + 1] *= 1.14
        for x in range((i % 2) * course, width, 2 * course):
            wall[y + 1 : y + course, x : x + 2 * course] *= 1 + rng.normal(0, 0.05)
            wall[y + 1 : y + course, x : x + 1] *= 1.1
    for left in np.arange(0.06, 1.0, 0.19):
        x0, x1 = int(left * width), int((left + 0.10) * width)
        y0, y1 = int(0.04 * height), int(0.19 * height)
        if 0.42 < left < 0.55:
            y1 = bottom
        wall[y0 - 1 : y1 + 2, x0 - 2 : x1 + 2] = (184, 178, 168)
        wall[y0:y1, x0:x1] = (58, 66, 76)
        glint = np.linspace(1.5, 0.8, x1 - x0, dtype=np.float32)[None, :, None]
        wall[y0:y1, x0:x1] *= glint
        wall[y0:y1, (x0 + x1) // 2] = (176, 170, 160)
    return wall * (1 + 0.05 * _clouds(height, width, 0.03, rng))[..., None]


def _bench(image: Floats, height: int, width: int) -> Floats:
    """A bench beside the path, with its shadow."""
    x0, x1, y = int(0.08 * width), int(0.24 * width), int(0.385 * height)
    step = max(1, height // 72)
    image[y + step : y + 3 * step, x0 + 2 * step : x1 + 4 * step] *= 0.7
    for row in range(3):
        top = y - 4 * step + row * 2 * step
        image[top : top + step, x0:x1] = (112, 84, 60)
    for leg in (x0 + step, x1 - 2 * step):
        image[y - 4 * step : y + 2 * step, leg : leg + step] = (52, 52, 54)
    return image


def _lamp_post(height: int, width: int) -> tuple[Floats, Floats]:
    """A post in front of everything: colour [H, W, 3] and cover [H, W, 1]."""
    cover = np.zeros((height * 4, width * 4), np.uint8)
    x, foot, half = 0.83 * width * 4, 0.955 * height * 4, 0.014 * height * 4
    shaft = [(x - half, foot), (x + half, foot), (x + 0.6 * half, 0), (x - 0.6 * half, 0)]
    top, bottom = foot - 5 * half, foot + half
    base = [(x - 2 * half, bottom), (x + 2 * half, bottom), (x + half, top), (x - half, top)]
    for outline in (shaft, base):
        cv2.fillPoly(cover, [np.array(outline, np.int32)], (255,))
    alpha = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None]
    shine = np.exp(-(((np.arange(width) - 0.826 * width) / (0.008 * width)) ** 2))
    tone = np.array([0.95, 1.0, 0.98]) * (70 + 40 * shine[:, None])
    return np.broadcast_to(tone.astype(np.float32), (height, width, 3)), alpha / np.float32(255)


def _clouds(height: int, width: int, scale: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of unit variance; `scale`: its grain, of the frame's height."""
    noise = rng.standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), max(0.4, scale * height))
    result: Floats = (smooth / smooth.std()).astype(np.float32)
    return result
