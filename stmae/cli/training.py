"""Verbs of data sets and of training."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stmae import config
from stmae.cli.arguments import WORKSPACE, Verb, add_config, add_json, show
from stmae.evaluation.study import STUDIES, parse_seeds, to_json, variants

if TYPE_CHECKING:
    from stmae.datasets.manifest import Manifest


def add_verbs(verb: Verb) -> None:
    """Adds config, data-root, prepare, train and train-flow."""
    sub = verb("config", _config, "print a resolved configuration as JSON, or the variants of it that a study compares")
    add_config(sub)
    sub.add_argument("--study", help=f"one of: {', '.join(STUDIES)}")
    sub.add_argument("--seeds", default="1,2,3", help="of the study; default: %(default)s")

    sub = verb("data-root", _data_root, "print the folder where a data set's footage is looked for by default")
    add_config(sub)
    sub.add_argument("--workspace", type=Path, default=WORKSPACE, help="default: %(default)s")

    sub = verb("prepare", _prepare, "read a dataset and write its prepared form")
    add_config(sub)
    sub.add_argument("--data-root", type=Path, required=True, help="folder with the footage")
    sub.add_argument("--out", type=Path, required=True, help="folder of the prepared dataset")
    add_json(sub)

    sub = verb("train", _train, "train a model on a prepared dataset; under torchrun, with several GPUs")
    add_config(sub)
    sub.add_argument("--dataset", type=Path, required=True, help="folder of the prepared dataset")
    sub.add_argument("--flow", type=Path, required=True, help="folder of the flow; what is there is kept")
    sub.add_argument("--out", type=Path, required=True, help="folder of the model; a training that ended early goes on")
    add_json(sub)

    sub = verb("train-flow", _train_flow, "train the flow net on synthetic motion")
    sub.add_argument("--out", type=Path, default=WORKSPACE / "flow", help="default: %(default)s")
    sub.add_argument("--steps", type=int, help="default: those of the weights in the package")
    sub.add_argument("--seed", type=int, default=1)
    add_json(sub)


def _config(arguments: argparse.Namespace) -> int:
    from stmae.datasets.readers import resolve

    settings = resolve(config.load(arguments.config, arguments.set))
    if arguments.study is None:
        print(settings.to_json())
    else:
        print(to_json(settings, variants(settings, arguments.study, parse_seeds(arguments.seeds))))
    return 0


def _data_root(arguments: argparse.Namespace) -> int:
    from stmae.datasets.readers import default_data_root

    print(default_data_root(config.load(arguments.config, arguments.set), arguments.workspace))
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from stmae.datasets.manifest import SPLITS
    from stmae.datasets.prepare import prepare

    manifest = prepare(config.load(arguments.config, arguments.set), arguments.data_root, arguments.out)
    counts = {split: len(manifest.split(split)) for split in SPLITS}
    frames = sum(clip.frames for clip in manifest.clips)
    text = ", ".join(f"{count} {split}" for split, count in counts.items())
    result = {"path": str(arguments.out), "digest": manifest.digest, "frames": frames, "clips": counts}
    show(arguments, result, f"{arguments.out}: {frames} frames; clips: {text}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from stmae.datasets.manifest import Manifest
    from stmae.training import parallel

    settings, manifest = config.load(arguments.config, arguments.set), Manifest.load(arguments.dataset)
    with parallel.joined():
        losses = _train_stages(settings, manifest, arguments.flow, arguments.out)
        if parallel.rank() == 0:
            model = arguments.out / "model"
            text = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
            show(arguments, {"model": str(model), "losses": losses}, f"{model}: {text}")
    return 0


def _train_stages(settings: config.Config, manifest: Manifest, flow: Path, out: Path) -> dict[str, float]:
    """Writes `appearance`, `motion` and `model` below `out`; returns the last losses. Processes share the flow too."""
    from stmae.datasets.flow_cache import extract_flow
    from stmae.training import parallel
    from stmae.training.adversarial import train_adversarial
    from stmae.training.estimate import estimate
    from stmae.training.pretrain import pretrain_appearance, pretrain_motion

    if parallel.size() == 1:  # of several processes an estimate would be that of one that has all to do
        print(estimate(settings, manifest, flow), file=sys.stderr)
    mine = manifest.clips[parallel.rank() :: parallel.size()]
    extract_flow(settings, dataclasses.replace(manifest, clips=mine), flow)
    parallel.wait()
    pretrain_appearance(settings, manifest, out / "appearance")
    pretrain_motion(settings, manifest, flow, out / "motion")
    return train_adversarial(settings, manifest, flow, out / "appearance", out / "motion", out / "model")


def _train_flow(arguments: argparse.Namespace) -> int:
    from stmae.training.flow import FlowRecipe, train_flow

    recipe = FlowRecipe(seed=arguments.seed)
    if arguments.steps:
        recipe = dataclasses.replace(recipe, steps=arguments.steps)
    figures = train_flow(recipe, arguments.out)
    weights = arguments.out / "model.safetensors"
    text = f"{weights}: end-point error {figures['end_point_error']:.3f} px"
    show(arguments, {"weights": str(weights), **figures}, text)
    return 0
