"""Each detector alone, the paper's PSNR, flow magnitude and the combined score, on each set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.record import commit
from benchmarks.scoring.sets import SETS, trained
from stmae.evaluation import ROWS
from stmae.evaluation.evaluate import Measure, fit_scene, scored_clip
from stmae.evaluation.figures import figures_of
from stmae.scoring import DETECTORS

AUCS = ("auc_micro_raw", "auc_macro", "auc_micro_per_video")
HEATMAP = ("pixel_auc", "overlap_auc")


def detectors(data_root: Path, work: Path, names: list[str], seeds: list[int] | None) -> dict[str, Any]:
    """Returns the AUCs of every row on each set, a list with one entry a seed, and how the combined score compares.

    `names` are sets (all, where there are none), `seeds` those of each set unless they are given.
    """
    figures: dict[str, Any] = {}
    for one in (one for one in SETS if not names or one.name in names):
        by_seed = []
        for seed in seeds or one.seeds:
            began = time.monotonic()
            by_seed.append(evaluated(trained(one, seed, data_root, work)))
            print(f"{one.name} seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        name = one.name.replace("-", "_")
        figures |= {f"{name}_seed": list(seeds or one.seeds), f"{name}_commit": commit()}
        shown = [f"{row}_{auc}" for row in ROWS for auc in AUCS] + ["combined_eer", *HEATMAP]
        figures |= {f"{name}_{key}": [each[key] for each in by_seed] for key in shown if key in by_seed[0]}
        for auc in AUCS[:2]:
            best = [max(each[f"{row}_{auc}"] for row in DETECTORS) for each in by_seed]
            figures[f"{name}_combined_minus_best_{auc}"] = _differences(by_seed, auc, best)
            figures[f"{name}_combined_minus_psnr_{auc}"] = _differences(
                by_seed, auc, [each[f"psnr_{auc}"] for each in by_seed]
            )
    return figures


def evaluated(measure: Measure) -> dict[str, float]:
    """Returns the figures of a model on the test clips of its set."""
    scenes = {scene: fit_scene(measure, scene, measure.config.score)[0] for scene in measure.manifest.scenes}
    test = measure.manifest.split("test")
    return figures_of([scored_clip(measure.manifest, clip, measure(clip), scenes[clip.scene]) for clip in test])[0]


def shown(result: dict[str, float], rows: tuple[str, ...]) -> dict[str, float]:
    """Returns the AUCs of some rows of `evaluated`."""
    return {key: result[key] for key in (f"{row}_{auc}" for row in rows for auc in AUCS)}


def _differences(by_seed: list[dict[str, float]], auc: str, others: list[float]) -> list[float]:
    return [each[f"combined_{auc}"] - other for each, other in zip(by_seed, others, strict=True)]
