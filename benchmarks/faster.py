"""Measures how well a trained model tells normal clips from the same clips with synthetic anomalies in them.

python benchmarks/faster.py --run work/runs/train/NAME-TIME --out DIR

Nothing may be chosen on test clips, and synthetic footage is not the camera's own. So the anomalies are made from the
camera's normal clips (altered.py): from the middle of a clip on, a region plays at 1.5 or 2 times the speed, or a copy
of a walker appears: a third faster than the walker, or twice as wide, or entering at the edge. In each of DRAWS random
draws some clips are scored, and the calibration is fitted on others, with the rest as its training clips.

Figures are AUCs over frames: `combined` and `baseline` (flow magnitude), the mean over the draws and the lowest of them
(`_lowest`); for each anomaly against the unaltered clips, and `together` for all anomalies against the frames before
them. Most of the clips were trained on, and a model that overfits predicts them too well.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
from altered import Flows, Frames, Labels, carried, faster
from record import record
from sklearn.metrics import roc_auc_score

from stmae.config import Config, from_json
from stmae.datasets.flow_cache import FlowCache, compute_flow
from stmae.datasets.manifest import Clip, Manifest
from stmae.evaluation import evaluate
from stmae.model.build import load_model
from stmae.model.device import training_device
from stmae.model.stmae import STMAE
from stmae.scoring import raw as score
from stmae.scoring.calibration import Calibration, fit_calibration
from stmae.scoring.combine import flow_magnitude
from stmae.scoring.raw import CLIP_FRAMES, RawScores

FACTORS = (1.5, 2.0)
"""Factors of the speed of a region."""
CARRIED = 1.3
"""Factor of the speed of a walker's copy, whose legs move at their own pace."""
COMES = 1.4
"""Factor of the speed of a copy that enters at the edge."""
WIDE = 2.0
"""Factor of the width of a copy that is as fast as the walker."""
DRAWS = 12
JUDGED, CALIBRATING = 0.25, 0.2
"""Fractions of the normal clips that are scored, and that the calibration is fitted on."""
ALTERED = (*(f"x{factor:g}" for factor in FACTORS), "carried", "wide", "comes")
TOGETHER, BEFORE = "together", 30
"""Name of the figure of all anomalies at once, and the most normal frames before each: as test sets have them."""
Floats = npt.NDArray[np.floating]


@dataclasses.dataclass(frozen=True)
class Played:
    """A normal clip with the raw scores of its frames, unaltered and altered."""

    clip: Clip
    normal: RawScores
    altered: dict[str, tuple[RawScores, Labels]]
    """Raw scores and labels by the name of the anomaly; those of walkers are missing where nobody walks alone."""


def measure(model: STMAE, frames: Frames, normal: Flows, first: int) -> RawScores:
    """Returns the raw scores of frames [F,S,S,3] that equal a clip, with flow `normal`, before the frame `first`."""
    device = training_device()
    flows = np.concatenate([normal[: first - 1], *compute_flow(model.flow_net, frames[first - 1 :], device)])
    return evaluate.raw_scores_of(model, 0, frames, flows, device)


def speeds(raw: RawScores) -> Floats:
    """Returns the speed of each tile [F,16,16] in pixels a frame."""
    return np.asarray(np.hypot(raw.flow_tiles[:, 0], raw.flow_tiles[:, 1]))


def played(model: STMAE, manifest: Manifest, clip: Clip, flow: FlowCache, normal: RawScores) -> Played:
    """Returns the clip with each anomaly that can be made of it."""
    frames, flows = np.array(manifest.frames(clip)), flow.flows(clip)
    clips = {f"x{factor:g}": faster(frames, flows, speeds(normal), factor) for factor in FACTORS}
    for name, speed, width in (("carried", CARRIED, 1.0), ("wide", 1.0, WIDE), ("comes", COMES, 1.0)):
        made = carried(frames, flows, speed, width, comes=name == "comes")
        clips |= {name: made} if made else {}
    measured = {
        name: (measure(model, altered, flows, int(np.argmax(labels != 0))), labels[CLIP_FRAMES:])
        for name, (altered, labels) in clips.items()
    }
    return Played(clip, normal, measured)


