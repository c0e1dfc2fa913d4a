"""Parts of a figure: coloured shapes as seen from the side.

Coordinates of a figure are in metres: u to the front, v up from the ground.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
"""RGB."""


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A line of some width, a disc (one point) or a filled polygon (width 0)."""

    points: npt.NDArray[np.float64]
    """[N, 2] metres."""
    width: float
    """Metres; 0 for a filled polygon."""
    colour: Colour


def line(points: npt.ArrayLike, width: float, colour: Colour) -> Part:
    """Returns a line through `points` [N, 2]."""
    return Part(np.asarray(points, np.float64).reshape(-1, 2), width, colour)


def disc(centre: npt.ArrayLike, diameter: float, colour: Colour) -> Part:
    """Returns a disc around `centre` [2]."""
    return line(centre, diameter, colour)


def polygon(points: npt.ArrayLike, colour: Colour) -> Part:
    """Returns a filled polygon with the corners `points` [N, 2]."""
    return Part(np.asarray(points, np.float64), 0.0, colour)


def pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """Returns one of `colours`, a little lighter or darker."""
    return shade(colours[int(rng.integers(len(colours)))], int(rng.integers(-8, 9)))


def shade(colour: Colour, by: int) -> Colour:
    """Returns a colour that is lighter by `by` grey levels, darker where `by` is negative."""
    red, green, blue = (min(max(value + by, 0), 255) for value in colour)
    return red, green, blue
