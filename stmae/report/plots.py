"""Plots as SVG documents, drawn by matplotlib: scores over time, the ROC curve, bars and lines that compare.

Equal data give equal bytes (for one version of matplotlib). Matplotlib is imported when a plot is drawn, since it
comes with the extra `train` only.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stmae.report.page import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating]

STYLE = {
    "svg.fonttype": "none",  # text stays text: it is found, and it is small
    "svg.hashsalt": "stmae",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: equal widths on every machine
    "font.size": 10,
    "path.simplify_threshold": 0.5,  # pixels: long curves stay small, and no peak is lost
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.7,
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "lines.markersize": 4,
}
PIXELS_AN_INCH = 100
PERIODS = {
    1 / 3600: "1 s",
    1 / 60: "1 min",
    1.0: "1 h",
    24.0: "1 night",
    24e2: "100 nights",
    24e4: "10,000 nights",
    24e6: "1,000,000 nights",
}
"""Return periods, in hours, that an axis of scores has a line for."""
MARKERS = "os^Dv"


def spans(labels: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Returns the runs of 1 in [F] as [start, stop) ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels, [0]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def score_curve(
    times: Floats,
    score: Floats,
    psnr: Floats,
    *,
    limits: tuple[float, float],
    bound: float,
    labelled: Iterable[tuple[float, float]] = (),
    title: str,
) -> str:
    """Draws the score [F] = log10(return period in hours) over `times` [F] in seconds.

    `limits` are those of the score's axis; what is above is cut off. `bound` is the score beyond which the
    calibration tells nothing apart (dashed). `labelled` spans, in seconds, are shaded. The PSNR [F] in dB is a thin
    line on an axis of its own, upside down: up is anomalous for both.
    """
    with _figure(1000, 190) as figure:
        axes = figure.subplots()
        beside = axes.twinx()
        for start, stop in labelled:
            beside.axvspan(start, stop, color=COLOURS["span"], linewidth=0, gid="labelled")
        beside.plot(times, psnr, color=COLOURS["soft"], linewidth=0.6, gid="psnr")
        beside.invert_yaxis()
        beside.grid(visible=False)
        beside.set_ylabel("PSNR, dB")
        axes.set_zorder(beside.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.axhline(bound, color=COLOURS["alarm"], linewidth=1, linestyle=(0, (4, 4)), gid="bound")
        axes.plot(times, score, color=COLOURS["accent"], linewidth=1.6, gid="score")
        axes.set_ylim(*limits)
        shown = {np.log10(hours): name for hours, name in PERIODS.items() if limits[0] <= np.log10(hours) <= limits[1]}
        axes.set_yticks(list(shown), labels=list(shown.values()))
        axes.set_xlim(float(times[0]), float(max(times[-1], times[0] + 1e-3)))
        axes.xaxis.set_major_formatter("{x:g} s")
        return _svg(figure, title)


def roc(fpr: Sequence[float], tpr: Sequence[float], *, title: str) -> str:
    """Draws the ROC curve, with chance as a dashed line."""
    with _figure(400, 400) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=COLOURS["soft"], linewidth=1, linestyle=(0, (4, 4)), gid="chance")
        axes.plot(fpr, tpr, color=COLOURS["accent"], linewidth=2, gid="roc")
        axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
        axes.set_xlabel("normal frames flagged (false positive rate)")
        axes.set_ylabel("abnormal frames found (true positive rate)")
        return _svg(figure, title)


def bars(
    rows: Mapping[str, Sequence[Sequence[float]]],
    names: Sequence[str],
    *,
    reference: tuple[str, float] | None = None,
    end: float | None = None,
    x_label: str,
    title: str,
    width: int = 1000,
) -> str:
    """Draws a group of horizontal bars a row, a bar a name: as long as the mean of its values, each of them a dot.

    The axis is that of AUCs, which ends at 1, or one from 0 to `end`. `reference` is a name and a value that get a
    dashed line through all rows.
    """
    colours = (COLOURS["accent"], COLOURS["soft"], COLOURS["fine"])
    values = [value for series in rows.values() for one in series for value in one]
    lowest = min([*values, *([reference[1]] if reference else [])])
    thickness = 0.8 / len(names)
    with _figure(width, 110 + (14 * len(names) + 12) * len(rows)) as figure:
        axes = figure.subplots()
        for index, (name, colour) in enumerate(zip(names, colours, strict=False)):
            at = np.arange(len(rows)) + (index - (len(names) - 1) / 2) * thickness
            series = [row[index] for row in rows.values()]
            means = [float(np.mean(one)) for one in series]
            axes.barh(at, means, height=0.85 * thickness, color=colour, alpha=0.4, label=name)
            dots = [(value, y) for one, y in zip(series, at, strict=True) for value in one]
            axes.plot(*zip(*dots, strict=True), "o", color=colour, gid=f"values-{index}")
        if reference:
            name, value = reference
            axes.axvline(value, color=COLOURS["alarm"], linewidth=1, linestyle=(0, (4, 4)), label=name, gid="reference")
        axes.set_yticks(range(len(rows)), labels=list(rows))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0.5 if end is None and lowest >= 0.5 else 0.0, 1.0 if end is None else end)
        axes.set_xlabel(x_label)
        _legend(figure, axes)
        return _svg(figure, title)


def lines(
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    at: Sequence[str] | None = None,
    x_label: str,
    y_label: str,
    title: str,
    width: int = 1000,
    height: int = 280,
) -> str:
    """Draws a line for each curve through the means of its values, each of them a dot.

    The points are named `at`, equally far apart; without names they are numbered from 1.
    """
    from matplotlib.ticker import MaxNLocator

    with _figure(width, height) as figure:
        axes = figure.subplots()
        for number, (name, curve) in enumerate(curves.items()):
            points = np.arange(1, len(curve) + 1)
            colour = COLOURS["accent"] if len(curves) == 1 else _shade(number, len(curves))
            dots = [(point, value) for point, values in zip(points, curve, strict=True) for value in values]
            axes.plot(
                *zip(*dots, strict=True),
                MARKERS[number % len(MARKERS)],
                color=colour,
                alpha=0.6,
                gid=f"values-{number}",
            )
            axes.plot(points, [float(np.mean(values)) for values in curve], color=colour, linewidth=1.8, label=name)
        if at is None:
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        else:
            axes.set_xticks(range(1, len(at) + 1), labels=list(at))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if len(curves) > 1:
            _legend(figure, axes)
        return _svg(figure, title)


@contextlib.contextmanager
def _figure(width: int, height: int) -> Iterator[Figure]:
    """Gives a figure of so many pixels in the style of the pages, whatever the machine's own style is."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", STYLE]):
        yield Figure(figsize=(width / PIXELS_AN_INCH, height / PIXELS_AN_INCH), layout="constrained")


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata={**unsaid, "Title": title})
    return buffer.getvalue()


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(names), labelcolor=COLOURS["soft"])


def _shade(number: int, count: int) -> str:
    """Returns the colour of one of so many curves that are in order: the darker, the later."""
    import matplotlib
    from matplotlib.colors import to_hex

    return to_hex(matplotlib.colormaps["YlGnBu"](0.35 + 0.6 * number / max(count - 1, 1)))
