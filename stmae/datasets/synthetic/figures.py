"""Figures: people and things of the synthetic scenes, posed by the distance that they have covered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stmae.datasets.synthetic.parts import Colour, Part, disc, line, pick, polygon, shade

Pose = Callable[[float, float], list[Part]]
"""Distance covered in metres, swing of the limbs (1 = full stride, 0 = standing) -> parts, back to front."""

BOX_SIDE_M = 1.05
TYRE: Colour = (28, 28, 30)
STEEL: Colour = (70, 74, 80)
SKIN: tuple[Colour, ...] = ((196, 152, 124), (150, 108, 84), (104, 74, 58), (214, 176, 150))
# Muted colours near the pavement's grey, as a camera sees a crowd in winter.
COATS: tuple[Colour, ...] = (
    (92, 96, 104), (74, 82, 100), (112, 100, 90), (96, 104, 92),
    (120, 116, 112), (84, 78, 76), (104, 88, 92), (136, 132, 124),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((70, 72, 80), (84, 80, 76), (62, 66, 78), (96, 94, 92))


def walker(rng: np.random.Generator) -> Pose:
    """Returns a pedestrian with an individual gait and muted clothes; some carry a bag."""
    tall = float(rng.uniform(0.88, 1.08))
    coat, trousers = pick(rng, COATS), pick(rng, TROUSERS)
    skin, hair = pick(rng, SKIN), shade(pick(rng, TROUSERS), -22)
    start, bag = float(rng.uniform(0, 2 * np.pi)), bool(rng.random() < 0.3)
    stride, swing = 1.42 * tall, float(rng.uniform(0.34, 0.44))

    def pose(distance: float, gait: float) -> list[Part]:
        phase = start + 2 * np.pi * distance / stride
        clothes = (coat, trousers, skin, hair)
        parts = _body(phase, tall, swing=swing * gait, flex=0.5 * gait, lean=0.03, arms=0.35 * gait, clothes=clothes)
        if bag:
            parts.append(polygon([(-0.26, 0.72), (-0.04, 0.72), (-0.04, 1.02), (-0.26, 1.02)], shade(coat, -28)))
        return parts

    return pose


def runner(rng: np.random.Generator) -> Pose:
    """Returns a runner: leaning forward, long strides, high knees, bent arms, sports clothes."""
    shirt = pick(rng, ((226, 96, 50), (232, 226, 90), (238, 238, 238)))
    skin = pick(rng, SKIN)
    clothes = (shirt, (34, 36, 46), skin, (50, 40, 34))

    def pose(distance: float, _gait: float) -> list[Part]:
        phase = 2 * np.pi * distance / 2.5
        return _body(phase, 1.08, swing=0.85, flex=1.35, lean=0.3, arms=0.9, clothes=clothes, bent_arms=True)

    return pose


def cyclist(rng: np.random.Generator) -> Pose:
    """Returns a rider who pedals a bicycle."""
    jacket = pick(rng, ((206, 60, 52), (226, 200, 64), (60, 120, 196)))
    skin, helmet = pick(rng, SKIN), (236, 236, 230)
    frame = pick(rng, ((190, 40, 40), (30, 60, 120), (24, 24, 26)))

    def pose(distance: float, _gait: float) -> list[Part]:
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
            parts.append(line([a, b], 0.06, frame))
        parts.append(line([(-0.2, 0.9), (0.46, 0.92)], 0.06, frame))
        for side, tone in ((np.pi, -20), (0.0, 0)):
            foot = (bracket[0] + 0.18 * np.sin(crank + side), bracket[1] + 0.18 * np.cos(crank + side))
            parts.append(line([hip, _knee(hip, foot, 0.46), foot], 0.17, shade((52, 56, 70), tone)))
        parts.append(line([hip, shoulder], 0.36, jacket))
        parts.append(line([shoulder, (0.4, 1.2), hand], 0.12, shade(jacket, -18)))
        parts += [disc((0.32, 1.76), 0.25, skin), disc((0.29, 1.82), 0.25, helmet)]
        return parts

    return pose


def cart(rng: np.random.Generator) -> Pose:
    """Returns an electric delivery cart with a roof and a driver, larger than any walker."""
    paint = pick(rng, ((232, 232, 226), (226, 190, 60), (66, 130, 90)))

    def pose(distance: float, _gait: float) -> list[Part]:
        bounce = 0.015 * np.sin(9 * distance)
        body = [(-1.5, 0.35), (1.35, 0.35), (1.5, 0.62), (1.3, 1.0), (0.65, 1.05), (-1.5, 1.05)]
        cargo = [(-1.5, 1.05), (-0.35, 1.05), (-0.35, 1.95), (-1.5, 1.95)]
        raised = np.array([0.0, bounce])
        parts = [
            polygon(np.array(cargo) + raised, shade(paint, -30)),
            line(np.array([(0.15, 1.0), (0.12, 1.45)]) + raised, 0.4, (70, 76, 96)),
            disc(np.array((0.16, 1.7)) + raised, 0.25, SKIN[0]),
            line(np.array([(0.2, 1.35), (0.55, 1.2)]) + raised, 0.1, (60, 66, 86)),
            line(np.array([(0.75, 1.05), (0.5, 1.98)]) + raised, 0.07, STEEL),
            polygon(np.array(body) + raised, paint),
            line(np.array([(-1.5, 0.72), (1.42, 0.72)]) + raised, 0.1, shade(paint, -60)),
            line(np.array([(-1.5, 2.0), (0.62, 2.0)]) + raised, 0.13, shade(paint, -12)),
            disc(np.array((1.4, 0.72)) + raised, 0.16, (250, 244, 200)),
        ]
        for centre in (-1.0, 0.9):
            parts += _wheel(centre, 0.34, distance, 0.16)
        return parts

    return pose


def fallen(rng: np.random.Generator) -> Pose:
    """Returns a large cardboard box that tumbles over its lowest corner, a quarter turn an edge length."""
    board = pick(rng, ((204, 168, 118), (190, 150, 100), (222, 210, 190)))

    def pose(distance: float, _gait: float) -> list[Part]:
        angle = -np.pi / 2 * distance / BOX_SIDE_M
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        half = BOX_SIDE_M / 2
        corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)]) @ turn.T
        raised = np.array([0.0, -corners[:, 1].min()])
        tape = np.array([(-half, 0.0), (half, 0.0)]) @ turn.T
        lid = np.array([(-half, half * 0.55), (half, half * 0.55), (half, half), (-half, half)]) @ turn.T
        return [
            polygon(corners + raised, board),
            polygon(lid + raised, shade(board, 24)),
            line(tape + raised, 0.1, shade(board, -70)),
        ]

    return pose


def luggage(rng: np.random.Generator) -> Pose:
    """Returns a large bag or box in the colours of people's clothes."""
    cloth = pick(rng, COATS + TROUSERS)
    half, high = float(rng.uniform(0.34, 0.44)), float(rng.uniform(0.46, 0.62))
    slope = 0.08 if rng.random() < 0.5 else 0.0  # a bag narrows to the top, a box does not
    top = half - slope

    def pose(_distance: float, _gait: float) -> list[Part]:
        return [
            line([(-0.14, high), (-0.1, high + 0.1), (0.1, high + 0.1), (0.14, high)], 0.05, shade(cloth, -34)),
            polygon([(-half, 0.0), (half, 0.0), (top, high), (-top, high)], cloth),
            polygon(
                [(-top - slope / 3, 0.66 * high), (top + slope / 3, 0.66 * high), (top, high), (-top, high)],
                shade(cloth, 16),
            ),
            line([(-half, 0.03), (half, 0.03)], 0.06, shade(cloth, -24)),
        ]

    return pose


