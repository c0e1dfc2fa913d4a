"""Evaluation: scores of the held-out and test clips, frame AUC, calibration.

Protocol: the last checkpoint; the first 4 frames of each clip have no score; nothing is chosen on test data.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from stmae import score
from stmae.config import Config
from stmae.data.manifest import Clip, Manifest
from stmae.model.build import build_stmae
from stmae.model.stmae import STMAE, to_signed, to_unit, windows
from stmae.score import CLIP_FRAMES
from stmae.train.checkpoint import load_modules
from stmae.train.extract import FlowCache
from stmae.train.loop import training_device

SEGMENT = 36
"""Frames a call of the model."""
Array = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class ClipScores:
    """Scores of the frames of one clip from the fifth on, all [F-4, ...]."""

    name: str
    fps: float
    labels: npt.NDArray[np.uint8] | None
    psnr: Array
    memory_distance: Array
    error_tiles: Array

    @property
    def raw(self) -> Array:
        """Anomaly score without normalisation: -PSNR in dB."""
        return -self.psnr

    @property
    def anomaly(self) -> Array:
        """Anomaly score of the paper, 1 - s with s of Eq. 12."""
        return np.asarray(1 - score.min_max(self.psnr), dtype=np.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """`figures` has no AUC where no clip is labelled; `roc` is micro, of the paper's metric."""

    figures: dict[str, float]
    roc: list[tuple[float, float, float]]
    clips: list[ClipScores]


def load_model(config: Config, model_dir: Path, device: torch.device) -> STMAE:
    """The trained model of a run, in evaluation mode. Raises CheckpointError."""
    model = build_stmae(config)
    load_modules(model_dir / "model.safetensors", {"stmae": model})
    return model.to(device).eval()


@torch.inference_mode()
def score_clip(model: STMAE, manifest: Manifest, clip: Clip, flow: FlowCache, device: torch.device) -> ClipScores:
    """Run the model over a clip in overlapping segments."""
    frames, flows = manifest.frames(clip), flow.flows(clip)
    tiles, distances = [], []
    for start, stop in score.segments(len(frames), SEGMENT):
        signed = to_signed(torch.from_numpy(np.array(frames[start:stop])).to(device))
        flow_T = model.normalise_flow(torch.from_numpy(np.array(flows[start : stop - 1])).to(device).float())
        count = stop - start - CLIP_FRAMES
        features, distance = model.encode(windows(signed, CLIP_FRAMES, count), windows(flow_T, CLIP_FRAMES - 1, count))
        prediction, target = to_unit(model.decode(features)), to_unit(signed[CLIP_FRAMES:])
        tiles.append(score.error_tiles(prediction.cpu().numpy(), target.cpu().numpy()))
        distances.append(distance.cpu().numpy())
    labels = manifest.labels(clip)
    error_tiles = np.concatenate(tiles)
    return ClipScores(
        name=clip.name,
        fps=clip.fps,
        labels=None if labels is None else np.asarray(labels[CLIP_FRAMES:]),
        psnr=score.psnr(error_tiles.mean(axis=(1, 2))).astype(np.float32),
        memory_distance=np.concatenate(distances),
        error_tiles=error_tiles,
    )


def micro_auc(scores: Sequence[npt.NDArray[np.floating]], labels: Sequence[npt.NDArray[np.uint8]]) -> float:
    """Frame AUC of all clips concatenated. Raises ValueError where there is one class only."""
    return float(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))


def macro_auc(scores: Sequence[npt.NDArray[np.floating]], labels: Sequence[npt.NDArray[np.uint8]]) -> float:
    """Mean of the clips' frame AUCs; each clip is padded by one lowest normal and one highest abnormal frame,
    as is usual in the field, since a clip may have one class only."""
    aucs = []
    for clip_scores, clip_labels in zip(scores, labels, strict=True):
        padded = np.concatenate(([clip_scores.min()], clip_scores, [clip_scores.max()]))
        aucs.append(roc_auc_score(np.concatenate(([0], clip_labels, [1])), padded))
    return float(np.mean(aucs))


def equal_error_rate(fpr: npt.NDArray[np.floating], tpr: npt.NDArray[np.floating]) -> float:
    """Where the false alarm rate equals the miss rate, interpolated on the ROC."""
    return float(np.interp(0.0, fpr - (1 - tpr), fpr))


def figures_of(clips: Sequence[ClipScores]) -> tuple[dict[str, float], list[tuple[float, float, float]]]:
    """Figures and ROC of the labelled clips."""
    labelled = [(clip, clip.labels) for clip in clips if clip.labels is not None]
    figures = {"clips": float(len(clips)), "frames": float(sum(len(clip.psnr) for clip in clips))}
    labels = [truth for _, truth in labelled]
    if not labelled or len(np.unique(np.concatenate(labels))) < 2:
        return figures, []
    paper, raw = [clip.anomaly for clip, _ in labelled], [clip.raw for clip, _ in labelled]
    fpr, tpr, thresholds = roc_curve(np.concatenate(labels), np.concatenate(paper))
    figures |= {
        "abnormal_frames": float(sum(int(truth.sum()) for truth in labels)),
        "paper_auc_micro": micro_auc(paper, labels),
        "paper_auc_macro": macro_auc(paper, labels),
        "raw_auc_micro": micro_auc(raw, labels),
        "raw_auc_macro": macro_auc(raw, labels),
        "paper_eer": equal_error_rate(fpr, tpr),
    }
    finite = np.minimum(thresholds, 1.0)  # the first threshold is infinite: nothing is flagged
    return figures, [(float(x), float(y), float(t)) for x, y, t in zip(fpr, tpr, finite, strict=True)]


def evaluate(config: Config, manifest: Manifest, flow_dir: Path, model_dir: Path, out: Path) -> Evaluation:
    """Score held-out and test clips; write `evaluation.json`, `scores.npz` and `calibration.json` below `out`."""
    device = training_device()
    model, flow = load_model(config, model_dir, device), FlowCache.of(flow_dir, manifest)
    heldout = [score_clip(model, manifest, clip, flow, device) for clip in manifest.split("heldout")]
    clips = [score_clip(model, manifest, clip, flow, device) for clip in manifest.split("test")]
    calibration = score.fit_calibration(
        [clip.psnr for clip in heldout],
        [clip.fps for clip in heldout],
        **dataclasses.asdict(config.score),
    )
    figures, roc = figures_of(clips)
    figures["heldout_psnr"] = calibration.median
    evaluation = Evaluation(figures, roc, clips)
    out.mkdir(parents=True, exist_ok=True)
    (out / "calibration.json").write_text(calibration.to_json(), encoding="utf-8")
    _save_scores(evaluation, out / "scores.npz")
    table = {
        "name": config.name,
        "seed": config.seed,
        "config": json.loads(config.to_json()),
        "dataset_digest": manifest.digest,
        "figures": figures,
        "clips": [{"name": clip.name, "fps": clip.fps, "frames": len(clip.psnr)} for clip in clips],
        "roc": roc,
    }
    (out / "evaluation.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return evaluation


def _save_scores(evaluation: Evaluation, path: Path) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for clip in evaluation.clips:
        arrays |= {f"{clip.name}/{key}": getattr(clip, key) for key in ("psnr", "memory_distance", "error_tiles")}
        if clip.labels is not None:
            arrays[f"{clip.name}/labels"] = clip.labels
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
