"""Evaluation: fits a scene's normality model and calibration to normal clips, and scores its test clips.

Protocol: the last checkpoint; the first 4 frames of each clip have no score; nothing is chosen on test data.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stmae.config import Config, ScoreConfig
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Clip, Manifest
from stmae.evaluation import MEMORY_FIGURES
from stmae.evaluation.figures import Roc, ScoredClip, figures_of
from stmae.evaluation.fitting import NormalClip, fit_calibration, fit_normality, held_out_alerts
from stmae.evaluation.inference import clip_raw_scores, flow_tiles
from stmae.evaluation.stillness import Footage, fit_noise
from stmae.model.build import load_model
from stmae.model.device import training_device
from stmae.model.stmae import STMAE
from stmae.scoring import DETECTORS
from stmae.scoring.calibration import Calibration, ScoredFrames
from stmae.scoring.events import find_events
from stmae.scoring.normality import FrameValues, NormalityModel
from stmae.scoring.raw import CLIP_FRAMES, RawScores, Singles
from stmae.storage.document import fitted_file, to_json

CALIBRATION_CLIPS = 12
"""Normal clips of a scene that a calibration is fitted to: where the calibration split has fewer, training clips join.
The network has seen these, but of two or three clips, the next one is often beyond."""
JOINING_FRAMES = 2000
"""Frames of a training clip, at most, that join: an hour of each would take longer than the training."""
JOINING_LENGTH = 0.1
"""Length of a training clip that joins, at least, in lengths of the longest calibration clip: seconds of footage, as
they are kept of a long day, tell nothing of how often events occur."""


OFTEN = 10.0
"""Events that the calibration's length has of those by which it is tried whether still frames may be left out."""


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures (no AUC where no clip is labelled), the ROC of the combined score, and the scored test clips."""

    figures: dict[str, float]
    roc: Roc
    clips: list[ScoredClip]


@dataclasses.dataclass(frozen=True, slots=True)
class Fitted:
    """A scene's normality model and calibration."""

    normality: NormalityModel
    calibration: Calibration
    clips: int
    """Normal clips that the calibration was fitted to."""
    alerts: int | None
    """Events in these clips under calibrations that have not seen them; None for a single clip."""

    def score(self, raw: RawScores) -> tuple[FrameValues, ScoredFrames]:
        """Returns the values and the scores of a clip."""
        values = list(self.normality.frame_values([raw]))
        return FrameValues.join(values), ScoredFrames.join(list(self.calibration.scores(values)))


@dataclasses.dataclass(frozen=True)
class Measure:
    """Runs a trained model over clips of a prepared dataset."""

    config: Config
    model: STMAE
    manifest: Manifest
    flow: FlowCache

    def __call__(self, clip: Clip, first: int | None = None) -> RawScores:
        """Returns the raw scores of a clip, or of its `first` frames."""
        device = next(self.model.parameters()).device
        return clip_raw_scores(self.config, self.model, self.manifest, clip, self.flow, device, first)

    def flow_tiles(self, clip: Clip) -> Singles:
        """Returns the flow tiles [F,2,16,16] of a whole clip."""
        return flow_tiles(self.flow.flows(clip))


def fit_scene(measure: Measure, scene: str, score: ScoreConfig) -> tuple[Fitted, float]:
    """Returns what is fitted to a scene's normal clips, and the median PSNR of its calibration split, dB."""
    own = [clip for clip in measure.manifest.clips if clip.scene == scene]
    calibration, training = ([clip for clip in own if clip.split == split] for split in ("calibration", "train"))
    raw = [measure(clip) for clip in calibration]
    joining = set(joining_clips(calibration, training))
    normality, values = fit_normality(
        [NormalClip.of(each) for each in raw],
        [
            NormalClip(
                measure.flow_tiles(clip),
                measure(clip, JOINING_FRAMES) if clip in joining else RawScores.empty(),
            )
            for clip in training
        ],
        fps=measure.manifest.fps,
        direction=score.direction,
    )
    calibrate = functools.partial(
        fit_calibration,
        fps=measure.manifest.fps,
        event_hours=24 / score.events_per_day,
        min_seconds=score.min_seconds,
        merge_seconds=score.merge_seconds,
    )
    calibrated = calibrate(values)
    often = dataclasses.replace(calibrated, event_hours=calibrated.hours / OFTEN)

    def events(raw: RawScores) -> list[object]:
        scores = often.scores(normality.frame_values([raw]))
        return [(event.start, event.end) for event in find_events(scores, often)]

    footage = [Footage(measure.manifest.frames(clip), each) for clip, each in zip(calibration, raw, strict=True)]
    normality = dataclasses.replace(normality, noise=fit_noise(footage, events))
    fitted = Fitted(normality, calibrated, len(values), held_out_alerts(values, calibrate))
    return fitted, float(np.median(np.concatenate([each.psnr for each in raw])))


