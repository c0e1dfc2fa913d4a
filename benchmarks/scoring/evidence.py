"""Further evidence of the model for the prediction detector, each in place of the error that it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage

from benchmarks.scoring.detectors import evaluated, shown
from benchmarks.scoring.sets import COFFEE_ROOM, FRESH, SLOW, CachedMeasure, trained
from stmae.datasets.manifest import Clip
from stmae.model.build import build_motion_proxy
from stmae.model.stmae import normalise_flow, tiles, windows
from stmae.scoring.raw import CLIP_FRAMES, RawScores, Singles

SETS = (*FRESH, SLOW, COFFEE_ROOM)
SECONDS = 0.3
"""Reach before and after a frame of the mean over several frames."""
HIGHEST, AROUND = 4, 5
"""Tiles that are averaged, the highest among AROUND x AROUND."""
BATCH = 64


class Evidence(CachedMeasure):
    """Measures clips with the flow's reconstruction error beside the prediction error."""

    def flow_error(self, clip: Clip, first: int | None) -> Singles:
        """Returns [F,16,16], the error with which f_m and its proxy decoder reproduce the three flows up to a frame."""
        net = build_motion_proxy(self.config)
        net.load_state_dict(load_file(self.folder.parent / "motion" / "model.safetensors"))
        net.eval()
        frames = len(self.manifest.frames(clip)[:first])
        flows = torch.from_numpy(np.array(self.flow.flows(clip)[1 : frames - 1])).float()
        model = self.config.model
        flows_N6 = windows(normalise_flow(flows, model.size, model.flow_scale), CLIP_FRAMES - 1, frames - CLIP_FRAMES)
        with torch.inference_mode():
            errors = [
                ((net["decoder"](net["encoder"](part)) - part) ** 2).mean(1, keepdim=True)
                for part in flows_N6.split(BATCH)
            ]
            return np.concatenate([tiles(error, error.shape[-1]).squeeze(1).numpy() for error in errors])


def _several_frames(measure: Evidence, clip: Clip, first: int | None, error: Singles) -> Singles:
    size = 2 * round(SECONDS * measure.manifest.fps) + 1
    return np.asarray(ndimage.uniform_filter1d(error, size, axis=0, mode="nearest"))


def _highest_tiles(measure: Evidence, clip: Clip, first: int | None, error: Singles) -> Singles:
    padded = np.pad(error, ((0, 0), *[(AROUND // 2,) * 2] * 2), mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(padded, (AROUND, AROUND), axis=(1, 2)).reshape(*error.shape, -1)
    return np.asarray(np.partition(near, -HIGHEST, axis=-1)[..., -HIGHEST:].mean(axis=-1))


def _flow_reconstruction(measure: Evidence, clip: Clip, first: int | None, error: Singles) -> Singles:
    return measure.flow_error(clip, first)


def _both(measure: Evidence, clip: Clip, first: int | None, error: Singles) -> Singles:
    return error * measure.flow_error(clip, first)


VARIANTS: dict[str, Callable[[Evidence, Clip, int | None, Singles], Singles]] = {
    "several_frames": _several_frames,
    "highest_tiles": _highest_tiles,
    "flow_reconstruction": _flow_reconstruction,
    "product_of_both": _both,
}


def evidence(data_root: Path, work: Path, names: list[str]) -> dict[str, Any]:
    """Returns the AUCs of the prediction detector and of the combined score by set (first seed) and variant.

    `names` are sets (all, where there are none); `as_shipped` reads the prediction error of a tile and frame.
    """
    figures: dict[str, Any] = {}
    for one in (one for one in SETS if not names or one.name in names):
        measure = trained(one, one.seeds[0], data_root, work)
        for variant in ("as_shipped", *VARIANTS):
            result = evaluated(_Variant(**vars(measure), variant=variant))
            key = f"{one.name.replace('-', '_')}_{variant}"
            figures |= {f"{key}_{each}": auc for each, auc in shown(result, ("prediction", "combined")).items()}
            print(f"{key}: prediction {result['prediction_auc_micro_raw']:.4f}, ", end="")
            print(f"combined {result['combined_auc_micro_raw']:.4f}", flush=True)
    return figures


@dataclasses.dataclass(frozen=True)
class _Variant(Evidence):
    variant: str

    def __call__(self, clip: Clip, first: int | None = None) -> RawScores:
        raw = super().__call__(clip, first)
        if self.variant == "as_shipped" or not len(raw):
            return raw
        error = VARIANTS[self.variant](self, clip, first, raw.error_tiles)
        return dataclasses.replace(raw, error_tiles=error.astype(np.float32))
