"""Who moves through the synthetic scene: figures as parts in metres, posed by the distance they have covered.

Actor coordinates: u to the front (metres), v up from the ground. A part is a line of some width, a disc (one
point) or a filled polygon (width 0); the scene scales, mirrors and draws it, and casts its shadow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
"""RGB."""
Anomaly = Literal["cyclist", "cart", "runner", "fallen"]
ANOMALIES: tuple[Anomaly, ...] = ("cyclist", "cart", "runner", "fallen")

BOX_SIDE_M = 1.05
TYRE: Colour = (28, 28, 30)
STEEL: Colour = (70, 74, 80)
SKIN: tuple[Colour, ...] = ((196, 152, 124), (150, 108, 84), (104, 74, 58), (214, 176, 150))
# Muted, near the pavement's grey: what a camera sees of a crowd in winter.
COATS: tuple[Colour, ...] = (
    (92, 96, 104), (74, 82, 100), (112, 100, 90), (96, 104, 92),
    (120, 116, 112), (84, 78, 76), (104, 88, 92), (136, 132, 124),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((70, 72, 80), (84, 80, 76), (62, 66, 78), (96, 94, 92))


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    points: npt.NDArray[np.float64]
    """[N, 2] metres."""
    width: float
    """Metres; 0 = filled polygon."""
    colour: Colour


Pose = Callable[[float], list[Part]]
"""Distance covered in metres -> parts, back to front."""


def walker(rng: np.random.Generator) -> Pose:
    """A pedestrian with a gait of their own and muted clothes; some carry a bag."""
    tall = float(rng.uniform(0.88, 1.08))
    coat, trousers = _pick(rng, COATS), _pick(rng, TROUSERS)
    skin, hair = _pick(rng, SKIN), _shade(_pick(rng, TROUSERS), -22)
    start, bag = float(rng.uniform(0, 2 * np.pi)), bool(rng.random() < 0.3)
    stride, swing = 1.42 * tall, float(rng.uniform(0.34, 0.44))

    def pose(distance: float) -> list[Part]:
        phase = start + 2 * np.pi * distance / stride
        parts = _body(phase, tall, swing=swing, flex=0.5, lean=0.03, arms=0.35, clothes=(coat, trousers, skin, hair))
        if bag:
            parts.append(_polygon([(-0.26, 0.72), (-0.04, 0.72), (-0.04, 1.02), (-0.26, 1.02)], _shade(coat, -28)))
        return parts

    return pose


def runner(rng: np.random.Generator) -> Pose:
    """Leans forward, long strides, high knees, bent arms, sports clothes."""
    shirt = _pick(rng, ((226, 96, 50), (232, 226, 90), (238, 238, 238)))
    skin = _pick(rng, SKIN)
    clothes = (shirt, (34, 36, 46), skin, (50, 40, 34))

    def pose(distance: float) -> list[Part]:
        phase = 2 * np.pi * distance / 2.5
        return _body(phase, 1.08, swing=0.85, flex=1.35, lean=0.3, arms=0.9, clothes=clothes, bent_arms=True)

    return pose


def cyclist(rng: np.random.Generator) -> Pose:
    """A rider on a bicycle, pedalling."""
    jacket = _pick(rng, ((206, 60, 52), (226, 200, 64), (60, 120, 196)))
    skin, helmet = _pick(rng, SKIN), (236, 236, 230)
    frame = _pick(rng, ((190, 40, 40), (30, 60, 120), (24, 24, 26)))

    def pose(distance: float) -> list[Part]:
        crank = 2 * np.pi * distance / 4.2
        hip, shoulder, hand, bracket = (-0.2, 1.02), (0.2, 1.52), (0.52, 1.08), (-0.02, 0.34)
        parts = []
        for centre in (-0.56, 0.58):
            parts += _wheel(centre, 0.37, distance)
        for a, b in (
            ((-0.56, 0.37), bracket),
            (bracket, (0.48, 0.95)),
            ((0.48, 0.95), (0.58, 0.37)),
            (bracket, (-0.2, 0.95)),
        ):
            parts.append(_line([a, b], 0.06, frame))
        parts.append(_line([(-0.2, 0.9), (0.46, 0.92)], 0.06, frame))
        for side, tone in ((np.pi, -20), (0.0, 0)):
            foot = (bracket[0] + 0.18 * np.sin(crank + side), bracket[1] + 0.18 * np.cos(crank + side))
            parts.append(_line([hip, _knee(hip, foot, 0.46), foot], 0.17, _shade((52, 56, 70), tone)))
        parts.append(_line([hip, shoulder], 0.36, jacket))
        parts.append(_line([shoulder, (0.4, 1.2), hand], 0.12, _shade(jacket, -18)))
        parts += [_disc((0.32, 1.76), 0.25, skin), _disc((0.29, 1.82), 0.25, helmet)]
        return parts

    return pose


def cart(rng: np.random.Generator) -> Pose:
    """An electric delivery cart with a roof and a driver, bigger than anything that walks."""
    paint = _pick(rng, ((232, 232, 226), (226, 190, 60), (66, 130, 90)))

    def pose(distance: float) -> list[Part]:
        bounce = 0.015 * np.sin(9 * distance)
        body = [(-1.5, 0.35), (1.35, 0.35), (1.5, 0.62), (1.3, 1.0), (0.65, 1.05), (-1.5, 1.05)]
        cargo = [(-1.5, 1.05), (-0.35, 1.05), (-0.35, 1.95), (-1.5, 1.95)]
        raised = np.array([0.0, bounce])
        parts = [
            _polygon(np.array(cargo) + raised, _shade(paint, -30)),
            _line(np.array([(0.15, 1.0), (0.12, 1.45)]) + raised, 0.4, (70, 76, 96)),
            _disc(np.array((0.16, 1.7)) + raised, 0.25, SKIN[0]),
            _line(np.array([(0.2, 1.35), (0.55, 1.2)]) + raised, 0.1, (60, 66, 86)),
            _line(np.array([(0.75, 1.05), (0.5, 1.98)]) + raised, 0.07, STEEL),
            _polygon(np.array(body) + raised, paint),
            _line(np.array([(-1.5, 0.72), (1.42, 0.72)]) + raised, 0.1, _shade(paint, -60)),
            _line(np.array([(-1.5, 2.0), (0.62, 2.0)]) + raised, 0.13, _shade(paint, -12)),
            _disc(np.array((1.4, 0.72)) + raised, 0.16, (250, 244, 200)),
        ]
        for centre in (-1.0, 0.9):
            parts += _wheel(centre, 0.34, distance, 0.16)
        return parts

    return pose


def fallen(rng: np.random.Generator) -> Pose:
    """A big cardboard box that tumbles over its lowest corner, a quarter turn for each edge length covered."""
    board = _pick(rng, ((204, 168, 118), (190, 150, 100), (222, 210, 190)))

    def pose(distance: float) -> list[Part]:
        angle = -np.pi / 2 * distance / BOX_SIDE_M
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        half = BOX_SIDE_M / 2
        corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)]) @ turn.T
        raised = np.array([0.0, -corners[:, 1].min()])
        tape = np.array([(-half, 0.0), (half, 0.0)]) @ turn.T
        lid = np.array([(-half, half * 0.55), (half, half * 0.55), (half, half), (-half, half)]) @ turn.T
        return [
            _polygon(corners + raised, board),
            _polygon(lid + raised, _shade(board, 24)),
            _line(tape + raised, 0.1, _shade(board, -70)),
        ]

    return pose


POSES: dict[Anomaly, Callable[[np.random.Generator], Pose]] = {
    "cyclist": cyclist,
    "cart": cart,
    "runner": runner,
    "fallen": fallen,
}


def _body(
    phase: float,
    tall: float,
    *,
    swing: float,
    flex: float,
    lean: float,
    arms: float,
    clothes: tuple[Colour, Colour, Colour, Colour],
    bent_arms: bool = False,
) -> list[Part]:
    """A figure from the side. `phase`: of the gait, radians; `swing`, `flex`, `lean`, `arms`: joint angles."""
    coat, trousers, skin, hair = clothes
    hip = np.array((0.0, (0.9 + 0.02 * np.cos(2 * phase)) * tall))
    up = np.array((np.sin(lean), np.cos(lean))) * tall
    shoulder = hip + 0.52 * up
    parts = []
    for side, tone in ((np.pi, -16), (0.0, 0)):
        thigh = swing * np.sin(phase + side)
        shank = thigh - flex * max(0.0, float(np.cos(phase + side)))
        knee = hip + 0.45 * tall * np.array((np.sin(thigh), -np.cos(thigh)))
        foot = knee + 0.43 * tall * np.array((np.sin(shank), -np.cos(shank)))
        parts.append(_line([hip, knee, foot, foot + np.array((0.12 * tall, 0.0))], 0.15 * tall, _shade(trousers, tone)))
        upper = lean - arms * np.sin(phase + side)
        lower = upper + (1.5 if bent_arms else 0.25)
        elbow = shoulder + 0.28 * tall * np.array((np.sin(upper), -np.cos(upper)))
        hand = elbow + 0.26 * tall * np.array((np.sin(lower), -np.cos(lower)))
        arm = _line([shoulder, elbow, hand], 0.11 * tall, _shade(coat, tone - 10))
        if tone:
            parts.append(arm)  # the far arm is behind the trunk
        else:
            parts += [_line([hip, shoulder], 0.36 * tall, coat), arm]
    head = shoulder + 0.24 * up
    return [*parts, _disc(head, 0.23 * tall, skin), _disc(head + np.array((-0.03, 0.05 * tall)), 0.22 * tall, hair)]


def _wheel(centre: float, radius: float, distance: float, width: float = 0.07) -> list[Part]:
    ring = np.linspace(0, 2 * np.pi, 17)
    hub = np.array((centre, radius))
    rim = hub + (radius - width / 2) * np.stack([np.sin(ring), np.cos(ring)], axis=1)
    spoke = (radius - width) * np.array((np.sin(distance / radius), np.cos(distance / radius)))
    return [_line(rim, width, TYRE), _line([hub - spoke, hub + spoke], 0.04, STEEL)]


def _knee(hip: tuple[float, float], foot: tuple[float, float], bone: float) -> tuple[float, float]:
    """The knee of two equal bones, bent to the front."""
    half = np.array((foot[0] - hip[0], foot[1] - hip[1])) / 2
    length = float(np.hypot(*half))
    bend = np.sqrt(max(bone**2 - length**2, 0.0)) / max(length, 1e-6)
    return float(hip[0] + half[0] - bend * half[1]), float(hip[1] + half[1] + bend * half[0])


def _line(points: npt.ArrayLike, width: float, colour: Colour) -> Part:
    return Part(np.asarray(points, np.float64).reshape(-1, 2), width, colour)


def _disc(centre: npt.ArrayLike, diameter: float, colour: Colour) -> Part:
    return _line(centre, diameter, colour)


def _polygon(points: npt.ArrayLike, colour: Colour) -> Part:
    return Part(np.asarray(points, np.float64), 0.0, colour)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return _shade(colours[int(rng.integers(len(colours)))], int(rng.integers(-8, 9)))


def _shade(colour: Colour, by: int) -> Colour:
    red, green, blue = (min(max(value + by, 0), 255) for value in colour)
    return red, green, blue