def joining_clips(calibration: list[Clip], training: list[Clip]) -> list[Clip]:
    """Returns the training clips that a calibration is fitted to besides its own clips."""
    least = JOINING_LENGTH * max((clip.frames for clip in calibration), default=0)
    long = [clip for clip in training if clip.frames >= least]
    return evenly_spaced(long, CALIBRATION_CLIPS - len(calibration))


def evenly_spaced(clips: list[Clip], most: int) -> list[Clip]:
    """Returns at most `most` of the clips, spread evenly over them."""
    count = min(max(most, 0), len(clips))
    return [clips[index * len(clips) // count] for index in range(count)]


def scored_clip(manifest: Manifest, clip: Clip, raw: RawScores, fitted: Fitted) -> ScoredClip:
    """Returns a test clip with its truth and its scores."""
    labels, masks = manifest.labels(clip), manifest.masks(clip)
    values, scores = fitted.score(raw)
    return ScoredClip(
        name=clip.name,
        fps=manifest.fps,
        labels=None if labels is None else np.asarray(labels[CLIP_FRAMES:]),
        masks=None if masks is None else masks[CLIP_FRAMES:],
        raw=raw,
        combined=scores.score,
        log10_p=scores.log10_p,
        heatmap=values.heatmap,
    )


def evaluate(config: Config, manifest: Manifest, flow_dir: Path, model_dir: Path, out: Path) -> Evaluation:
    """Evaluates a trained model and writes the result below `out`.

    Writes `evaluation.json`, `scores.npz` and, for each scene, a normality model and a calibration as JSON.
    """
    model = load_model(config, model_dir, training_device())
    measure = Measure(config, model, manifest, FlowCache.of(flow_dir, manifest))
    scenes, psnr = {}, []
    for scene in manifest.scenes:
        scenes[scene], median = fit_scene(measure, scene, config.score)
        psnr.append(median)
    clips = [scored_clip(manifest, clip, measure(clip), scenes[clip.scene]) for clip in manifest.split("test")]
    figures, roc = figures_of(clips)
    figures["calibration_psnr"] = float(np.mean(psnr))
    curve = _curve(model_dir / "curve.json")
    last = curve[-1]["calibration"] if curve else {}
    figures |= {name: last[name] for name in MEMORY_FIGURES if name in last}
    evaluation = Evaluation(figures, roc, clips)
    out.mkdir(parents=True, exist_ok=True)
    for scene, fitted in scenes.items():
        (out / fitted_file("normality", scene)).write_text(to_json(fitted.normality), encoding="utf-8")
        (out / fitted_file("calibration", scene)).write_text(to_json(fitted.calibration), encoding="utf-8")
    _save_scores(clips, out / "scores.npz")
    table = _table(config, manifest, evaluation, scenes, curve)
    (out / "evaluation.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return evaluation


def _table(
    config: Config,
    manifest: Manifest,
    evaluation: Evaluation,
    scenes: dict[str, Fitted],
    curve: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "name": config.name,
        "seed": config.seed,
        "config": json.loads(config.to_json()),
        "dataset_digest": manifest.digest,
        "figures": evaluation.figures,
        "calibration": {
            scene: {"hours": fitted.calibration.hours, "clips": fitted.clips, "alerts": fitted.alerts}
            for scene, fitted in scenes.items()
        },
        "clips": [{"name": clip.name, "fps": clip.fps, "frames": len(clip.raw)} for clip in evaluation.clips],
        "roc": evaluation.roc,
        "curve": curve,
    }


def _curve(path: Path) -> list[dict[str, Any]]:
    """Returns the learning curve that training left; no points where it left none."""
    points: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return points


def _save_scores(clips: list[ScoredClip], path: Path) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for clip in clips:
        named: dict[str, npt.NDArray[np.generic]] = {
            "psnr": clip.raw.psnr,
            "combined": clip.combined,
            "heatmap": clip.heatmap,
        }
        named |= {name: clip.log10_p[:, index] for index, name in enumerate(DETECTORS)}
        if clip.labels is not None:
            named["labels"] = clip.labels
        arrays |= {f"{clip.name}/{key}": value for key, value in named.items()}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
