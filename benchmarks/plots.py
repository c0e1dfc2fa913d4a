"""Draw the plots of docs/accuracy.md from the files in benchmarks/results: python benchmarks/plots.py"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stmae.evaluation.study import ABLATION, ITEMS, TOP_K
from stmae.report import plots as plot

ROOT = Path(__file__).resolve().parent
PAPER = {"--soft": "#5b6675", "--accent": "#1f5fbf", "--alarm": "#c8352b", "--line": "#dde2e8"}
"""Colours on white paper: an image does not see the variables of the page around it."""
SHADES = ("#8fd0b8", "#6aabba", "#4484bd", "#1f5fbf", "#c8352b")
Figures = Mapping[str, Any]


def learning_curve(figures: Figures) -> str:
    curves = figures["heldout_psnr_by_epoch"]
    return plot.lines(
        {f"seed {seed}": [[value] for value in curve] for seed, curve in zip(figures["seed"], curves, strict=True)},
        at=[str(epoch + 1) for epoch in range(len(curves[0]))],
        colours=SHADES[: len(curves)],
        label="PSNR on held-out clips in dB, by epoch; a line a seed",
        width=640,
    )


def ablation(figures: Figures) -> str:
    """Bars of the combined score and of the paper's metric; the baseline as a dashed line."""
    shown = ("combined_auc_micro_raw", "paper_auc_micro")
    rows = {name: [figures[f"{name.replace('-', '_')}_{figure}"] for figure in shown] for name in ABLATION}
    return plot.bars(
        rows,
        colours=["var(--accent)", "var(--soft)"],
        start=0.5,
        marks=[(figures["full_baseline_auc_micro_raw"][0], "var(--alarm)")],
        label="frame AUC of the combined score, raw (blue), and of the paper's metric (grey); flow magnitude (red)",
        width=760,
    )


def sensitivity(figures: Figures) -> str:
    """The paper's metric over N, a line for each k; red where all queries write."""
    curves = {
        str(top_k): [figures[f"n{items}_{f'k{top_k}' if top_k else 'all'}_paper_auc_micro"] for items in ITEMS]
        for top_k in TOP_K
    }
    places = [f"N = {items}" for items in ITEMS]
    return plot.lines(curves, at=places, colours=SHADES, label="the paper's metric over N, a line a k", width=640)


PLOTS: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "learning-curve": ("ped2-cpu", learning_curve),
    "ablation": ("ablation-ped2", ablation),
    "sensitivity": ("sensitivity-ped2", sensitivity),
}
"""Name -> the results it is drawn from, and how."""


def draw(results: Path, out: Path) -> list[Path]:
    """Write the plots as SVG files and return them."""
    made = []
    for name, (source, drawn) in PLOTS.items():
        svg = drawn(json.loads((results / f"{source}.json").read_text(encoding="utf-8"))["figures"])
        svg = re.sub(r"var\((--\w+)\)", lambda match: PAPER[match[1]], svg)
        svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" ', 1)
        out.mkdir(parents=True, exist_ok=True)
        made.append(out / f"{name}.svg")
        made[-1].write_text(svg + "\n", encoding="utf-8")
    return made


if __name__ == "__main__":
    for path in draw(ROOT / "results", ROOT.parent / "docs" / "images"):
        print(path)
