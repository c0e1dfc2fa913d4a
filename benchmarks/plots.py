"""Draw the plots of the documentation from the files in benchmarks/results: python benchmarks/plots.py"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stmae.evaluation.study import ITEMS, TOP_K
from stmae.report import plots

ROOT = Path(__file__).resolve().parent
PAPER_METRIC = "psnr_auc_micro_per_video"
FORMER_NAME = "paper_auc_micro"
"""What the paper's metric is called in results that were recorded before it had its name."""
WIDTH = 760

Figures = Mapping[str, Any]


def learning_curve(figures: Figures) -> str:
    """Draws the PSNR on the calibration split through the training, a line a seed."""
    (curves,) = [values for name, values in figures.items() if "_psnr_by_" in name]
    return plots.lines(
        {f"seed {seed}": [[value] for value in curve] for seed, curve in zip(figures["seed"], curves, strict=True)},
        x_label="point of the learning curve",
        y_label="PSNR, dB",
        title="PSNR on the calibration split through the training, a line a seed",
        width=WIDTH,
    )


def ablation(figures: Figures) -> str:
    """Draws bars of the paper's metric, one for each model that was recorded."""
    ends = tuple(f"_{name}" for name in (PAPER_METRIC, FORMER_NAME))
    recorded = [name.removesuffix(end) for name in figures for end in ends if name.endswith(end)]
    return plots.bars(
        {name.replace("_", "-"): [_values(figures, name)] for name in recorded},
        ["paper's metric (PSNR, per video)"],
        x_label="frame AUC",
        title="the paper's metric of each model of the ablation",
        width=WIDTH,
    )


def sensitivity(figures: Figures) -> str:
    """Draws the paper's metric over N, a line for each k."""
    curves = {
        f"k = {top_k}" if top_k else "no top-k": [
            _values(figures, f"n{items}_{f'k{top_k}' if top_k else 'all'}") for items in ITEMS
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


def serving(figures: Figures) -> str:
    """Draws bars of the frames a second of each way to score footage."""
    beside = [name for name in figures if name.startswith("ratio_") and name.endswith("_naive")]
    ways = ["naive", *(name.removeprefix("ratio_").removesuffix("_naive") for name in beside)]
    speeds = {way: figures[f"frames_per_s_{way}"] for way in ways}
    return plots.bars(
        {way: [[speed]] for way, speed in speeds.items()},
        ["median of three rounds"],
        end=1.05 * max(speeds.values()),
        x_label="scored frames a second",
        title="frames a second of each way to score footage",
        width=WIDTH,
    )


def _values(figures: Figures, variant: str) -> list[float]:
    """Returns the paper's metric of a variant, a value a seed."""
    name = f"{variant}_{PAPER_METRIC}"
    values: list[float] = figures[name if name in figures else f"{variant}_{FORMER_NAME}"]
    return values


PLOTS: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "learning-curve": ("ped2-cpu", learning_curve),
    "ablation": ("ablation-ped2", ablation),
    "sensitivity": ("sensitivity-ped2", sensitivity),
    "serving": ("serving-cpu", serving),
}
"""Name -> the results it is drawn from, and how."""


def draw(results: Path, out: Path) -> list[Path]:
    """Writes the plots of the results that were recorded as SVG files and returns them."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for name, (source, drawn) in PLOTS.items():
        recorded = results / f"{source}.json"
        if not recorded.exists():
            continue
        figures = json.loads(recorded.read_text(encoding="utf-8"))["figures"]
        made.append(out / f"{name}.svg")
        made[-1].write_text(drawn(figures), encoding="utf-8")
    return made


if __name__ == "__main__":
    for path in draw(ROOT / "results", ROOT.parent / "docs" / "images"):
        print(path)
