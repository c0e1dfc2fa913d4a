"""Draw the plots of docs/accuracy.md from the files in benchmarks/results: python benchmarks/plots.py"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stmae.evaluation.study import ABLATION, ITEMS, TOP_K
from stmae.report import plots

ROOT = Path(__file__).resolve().parent
PAPER_METRIC = "psnr_auc_micro_per_video"
BASELINE = "flow_magnitude_auc_micro_raw"
FORMER_NAMES = {PAPER_METRIC: "paper_auc_micro", BASELINE: "baseline_auc_micro_raw"}
"""What figures are called in results that were recorded before they had their names."""
WIDTH = 760

Figures = Mapping[str, Any]


def learning_curve(figures: Figures) -> str:
    """Draws the PSNR on the calibration split by epoch, a line a seed."""
    (curves,) = [values for name, values in figures.items() if name.endswith("_psnr_by_epoch")]
    return plots.lines(
        {f"seed {seed}": [[value] for value in curve] for seed, curve in zip(figures["seed"], curves, strict=True)},
        x_label="epoch",
        y_label="PSNR, dB",
        title="PSNR on the calibration split by epoch, a line a seed",
        width=WIDTH,
    )


def ablation(figures: Figures) -> str:
    """Draws bars of the combined score and of the paper's metric, with the baseline as a line."""
    shown = {"combined_auc_micro_raw": "combined, raw", PAPER_METRIC: "paper's metric (PSNR, per video)"}
    (baseline, *_) = _values(figures, "full", BASELINE)
    return plots.bars(
        {name: [_values(figures, name.replace("-", "_"), figure) for figure in shown] for name in ABLATION},
        list(shown.values()),
        reference=("flow magnitude, raw", baseline),
        x_label="frame AUC",
        title="frame AUC of each model of the ablation",
        width=WIDTH,
    )


def sensitivity(figures: Figures) -> str:
    """Draws the paper's metric over N, a line for each k."""
    curves = {
        f"k = {top_k}" if top_k else "no top-k": [
            _values(figures, f"n{items}_{f'k{top_k}' if top_k else 'all'}", PAPER_METRIC) for items in ITEMS
        ]
        for top_k in TOP_K
    }
    return plots.lines(
        curves,
        at=[str(items) for items in ITEMS],
        x_label="N, items of a memory",
        y_label="paper's metric",
        title="the paper's metric over N, a line for each k",
        width=WIDTH,
    )


def _values(figures: Figures, variant: str, figure: str) -> list[float]:
    """Returns a figure of a variant, a value a seed."""
    name = f"{variant}_{figure}"
    values: list[float] = figures[name if name in figures else f"{variant}_{FORMER_NAMES[figure]}"]
    return values


PLOTS: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "learning-curve": ("ped2-cpu", learning_curve),
    "ablation": ("ablation-ped2", ablation),
    "sensitivity": ("sensitivity-ped2", sensitivity),
}
"""Name -> the results it is drawn from, and how."""


def draw(results: Path, out: Path) -> list[Path]:
    """Writes the plots as SVG files and returns them."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for name, (source, drawn) in PLOTS.items():
        figures = json.loads((results / f"{source}.json").read_text(encoding="utf-8"))["figures"]
        made.append(out / f"{name}.svg")
        made[-1].write_text(drawn(figures), encoding="utf-8")
    return made


if __name__ == "__main__":
    for path in draw(ROOT / "results", ROOT.parent / "docs" / "images"):
        print(path)