FIGURES: dict[str, Callable[[np.random.Generator], Pose]] = {
    "cyclist": cyclist,
    "cart": cart,
    "runner": runner,
    "fallen": fallen,
    "object": luggage,
    "loiterer": walker,
    "wrong-way": walker,
}
"""The figure of each kind that a configuration can name."""


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
    """Returns a person seen from the side. `phase` is that of the gait, the others are joint angles, in radians."""
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
        parts.append(line([hip, knee, foot, foot + np.array((0.12 * tall, 0.0))], 0.15 * tall, shade(trousers, tone)))
        upper = lean - arms * np.sin(phase + side)
        lower = upper + (1.5 if bent_arms else 0.25)
        elbow = shoulder + 0.28 * tall * np.array((np.sin(upper), -np.cos(upper)))
        hand = elbow + 0.26 * tall * np.array((np.sin(lower), -np.cos(lower)))
        arm = line([shoulder, elbow, hand], 0.11 * tall, shade(coat, tone - 10))
        if tone:
            parts.append(arm)  # the far arm is behind the trunk
        else:
            parts += [line([hip, shoulder], 0.36 * tall, coat), arm]
    head = shoulder + 0.24 * up
    return [*parts, disc(head, 0.23 * tall, skin), disc(head + np.array((-0.03, 0.05 * tall)), 0.22 * tall, hair)]


def _wheel(centre: float, radius: float, distance: float, width: float = 0.07) -> list[Part]:
    """Returns a wheel with a spoke that turns with the distance covered."""
    ring = np.linspace(0, 2 * np.pi, 17)
    hub = np.array((centre, radius))
    rim = hub + (radius - width / 2) * np.stack([np.sin(ring), np.cos(ring)], axis=1)
    spoke = (radius - width) * np.array((np.sin(distance / radius), np.cos(distance / radius)))
    return [line(rim, width, TYRE), line([hub - spoke, hub + spoke], 0.04, STEEL)]


def _knee(hip: tuple[float, float], foot: tuple[float, float], bone: float) -> tuple[float, float]:
    """Returns the knee between two bones of equal length, bent to the front."""
    half = np.array((foot[0] - hip[0], foot[1] - hip[1])) / 2
    length = float(np.hypot(*half))
    bend = np.sqrt(max(bone**2 - length**2, 0.0)) / max(length, 1e-6)
    return float(hip[0] + half[0] - bend * half[1]), float(hip[1] + half[1] + bend * half[0])
