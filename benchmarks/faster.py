"""How well a trained model tells normal footage from the same footage once something in it goes faster.

python benchmarks/faster.py --run work/runs/train/NAME-TIME --out DIR

What the combined score is made of may not be chosen on test clips, and a synthetic scene is not the camera's own. So
its normal clips go on, from their middle, with a part that plays at 1.5 and 2 times the speed, or with one walker more:
who is carried, a third faster than they walked, or as fast and twice as wide, or who comes into the view. What moves
there has to be told from the clips as they were, and from what came before, by calibrations that know neither: again
and again some clips are drawn to be judged, some to calibrate on as held-out clips, the others as training clips.
Figures are AUCs over frames: `combined` and `baseline` (flow magnitude), the mean of the draws, and `_lowest` of them;
of each alteration against the clips as they were, and of all of them `together` against a few frames before each. Most
of the clips were trained on; a model that overfits predicts them too well, and knows what moves in them too well.
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
from altered import Flows, Frames, Truth, carried, faster
from record import record
from sklearn.metrics import roc_auc_score

from stmae.config import Config, from_json
from stmae.datasets.flow_cache import FlowCache, compute_flow
from stmae.datasets.manifest import Clip, Manifest
from stmae.evaluation import inference
from stmae.model.build import load_model
from stmae.model.device import training_device
from stmae.model.stmae import STMAE
from stmae.scoring import raw as score
from stmae.scoring.calibration import Calibration, fit_calibration
from stmae.scoring.combine import flow_magnitude
from stmae.scoring.raw import CLIP_FRAMES, RawScores

FACTORS = (1.5, 2.0)
"""Times the speed, of a part of the picture."""
CARRIED = 1.3
"""Times the speed of a walker, whose legs go on as they did."""
COMES = 1.4
"""... who comes into the view."""
WIDE = 2.0
"""Times the width of a walker, who is as fast as they were: nobody looks like that."""
DRAWS = 12
JUDGED, CALIBRATING = 0.25, 0.2
"""Shares of the normal clips."""
ALTERED = (*(f"x{factor:g}" for factor in FACTORS), "carried", "wide", "comes")
TOGETHER, BEFORE = "together", 30
"""All of them in one figure, with no more than so many usual frames before each: as test sets are."""
Floats = npt.NDArray[np.floating]


@dataclasses.dataclass(frozen=True)
class Played:
    """A normal clip, and what the model measures of it as it was and altered."""

    clip: Clip
    usual: RawScores
    altered: dict[str, tuple[RawScores, Truth]]
    """One of ALTERED -> evidence, truth; none of a walker where nobody walks alone."""


def measure(model: STMAE, frames: Frames, usual: Flows, first: int) -> RawScores:
    """Of frames [F,S,S,3] that are those of a clip, with that flow, up to the `first` one that is altered."""
    device = training_device()
    flows = np.concatenate([usual[: first - 1], *compute_flow(model.flow_net, frames[first - 1 :], device)])
    return inference.raw_scores(model, 0, frames, flows, device)


def speeds(evidence: RawScores) -> Floats:
    """[F,16,16] pixels a frame."""
    return np.asarray(np.hypot(evidence.flow_tiles[:, 0], evidence.flow_tiles[:, 1]))


def played(model: STMAE, manifest: Manifest, clip: Clip, flow: FlowCache, usual: RawScores) -> Played:
    frames, flows = np.array(manifest.frames(clip)), flow.flows(clip)
    clips = {f"x{factor:g}": faster(frames, flows, speeds(usual), factor) for factor in FACTORS}
    for name, speed, width in (("carried", CARRIED, 1.0), ("wide", 1.0, WIDE), ("comes", COMES, 1.0)):
        made = carried(frames, flows, speed, width, comes=name == "comes")
        clips |= {name: made} if made else {}
    measured = {
        name: (measure(model, altered, flows, int(np.argmax(truth != 0))), truth[CLIP_FRAMES:])
        for name, (altered, truth) in clips.items()
    }
    return Played(clip, usual, measured)


def draws(clips: list[Played], config: Config) -> Iterator[tuple[Calibration, list[Played]]]:
    """Calibrations, each with clips that it does not know."""
    random = np.random.default_rng(config.seed)
    judged, calibrating = (max(round(share * len(clips)), 1) for share in (JUDGED, CALIBRATING))
    for _ in range(DRAWS):
        order = [clips[index] for index in random.permutation(len(clips))]
        own, others = order[judged : judged + calibrating], order[judged + calibrating :]
        calibration = fit_calibration(
            [one.usual for one in own],
            [one.clip.fps for one in own],
            [(one.usual.flow_tiles, one.clip.fps) for one in others],
            [(one.usual, one.clip.fps) for one in others],
            **dataclasses.asdict(config.score),
        )
        yield calibration, order[:judged]


def aucs(clips: list[Played], config: Config) -> dict[str, float]:
    """The figures; none of what is in no clip."""
    values: dict[str, list[float]] = defaultdict(list)

    def baseline(evidence: RawScores, fps: float) -> Floats:
        return score.smooth(flow_magnitude(evidence.flow_tiles), config.score.smoothing_seconds * fps)

    for calibration, drawn in draws(clips, config):
        for name in (*ALTERED, TOGETHER):
            parts = list(judged(drawn, name))
            labels = [truth[truth >= 0] for _, _, truth in parts]
            if not any(each.any() for each in labels):
                continue
            for kind, curve in (("combined", calibration.score), ("baseline", baseline)):
                scores = [curve(evidence, fps)[truth >= 0] for evidence, fps, truth in parts]
                auc = roc_auc_score(np.concatenate(labels), np.concatenate(scores))
                values[f"{kind}_{name}"].append(float(auc))
    lowest = {f"{name}_lowest": min(each) for name, each in values.items()}
    return {name: round(value, 4) for name, value in ({n: fmean(each) for n, each in values.items()} | lowest).items()}


def judged(clips: list[Played], name: str) -> Iterator[tuple[RawScores, float, Truth]]:
    """RawScores, frames a second and truth of the clips that a figure is of."""
    for clip in clips:
        fps = clip.clip.fps
        for altered, (evidence, truth) in clip.altered.items():
            if name == altered:
                yield clip.usual, fps, np.zeros(len(clip.usual), int)
                yield evidence, fps, truth
            elif name == TOGETHER:
                early = np.arange(len(truth)) < np.argmax(truth != 0) - BEFORE
                yield evidence, fps, np.where(early, -1, truth)


def main() -> int:
    """0, or 2 where the folder is no run's."""
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
    # Of this very model: a study has several, with seeds and settings of their own.
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
        usual = inference.clip_raw_scores(config, model, manifest, clip, flow, training_device())
        clips.append(played(model, manifest, clip, flow, usual))
    figures = {"clips": len(clips), "draws": DRAWS, "seed": config.seed, **aucs(clips, config)}
    run = Path(*arguments.run.resolve().parts[-4:])  # in a workspace, wherever that is
    command = f"python benchmarks/faster.py --run {run} --out {arguments.out}"
    print(record(f"faster-{config.name}", command, figures, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
