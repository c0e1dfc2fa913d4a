"""Evaluation: evidence of normal and test clips, calibration, frame and pixel AUC.

Protocol: the last checkpoint; the first 4 frames of each clip have no score; nothing is chosen on test data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Clip, Manifest
from stmae.evaluation import metrics
from stmae.evaluation.inference import clip_raw_scores, flow_tiles
from stmae.model.build import load_model
from stmae.model.device import training_device
from stmae.scoring import raw as score
from stmae.scoring.calibration import Calibration, calibration_file, fit_calibration
from stmae.scoring.combine import flow_magnitude, frame_score, tile_map
from stmae.scoring.norm import KINDS, Kind
from stmae.scoring.raw import CLIP_FRAMES, RawScores

ALARM_CLIPS = 12
"""Normal clips of a scene, at least, that say how high normal footage scores: where fewer are held out, training clips
join them. Of those the model may predict too much; but of two or three clips, the next one is often beyond."""
ALARM_FRAMES = 2000
"""Of a training clip, at most, that joins them: an hour of each would take longer than the training."""
Array = npt.NDArray[np.floating]


@dataclasses.dataclass(frozen=True, slots=True)
class ScoredClip:
    """A clip, its evidence and its scores; all arrays begin at the fifth frame."""

    name: str
    fps: float
    labels: npt.NDArray[np.uint8] | None
    masks: npt.NDArray[np.uint8] | None
    """[F,S,S], mapped from disk."""
    evidence: RawScores
    combined: Array
    """[F] calibrated score."""
    alarm: Array
    """[F] the score as a probability."""
    tile_map: Array
    """[F,16,16] how odd each tile is, whatever its kind."""
    parts: Mapping[Kind, Array]
    """[F] what the score would be if only one kind of surprise counted."""

    @property
    def paper(self) -> Array:
        """Anomaly score of the paper, 1 - s with s of Eq. 12."""
        return 1 - score.min_max(self.evidence.psnr)


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """`figures` has no AUC where no clip is labelled; `roc` is micro, of the combined score."""

    figures: dict[str, float]
    roc: list[tuple[float, float, float]]
    clips: list[ScoredClip]


def normal_clips(manifest: Manifest, scene: str) -> list[Clip]:
    """The held-out clips of a scene and, evenly chosen, training clips that make them ALARM_CLIPS."""
    own = [clip for clip in manifest.clips if clip.scene == scene]
    heldout, training = ([clip for clip in own if clip.split == split] for split in ("calibration", "train"))
    wanted = min(max(ALARM_CLIPS - len(heldout), 0), len(training))
    return [*heldout, *(training[index * len(training) // wanted] for index in range(wanted))]


def calibrate(
    config: Config, manifest: Manifest, flow: FlowCache, scene: str, normal: Mapping[Clip, RawScores]
) -> Calibration:
    """Fit on the evidence of normal clips of a scene, and on the flow of all its training clips."""
    own = {clip: evidence for clip, evidence in normal.items() if clip.scene == scene}
    heldout = [clip for clip in own if clip.split == "calibration"]
    training = [clip for clip in manifest.split("train") if clip.scene == scene]
    return fit_calibration(
        [own[clip] for clip in heldout],
        [clip.fps for clip in heldout],
        [(flow_tiles(flow.flows(clip)), clip.fps) for clip in training],
        [(own[clip], clip.fps) for clip in own if clip.split == "train"],
        **dataclasses.asdict(config.score),
    )


def scored_clip(manifest: Manifest, clip: Clip, evidence: RawScores, calibration: Calibration) -> ScoredClip:
    """RawScores of a test clip joined with its truth and its scores."""
    labels, masks = manifest.labels(clip), manifest.masks(clip)
    surprises = calibration.surprises(evidence, clip.fps)
    combined, sigma = calibration.curve(surprises, clip.fps), calibration.smoothing_seconds * clip.fps
    return ScoredClip(
        name=clip.name,
        fps=clip.fps,
        labels=None if labels is None else np.asarray(labels[CLIP_FRAMES:]),
        masks=None if masks is None else masks[CLIP_FRAMES:],
        evidence=evidence,
        combined=combined,
        alarm=calibration.alarm(combined),
        tile_map=tile_map(surprises),
        parts={kind: frame_score(each, sigma) for kind, each in surprises.items()},
    )


def figures_of(
    clips: Sequence[ScoredClip], smoothing_seconds: float
) -> tuple[dict[str, float], list[tuple[float, float, float]]]:
    """Figures of the labelled clips, and the ROC of the combined score.

    The baseline, which knows no camera, is smoothed over `smoothing_seconds` everywhere; the paper's score is taken as
    the paper has it. Of the combined score, min-max a clip is of the probability that it stands for, which puts frames
    in the same order: of scores in nats the highest peak of a clip would make all else in it look normal.
    """
    labelled = [(clip, clip.labels) for clip in clips if clip.labels is not None]
    figures = {"clips": float(len(clips)), "frames": float(sum(len(clip.evidence) for clip in clips))}
    figures["labelled_clips"] = float(len(labelled))
    labels = [truth for _, truth in labelled]
    if not labelled or len(np.unique(np.concatenate(labels))) < 2:
        return figures, []
    figures["abnormal_frames"] = float(sum(int(truth.sum()) for truth in labels))
    curves: dict[str, list[Array]] = {
        "combined": [clip.combined for clip, _ in labelled],
        **{kind: [clip.parts[kind] for clip, _ in labelled] for kind in KINDS},
        "baseline": [
            score.smooth(flow_magnitude(clip.evidence.flow_tiles), smoothing_seconds * clip.fps) for clip, _ in labelled
        ],
        "paper": [-clip.evidence.psnr for clip, _ in labelled],
    }
    for name, scores in curves.items():
        figures[f"{name}_auc_micro_raw"] = metrics.micro_auc(scores, labels)
        figures[f"{name}_auc_macro"] = metrics.macro_auc(scores, labels)
    # With min-max a clip; which is what the paper's metric means by micro AUC.
    scaled = {
        "combined_auc_micro_per_video": [clip.alarm for clip, _ in labelled],
        "baseline_auc_micro_per_video": curves["baseline"],
        "paper_auc_micro": curves["paper"],
    }
    for figure, scores in scaled.items():
        figures[figure] = metrics.micro_auc([score.min_max(one) for one in scores], labels)
    combined = np.concatenate(curves["combined"])
    fpr, tpr, thresholds = roc_curve(np.concatenate(labels), combined)
    figures["combined_eer"] = metrics.equal_error_rate(fpr, tpr)
    masked = [(clip.tile_map, clip.masks) for clip in clips if clip.masks is not None]
    figures |= _pixel_figures(masked) if masked else {}
    finite = np.minimum(thresholds, float(combined.max()))  # the first is infinite: nothing is flagged
    return figures, [(float(x), float(y), float(t)) for x, y, t in zip(fpr, tpr, finite, strict=True)]


def _pixel_figures(masked: Sequence[tuple[Array, npt.NDArray[np.uint8]]]) -> dict[str, float]:
    """Figures of tile maps [F,16,16] and masks [F,S,S], as far as these have both classes."""
    figures: dict[str, float] = {}
    maps, masks = [tiles for tiles, _ in masked], [mask for _, mask in masked]
    for name, auc in (("pixel_auc", metrics.pixel_auc), ("overlap_auc", metrics.overlap_auc)):
        with contextlib.suppress(metrics.OneClassError):
            figures[name] = auc(maps, masks)
    return figures


def evaluate(config: Config, manifest: Manifest, flow_dir: Path, model_dir: Path, out: Path) -> Evaluation:
    """Score normal and test clips; write `evaluation.json`, `scores.npz` and a calibration a scene below `out`."""
    device = training_device()
    model, flow = load_model(config, model_dir, device), FlowCache.of(flow_dir, manifest)

    def measured(clips: Iterable[Clip]) -> dict[Clip, RawScores]:
        first = {"train": ALARM_FRAMES}
        return {
            clip: clip_raw_scores(config, model, manifest, clip, flow, device, first.get(clip.split)) for clip in clips
        }

    normal = measured(clip for scene in manifest.scenes for clip in normal_clips(manifest, scene))
    calibrations = {scene: calibrate(config, manifest, flow, scene, normal) for scene in manifest.scenes}
    tested = measured(manifest.split("test"))
    clips = [scored_clip(manifest, clip, evidence, calibrations[clip.scene]) for clip, evidence in tested.items()]
    figures, roc = figures_of(clips, config.score.smoothing_seconds)
    heldout = [evidence.psnr for clip, evidence in normal.items() if clip.split == "calibration"]
    figures["calibration_psnr"] = float(np.median(np.concatenate(heldout)))
    evaluation = Evaluation(figures, roc, clips)
    out.mkdir(parents=True, exist_ok=True)
    for scene, calibration in calibrations.items():
        (out / calibration_file(scene)).write_text(calibration.to_json(), encoding="utf-8")
    _save_scores(evaluation, out / "scores.npz")
    curve = model_dir / "curve.json"
    table = {
        "name": config.name,
        "seed": config.seed,
        "config": json.loads(config.to_json()),
        "dataset_digest": manifest.digest,
        "figures": figures,
        "clips": [{"name": clip.name, "fps": clip.fps, "frames": len(clip.evidence)} for clip in clips],
        "roc": roc,
        "curve": json.loads(curve.read_text(encoding="utf-8")) if curve.exists() else [],
    }
    (out / "evaluation.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return evaluation


def _save_scores(evaluation: Evaluation, path: Path) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for clip in evaluation.clips:
        named = {field.name: getattr(clip.evidence, field.name) for field in dataclasses.fields(RawScores)}
        named |= {"combined": clip.combined, "tile_map": clip.tile_map.astype(np.float32)}
        if clip.labels is not None:
            named["labels"] = clip.labels
        arrays |= {f"{clip.name}/{key}": value for key, value in named.items()}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