def draws(clips: list[Played], config: Config) -> Iterator[tuple[Calibration, list[Played]]]:
    """Yields calibrations, each with the clips to score, which it was not fitted on."""
    random = np.random.default_rng(config.seed)
    judged, calibrating = (max(round(fraction * len(clips)), 1) for fraction in (JUDGED, CALIBRATING))
    for _ in range(DRAWS):
        order = [clips[index] for index in random.permutation(len(clips))]
        own, others = order[judged : judged + calibrating], order[judged + calibrating :]
        calibration = fit_calibration(
            [one.normal for one in own],
            [one.clip.fps for one in own],
            [(one.normal.flow_tiles, one.clip.fps) for one in others],
            [(one.normal, one.clip.fps) for one in others],
            **dataclasses.asdict(config.score),
        )
        yield calibration, order[:judged]


def aucs(clips: list[Played], config: Config) -> dict[str, float]:
    """Returns the figures of the anomalies that at least one clip has."""
    values: dict[str, list[float]] = defaultdict(list)

    def baseline(raw: RawScores, fps: float) -> Floats:
        return score.smooth(flow_magnitude(raw.flow_tiles), config.score.smoothing_seconds * fps)

    for calibration, drawn in draws(clips, config):
        for name in (*ALTERED, TOGETHER):
            parts = list(judged(drawn, name))
            known = [labels[labels >= 0] for _, _, labels in parts]
            if not any(each.any() for each in known):
                continue
            for score_name, curve in (("combined", calibration.score), ("baseline", baseline)):
                scores = [curve(raw, fps)[labels >= 0] for raw, fps, labels in parts]
                auc = roc_auc_score(np.concatenate(known), np.concatenate(scores))
                values[f"{score_name}_{name}"].append(float(auc))
    lowest = {f"{name}_lowest": min(each) for name, each in values.items()}
    return {name: round(value, 4) for name, value in ({n: fmean(each) for n, each in values.items()} | lowest).items()}


def judged(clips: list[Played], name: str) -> Iterator[tuple[RawScores, float, Labels]]:
    """Yields raw scores, frames a second and labels of the clips that count for a figure."""
    for clip in clips:
        fps = clip.clip.fps
        for altered, (raw, labels) in clip.altered.items():
            if name == altered:
                yield clip.normal, fps, np.zeros(len(clip.normal), int)
                yield raw, fps, labels
            elif name == TOGETHER:
                early = np.arange(len(labels)) < np.argmax(labels != 0) - BEFORE
                yield raw, fps, np.where(early, -1, labels)


def main() -> int:
    """Returns 0, or 2 where the folder is not that of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, required=True, help="folder of a run of the training pipeline or of a study"
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    models = sorted(arguments.run.glob("stmae-*/**/train-adversarial/model"))
    if not models:
        print(f"{arguments.run}: no trained model in it; pass the `run` of a summary.json", file=sys.stderr)
        return 2
    # The evaluation of this very model: a study has several, with seeds and settings of their own.
    evaluation = models[0].parents[1] / "evaluate" / "evaluation" / "evaluation.json"
    config = from_json(json.dumps(json.loads(evaluation.read_text(encoding="utf-8"))["config"]))
    if config.model.scenes > 1:
        print(f"{arguments.run}: model.scenes = {config.model.scenes}; pass a run with one scene", file=sys.stderr)
        return 2
    steps = next(arguments.run.glob("stmae-*"))
    manifest = Manifest.load(steps / "prepare-dataset" / "dataset")
    flow = FlowCache.of(steps / "extract-flow" / "flow", manifest)
    model = load_model(config, models[0], training_device())
    clips = []
    for clip in (*manifest.split("calibration"), *manifest.split("train")):
        normal = evaluate.measure(config, model, manifest, clip, flow, training_device())
        clips.append(played(model, manifest, clip, flow, normal))
    figures = {"clips": len(clips), "draws": DRAWS, "seed": config.seed, **aucs(clips, config)}
    run = Path(*arguments.run.resolve().parts[-4:])  # from the workspace on, wherever that lies
    command = f"python benchmarks/faster.py --run {run} --out {arguments.out}"
    print(record(f"faster-{config.name}", command, figures, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
