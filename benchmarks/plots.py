"""Draw the plots of docs/accuracy.md from the files in benchmarks/results.

python benchmarks/plots.py [--results DIR] [--out DIR]

A plot whose results are not there is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stmae.report import plot
from stmae.report.study import FIGURES
from stmae.study import ABLATION, ITEMS, TOP_K

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
        colours=SHADES[:3],
        label="PSNR on held-out clips in dB, by epoch; a line a seed",
        width=640,
    )


def variants(figures: Figures, names: Sequence[str]) -> str:
    """Bars of the combined score and of the paper's metric; the baseline as a dashed line."""
    shown = ("combined_auc_micro_raw", "paper_auc_micro")
    rows = {name: [figures[f"{name.replace('-', '_')}_{figure}"] for figure in shown] for name in names}
    lowest = min(value for row in rows.values() for values in row for value in values)
    baseline = figures[f"{names[0].replace('-', '_')}_baseline_auc_micro_raw"][0]
    return plot.bars(
        rows,
        colours=["var(--accent)", "var(--soft)"],
        start=0.5 if lowest >= 0.5 else 0.0,
        marks=[(baseline, "var(--alarm)")],
        label=" and ".join(FIGURES.get(figure, figure) for figure in shown),
        width=760,
    )


def ablation(figures: Figures) -> str:
    return variants(figures, list(ABLATION))


def effects(figures: Figures) -> str:
    return variants(figures, ["full", "no-motion-loss", "no-compactness", "no-adversary", "quarter"])


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
    "effects": ("effects-ped2", effects),
    "sensitivity": ("sensitivity-ped2", sensitivity),
}
"""Name -> the results it is drawn from, and how."""


def draw(results: Path, out: Path) -> list[Path]:
    """Write the plots as SVG files and return them."""
    made = []
    for name, (source, drawn) in PLOTS.items():
        path = results / f"{source}.json"
        if not path.exists():
            continue
        svg = drawn(json.loads(path.read_text(encoding="utf-8"))["figures"])
        svg = re.sub(r"var\((--\w+)\)", lambda match: PAPER[match[1]], svg)
        svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" ', 1)
        out.mkdir(parents=True, exist_ok=True)
        made.append(out / f"{name}.svg")
        made[-1].write_text(svg + "\n", encoding="utf-8")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="default: benchmarks/results")
    parser.add_argument("--out", type=Path, default=ROOT.parent / "docs" / "images", help="default: docs/images")
    arguments = parser.parse_args()
    for path in draw(arguments.results, arguments.out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
