"""Plots as inline SVG: a curve over time with shaded spans, the ROC curve, bars and lines that compare.

Colours are the page's CSS variables. Coordinates are rounded to a tenth of a pixel to keep pages small.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 46.0, 12.0, 8.0, 30.0
FONT = 'font-size="12" fill="var(--soft)"'


def spans(labels: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Runs of 1 as [start, stop) ranges: [F] -> ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels, [0]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def curve(
    times: Floats,
    values: Floats,
    *,
    top: float,
    beside: Floats,
    threshold: float,
    shaded: Iterable[tuple[float, float]] = (),
    label: str,
    width: int = 1000,
    height: int = 150,
) -> str:
    """A curve of `values` in [0, `top`] over `times` in seconds, with `shaded` spans (seconds) behind it.

    A thin curve of `beside` in [0, 1] goes over the whole height; `threshold` is a dashed line at that value.
    """
    start, stop = float(times[0]), float(max(times[-1], times[0] + 1e-6))
    right, bottom = width - MARGIN_RIGHT, height - MARGIN_BOTTOM

    def x(time: float) -> float:
        return MARGIN_LEFT + (min(max(time, start), stop) - start) / (stop - start) * (right - MARGIN_LEFT)

    def y(value: float) -> float:
        return bottom - min(max(value / top, 0.0), 1.0) * (bottom - MARGIN_TOP)

    parts = [
        f'<rect x="{x(a):.1f}" y="{MARGIN_TOP}" width="{max(x(b) - x(a), 1):.1f}" '
        f'height="{bottom - MARGIN_TOP}" fill="var(--span)"/>'
        for a, b in shaded
    ]
    for value in (0.0, top / 2, top):
        parts.append(_rule(MARGIN_LEFT, y(value), right, y(value)))
        parts.append(_text(MARGIN_LEFT - 8, y(value) + 4, f"{value:.3g}", "end"))
    parts.append(_rule(MARGIN_LEFT, y(threshold), right, y(threshold), "var(--alarm)", 'stroke-dasharray="4 4"'))
    for tick in _ticks(start, stop):
        parts.append(_text(x(tick), height - 10, f"{tick:g} s", "middle"))
    for line, stroke, thickness in ((beside * top, "var(--soft)", 0.6), (values, "var(--accent)", 1.8)):
        points = [(x(time), y(value)) for time, value in zip(*_thin(times, line, width), strict=True)]
        parts.append(_line(points, stroke, thickness))
    return _svg(width, height, label, parts)


def roc(fpr: Sequence[float], tpr: Sequence[float], *, label: str, size: int = 380) -> str:
    """The ROC curve, with chance as a dashed line."""
    left, right, bottom = MARGIN_LEFT + 18, size - MARGIN_RIGHT, size - 46.0

    def x(value: float) -> float:
        return left + value * (right - left)

    def y(value: float) -> float:
        return bottom - value * (bottom - MARGIN_TOP)

    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [_rule(x(0), y(value), x(1), y(value)), _rule(x(value), y(0), x(value), y(1))]
        parts += [_text(x(0) - 8, y(value) + 4, f"{value:g}", "end"), _text(x(value), bottom + 16, f"{value:g}")]
    parts.append(_rule(x(0), y(0), x(1), y(1), "var(--soft)", 'stroke-dasharray="4 4"'))
    parts.append(_line([(x(a), y(b)) for a, b in zip(fpr, tpr, strict=True)], "var(--accent)", 2.0))
    parts.append(_text(x(0.5), size - 8, "normal frames flagged (false positive rate)"))
    middle = y(0.5)
    parts.append(
        f'<text x="12" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 12 {middle:.1f})" {FONT}>'
        "abnormal frames found (true positive rate)</text>"
    )
    return _svg(size, size, label, parts)


def bars(
    rows: Mapping[str, Sequence[Sequence[float]]],
    *,
    colours: Sequence[str],
    start: float,
    marks: Iterable[tuple[float, str]] = (),
    label: str,
    width: int = 1000,
) -> str:
    """A group of horizontal bars a row, from `start` to 1: a bar is as long as the mean of its values, each a dot.

    `colours` are those of a group's bars. A mark is a dashed line over all rows: its value and its colour.
    """
    thick, gap = 12.0, 12.0
    left = 16 + 7.2 * max(map(len, rows))
    right = width - MARGIN_RIGHT
    group = thick * len(colours) + gap
    bottom = MARGIN_TOP + group * len(rows)

    def x(value: float) -> float:
        return left + (min(max(value, start), 1.0) - start) / (1 - start) * (right - left)

    parts = []
    for tick in _ticks(start, 1.0):
        parts += [_rule(x(tick), MARGIN_TOP, x(tick), bottom), _text(x(tick), bottom + 18, f"{tick:g}")]
    for number, (name, series) in enumerate(rows.items()):
        top = MARGIN_TOP + number * group + gap / 2
        parts.append(_text(left - 8, top + thick * len(colours) / 2 + 4, name, "end"))
        for place, (values, colour) in enumerate(zip(series, colours, strict=True)):
            y = top + thick * place
            length = max(x(float(np.mean(values))) - left, 0.0)
            parts.append(
                f'<rect x="{left:.1f}" y="{y + 1:.1f}" width="{length:.1f}" height="{thick - 2:.1f}" '
                f'fill="{colour}" opacity="0.35"/>'
            )
            parts += [_dot(x(value), y + thick / 2, colour) for value in values]
    for value, colour in marks:
        parts.append(_rule(x(value), MARGIN_TOP, x(value), bottom, colour, 'stroke-dasharray="4 4"'))
    return _svg(width, round(bottom + MARGIN_BOTTOM), label, parts)


def lines(
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    at: Sequence[str],
    colours: Sequence[str],
    label: str,
    width: int = 480,
    height: int = 300,
) -> str:
    """A line for each curve through the means of its values at the places `at`, equally far apart; a value is a dot."""
    everything = [value for curve in curves.values() for values in curve for value in values]
    low, high = min(everything), max(everything)
    room = max(0.08 * (high - low), 0.002)
    low, high = low - room, high + room
    right, bottom = width - 28.0, height - MARGIN_BOTTOM

    def x(place: int) -> float:
        return MARGIN_LEFT + 16 + place / max(len(at) - 1, 1) * (right - MARGIN_LEFT - 16)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - MARGIN_TOP)

    parts = []
    for tick in _ticks(low, high):
        parts += [
            _rule(MARGIN_LEFT, y(tick), right + 12, y(tick)),
            _text(MARGIN_LEFT - 6, y(tick) + 4, f"{tick:g}", "end"),
        ]
    parts += [_text(x(place), height - 10, name) for place, name in enumerate(at)]
    for curve, colour in zip(curves.values(), colours, strict=True):
        parts += [_dot(x(place), y(value), colour, 2.5) for place, values in enumerate(curve) for value in values]
        parts.append(_line([(x(place), y(float(np.mean(values)))) for place, values in enumerate(curve)], colour, 2.0))
    return _svg(width, height, label, parts)


def _thin(times: Floats, values: Floats, most: int) -> tuple[Floats, Floats]:
    """At most about `most` points; of each bin the lowest and the highest stay, so that no peak is lost."""
    if len(values) <= most:
        return times, values
    keep: set[int] = {0, len(values) - 1}
    for chunk in np.array_split(np.arange(len(values)), most // 2):
        keep |= {int(chunk[np.argmin(values[chunk])]), int(chunk[np.argmax(values[chunk])])}
    index = np.array(sorted(keep))
    return times[index], values[index]


def _ticks(start: float, stop: float) -> list[float]:
    raw = (stop - start) / 8
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first, last = math.ceil(start / step), math.floor(stop / step)
    return [round(number * step, 6) for number in range(first, last + 1)]


def _rule(x1: float, y1: float, x2: float, y2: float, stroke: str = "var(--line)", style: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" {style}/>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {FONT}>{html.escape(text)}</text>'


def _dot(x: float, y: float, fill: str, radius: float = 3.5) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}"/>'


def _line(points: Iterable[tuple[float, float]], stroke: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}" stroke-linejoin="round"/>'


def _svg(width: int, height: int, label: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
