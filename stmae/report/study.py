"""A study as one self-contained HTML page: a chart, and the table of its variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from stmae.evaluation.study import NO_TOP_K
from stmae.evaluation.study_table import FIGURES, Result, Table, values_of
from stmae.report import plots
from stmae.report.figures import Words, heading, in_digits
from stmae.report.page import render
from stmae.report.pictures import Picture, svg

STUDIES = {
    "seeds": Words("Seeds", "The same configuration trained with several seeds: how far apart equal models are."),
    "ablation": Words(
        "Ablation",
        "The eight models of the paper's Table 2: fewer streams, no memories, fewer losses. The spatial memory is that "
        "of the appearance stream, the temporal memory that of the motion stream; L_m compares flows, L_c keeps memory "
        "items apart, L_adv is the discriminator's.",
    ),
    "sensitivity": Words(
        "Sensitivity to N and k",
        "N is the number of items of each memory; k is how many queries write to an item in a step.",
    ),
    "encoders": Words(
        "Frozen and fine-tuned encoders",
        "Encoders stay as their proxy tasks left them, or are trained on with the prediction.",
    ),
    "effects": Words(
        "What losses and training are worth",
        "The generator's loss without one of its parts, and a training cut short. L_m compares flows, L_c keeps memory "
        "items apart, L_adv is the discriminator's.",
    ),
    "scenes": Words(
        "One memory, and memory per scene",
        "Several cameras under one model: one memory pool for all of them, or one each beside a pool that they share. "
        "Each camera has its own calibration in both.",
    ),
}
"""What a study is called, and what it compares."""
CHARTED = {"combined_auc_micro_raw": "combined", "psnr_auc_micro_raw": "PSNR (the paper's score)"}
"""The figures of the charts: all raw, as is the baseline."""
BASELINE = "flow_magnitude_auc_micro_raw"
"""The baseline has no model: it is the same for all variants."""


class Head(NamedTuple):
    """A column's heading, in two lines."""

    first: str
    second: str


class Cell(NamedTuple):
    """A figure of a variant: the mean over the seeds and, where there are several, the value of each."""

    mean: str
    each: list[str]


class Row(NamedTuple):
    name: str
    columns: list[bool | int | str]
    """What sets the variant apart."""
    cells: list[Cell]


def study_report(table: Table, out: Path) -> Path:
    """Writes the page to `out` and returns it."""
    shown = [figure for figure in FIGURES if values_of(table.variants, figure)]
    words = STUDIES[table.study]
    charts = _lines(table) if table.study == "sensitivity" else _bars(table)
    page = render(
        "study.html.j2",
        title=f"{words.name}: {table.config}",
        about=words.meaning,
        seeds=table.seeds,
        charts=charts,
        columns=list(table.variants[0].columns),
        heads=[Head(*heading(figure)) for figure in shown],
        rows=[_row(name, results, shown) for name, results in table.rows().items()],
        labelled=bool(values_of(table.variants, next(iter(CHARTED)))),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def _row(name: str, results: Sequence[Result], shown: Sequence[str]) -> Row:
    return Row(name, list(results[0].columns.values()), [_cell(figure, values_of(results, figure)) for figure in shown])


def _cell(figure: str, values: Sequence[float]) -> Cell:
    if not values:
        return Cell("", [])
    each = [in_digits(figure, value) for value in values]
    return Cell(in_digits(figure, fmean(values)), each if len(each) > 1 else [])


def _charted(table: Table) -> list[str]:
    return [figure for figure in CHARTED if values_of(table.variants, figure)]


def _bars(table: Table) -> list[Picture]:
    """Draws the AUC of all variants as bars, with the baseline as a line; nothing without labels."""
    figures = _charted(table)
    if not figures:
        return []
    baseline = values_of(table.variants, BASELINE)
    title = f"frame AUC of each variant of the {table.study} study"
    drawing = plots.bars(
        {name: [values_of(results, figure) for figure in figures] for name, results in table.rows().items()},
        [CHARTED[figure] for figure in figures],
        reference=("flow magnitude (the baseline)", fmean(baseline)) if baseline else None,
        x_label="frame AUC, raw",
        title=title,
    )
    return [svg(drawing, title)]


def _lines(table: Table) -> list[Picture]:
    """Draws the AUC over N with a line for each k, a chart a figure; nothing without labels."""
    curves: dict[str, dict[str, list[Result]]] = {}
    for results in table.rows().values():
        columns = results[0].columns
        k = str(columns["k"])
        curves.setdefault(k if k == NO_TOP_K else f"k = {k}", {})[str(columns["N"])] = results
    charts = []
    for figure in _charted(table):
        title = f"frame AUC over N, {CHARTED[figure]}"
        drawing = plots.lines(
            {k: [values_of(results, figure) for results in curve.values()] for k, curve in curves.items()},
            at=list(next(iter(curves.values()))),
            x_label="N",
            y_label=f"{CHARTED[figure]}, raw",
            title=title,
            width=500,
            height=330,
        )
        charts.append(svg(drawing, title))
    return charts
