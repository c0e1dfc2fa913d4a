"""A study as one self-contained HTML page: the table of its variants, and a chart."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from stmae.evaluation.study import NO_TOP_K, Columns, Result, Table, values_of
from stmae.report import plots as plot
from stmae.report.page import page

TITLES = {
    "seeds": "Seeds",
    "ablation": "Ablation",
    "sensitivity": "Sensitivity to N and k",
    "encoders": "Frozen and fine-tuned encoders",
    "effects": "What losses and epochs are worth",
    "scenes": "One memory, and memory per scene",
}
ABOUT = {
    "seeds": "The same configuration trained with several seeds: how far apart equal models are.",
    "ablation": "Models with fewer streams or memories. The spatial memory is that of the appearance stream, the "
    "temporal memory that of the motion stream.",
    "sensitivity": "N is the number of items of each memory; k is how many queries write to an item in a step.",
    "encoders": "Encoders stay as their proxy tasks left them, or learn on with the prediction.",
    "effects": "The generator's loss without one of its parts, and a training cut short. L_m compares flows, L_c keeps "
    "memory items apart, L_adv is the discriminator's.",
    "scenes": "Several cameras under one model: memory pools and usual places for all of them together, or for each by "
    "itself beside a pool that they share. Scores are calibrated for each camera in both.",
}
FIGURES = {
    "combined_auc_micro_raw": "combined raw",
    "combined_auc_micro_per_video": "combined per&nbsp;video",
    "paper_auc_micro": "paper's metric",
    "pixel_auc": "pixel AUC",
    "calibration_psnr": "held-out PSNR",
}
"""What the table shows of each variant."""
BASELINE = {
    "combined_auc_micro_raw": "baseline_auc_micro_raw",
    "combined_auc_micro_per_video": "baseline_auc_micro_per_video",
}
"""The baseline has no model: it is the same for all variants, and has a row of its own."""
AUC = (
    "AUC of all test frames together; <i>raw</i> as an operator gets the scores, <i>per video</i> scaled to 0..1 "
    "within each clip, as is the paper's metric (the PSNR of the prediction alone, Eq. 12). Flow magnitude is the "
    "baseline, which learns nothing."
)
CHARTED = {
    "combined_auc_micro_raw": ("combined score, raw", "var(--accent)"),
    "paper_auc_micro": ("paper's metric", "var(--soft)"),
}
DASH = "&ndash;"


def study_report(table: Table, out: Path) -> Path:
    """Write the page to `out` and return it."""
    title = f"{TITLES[table.study]}: {table.config}"
    seeds = ", ".join(map(str, table.seeds))
    header = (
        f'<h1>{html.escape(title)}</h1>\n<p class="soft">{ABOUT[table.study]} Seeds: {seeds}. All variants have the '
        "same footage, flow and, seed by seed, the same pretrained encoders. The models are the last checkpoints.</p>"
    )
    chart = _lines(table) if table.study == "sensitivity" else _bars(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(title, "\n".join(filter(None, (header, chart, _table(table))))), encoding="utf-8")
    return out


def _table(table: Table) -> str:
    shown = [figure for figure in FIGURES if values_of(table.variants, figure)]
    heads = list(table.variants[0].columns)
    head = "".join(f'<th class="number">{_head(name)}</th>' for name in heads)
    head += "".join(f'<th class="number">{_head(FIGURES[figure])}</th>' for figure in shown)
    rows = []
    for name, results in table.rows().items():
        cells = "".join(f'<td class="number">{_cell(results[0].columns, column)}</td>' for column in heads)
        cells += "".join(f'<td class="number">{_mean(values_of(results, figure), figure)}</td>' for figure in shown)
        rows.append(f"<tr><th>{html.escape(name)}</th>{cells}</tr>")
    if values_of(table.variants, "baseline_auc_micro_raw"):
        cells = "<td></td>" * len(heads) + "".join(
            f'<td class="number">{_baseline(table, name)}</td>' for name in shown
        )
        rows.append(f'<tr><th class="soft">flow magnitude</th>{cells}</tr>')
    return (
        f"<section><h2>Figures</h2><table><thead><tr><th>variant</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{_note(table)}</section>"
    )


def _note(table: Table) -> str:
    auc = AUC if values_of(table.variants, "combined_auc_micro_raw") else "Without labels there is no AUC."
    return (
        f'<p class="soft">The mean over the seeds, below it each of them in order. {auc} '
        "PSNR, in dB: how well normal footage is predicted that was not trained on.</p>"
    )


def _head(column: str) -> str:
    return column.replace(" ", "<br>")


def _cell(columns: Columns, name: str) -> str:
    value = columns[name]
    if isinstance(value, bool):
        return "&#10003;" if value else DASH
    return html.escape(str(value))


def _mean(values: Sequence[float], figure: str) -> str:
    if not values:
        return DASH
    digits = 2 if figure == "calibration_psnr" else 4
    each = "<br>".join(f"{value:.{digits}f}" for value in values) if len(values) > 1 else ""
    return f'{fmean(values):.{digits}f}<div class="soft">{each}</div>'


def _baseline(table: Table, figure: str) -> str:
    values = values_of(table.variants, BASELINE.get(figure, ""))
    return f"{fmean(values):.4f}" if values else ""


def _bars(table: Table) -> str:
    figures = [figure for figure in CHARTED if values_of(table.variants, figure)]
    if not figures:
        return ""
    rows = {name: [values_of(results, figure) for figure in figures] for name, results in table.rows().items()}
    baseline = fmean(values_of(table.variants, "baseline_auc_micro_raw"))
    low = min(baseline, *(value for figure in figures for value in values_of(table.variants, figure)))
    drawing = plot.bars(
        rows,
        colours=[CHARTED[figure][1] for figure in figures],
        start=0.5 if low >= 0.5 else 0.0,
        marks=[(baseline, "var(--alarm)")],
        label=f"frame AUC of each variant of the {table.study} study",
    )
    keys = "".join(_key(*CHARTED[figure]) for figure in figures) + _key("flow magnitude, raw (dashed)", "var(--alarm)")
    return (
        f'<section><h2>Frame AUC</h2><p class="soft">A bar is the mean over the seeds, a dot one seed.{keys}</p>'
        f"<figure>{drawing}</figure></section>"
    )


def _lines(table: Table) -> str:
    figures = [figure for figure in CHARTED if values_of(table.variants, figure)]
    if not figures:
        return ""
    curves: dict[str, dict[str, list[Result]]] = {}
    for results in table.rows().values():
        columns = results[0].columns
        curves.setdefault(str(columns["k"]), {})[str(columns["N"])] = results
    names = [k if k == NO_TOP_K else f"k = {k}" for k in curves]
    shades = [_shade(k, number, len(curves)) for number, k in enumerate(curves)]
    panels = []
    for figure in figures:
        drawing = plot.lines(
            {k: [values_of(results, figure) for results in curve.values()] for k, curve in curves.items()},
            at=[f"N = {items}" for items in next(iter(curves.values()))],
            colours=shades,
            label=f"frame AUC over N, {CHARTED[figure][0]}",
        )
        panels.append(f"<figure><h3>{CHARTED[figure][0]}</h3>{drawing}</figure>")
    keys = "".join(_key(name, shade) for name, shade in zip(names, shades, strict=True))
    return (
        '<section><h2>Frame AUC over N</h2><p class="soft">A line goes through the means over the seeds, a dot is one '
        f"seed.{keys}</p>"
        '<div style="display:grid;gap:20px;grid-template-columns:repeat(auto-fit,minmax(320px,1fr))">'
        f"{''.join(panels)}</div></section>"
    )


def _shade(k: str, number: int, count: int) -> str:
    """The darker, the more queries write; all of them are no number, and have a colour of their own."""
    if k == NO_TOP_K:
        return "var(--alarm)"
    return f"color-mix(in srgb, var(--accent) {round(100 * number / max(count - 2, 1))}%, #8fd0b8)"


def _key(name: str, colour: str) -> str:
    return f'<span class="key" style="background:{colour}"></span>{html.escape(name)}'
