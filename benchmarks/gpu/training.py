"""What a GPU is for: the prepared data set, the training step, and trainings with several seeds.

A work folder has `dataset`, `flow` and a folder for each seed.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.folder import unpack
from benchmarks.gpu.stages import Notes
from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache, extract_flow
from stmae.datasets.manifest import Manifest
from stmae.datasets.prepare import prepare
from stmae.evaluation.evaluate import evaluate
from stmae.model.device import training_device
from stmae.training.adversarial import AdversarialStage, train_adversarial
from stmae.training.capture import fastest
from stmae.training.pretrain import pretrain_appearance, pretrain_motion
from stmae.training.stage import Update, step
from stmae.training.windows import Windows

STEPS = {"cuda": (10, 40), "cpu": (1, 2)}
"""Steps of warm-up and timed steps."""
COMPARED_STEPS = {"cuda": 50, "cpu": 2}
"""First steps of a training of which the losses are compared."""
MARGIN = 1.3
"""Seconds a step takes in training for each second measured: the learning curve and checkpoints come on top, which do
not become faster as steps do."""
PROXY = 0.5
"""Seconds of a step of a proxy task for each second of an adversarial one; it only divides the time between them."""
EVALUATION = 0.15
"""Fraction of a training's time box that is kept for the evaluation."""


def prepare_dataset(notes: Notes, config: Config, data: Path, work: Path) -> None:
    """Unpacks the folder that travelled, prepares the data set and computes its flow."""

    def timed(name: str, call: Callable[[], object]) -> None:
        notes.doing(name)
        began = time.monotonic()
        call()
        notes.put(**{f"seconds_{name}": round(time.monotonic() - began, 2)})

    timed("unpack", lambda: unpack(data, work / "data"))
    timed("prepare", lambda: prepare(config, work / "data", work / "dataset"))
    timed("flow", lambda: extract_flow(config, Manifest.load(work / "dataset"), work / "flow"))


def time_step(notes: Notes, config: Config, work: Path) -> None:
    """Notes the milliseconds of a step of adversarial training and how far its losses are from those of eager steps.

    An eager step reads its batch from files and launches kernel by kernel.
    """
    eager, stage = _stage(config, work, resident=False), _stage(config, work)
    notes.doing("timing an eager step")
    size = {"size": config.model.size, "batch": config.train.batch}
    notes.put(**size, ms_step_eager=_milliseconds(eager, eager.update), ms_reading=_reading(config, eager))
    notes.doing("timing a step")
    milliseconds = _milliseconds(stage, fastest(stage))
    notes.put(ms_step=milliseconds, windows_per_s=round(1000 * config.train.batch / milliseconds, 1))
    if stage.device.type == "cuda":
        notes.put(memory_gib=round(torch.cuda.max_memory_allocated() / 2**30, 2))
    notes.doing("timing a step in fp32")
    stage.config = dataclasses.replace(config, train=dataclasses.replace(config.train, bf16=False))
    notes.put(ms_step_fp32=_milliseconds(stage, fastest(stage)))
    notes.doing("comparing losses")
    expected, again = (_losses(config, work, eager=True) for _ in range(2))
    found = _losses(config, work, eager=False)
    notes.put(largest_loss_difference=_largest(found, expected))
    notes.put(largest_loss_difference_eager=_largest(again, expected))


def train_seed(notes: Notes, config: Config, work: Path, seconds: float) -> None:
    """Trains and evaluates one model within `seconds`, with as many of the configuration's steps as fit."""
    manifest, flow, out = Manifest.load(work / "dataset"), work / "flow", work / f"seed-{config.seed}"
    train, ends = config.train, seconds * (1 - EVALUATION)
    notes.doing("timing a step")
    stage = _stage(config, work)
    milliseconds = _milliseconds(stage, fastest(stage))
    del stage
    seconds_step = milliseconds / 1000 * MARGIN
    whole = seconds_step * (train.steps + 2 * PROXY * train.pretrain_steps)
    notes.put(ms_step=milliseconds)
    steps = fitting(train.steps, (ends - notes.seconds()) / whole * train.steps)
    config = dataclasses.replace(config, train=dataclasses.replace(train, steps=steps))
    pretraining = config.train.pretrain_steps
    notes.doing(f"pretraining, {pretraining} steps of each stream")
    pretrain_appearance(config, manifest, out / "appearance")
    pretrain_motion(config, manifest, flow, out / "motion")
    notes.put(steps_pretraining=pretraining)
    steps = fitting(train.steps, (ends - notes.seconds()) / seconds_step)
    config = dataclasses.replace(config, train=dataclasses.replace(train, steps=steps))
    notes.doing(f"adversarial training, {steps} steps")
    train_adversarial(config, manifest, flow, out / "appearance", out / "motion", out / "model")
    if (pretraining, steps) != (train.pretrain_steps, train.steps):
        notes.shortened(
            f"{pretraining} of {train.pretrain_steps} steps of pretraining and {steps} of "
            f"{train.steps} of adversarial training: what fits into {seconds:.0f} s"
        )
    notes.put(seconds_training=round(notes.seconds(), 1), **reached(work, config.seed))
    notes.doing("evaluation")
    notes.put(**evaluate(config, manifest, flow, out / "model", out / "evaluation").figures)


def reached(work: Path, seed: int) -> dict[str, Any]:
    """Returns the steps of adversarial training that are done, with the learning curve, also of a stopped training."""
    path = work / f"seed-{seed}" / "model" / "curve.json"
    curve = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    psnr = [row["calibration"]["psnr"] for row in curve]
    return {"steps_adversarial": curve[-1]["step"] if curve else 0, "calibration_psnr_by_tenth": psnr}


def fitting(wanted: int, fit: float) -> int:
    """Returns how many of the wanted steps are trained where `fit` steps fit: at least one."""
    return max(1, min(wanted, int(fit)))


def _stage(config: Config, work: Path, *, resident: bool | None = None) -> AdversarialStage:
    """Returns the adversarial stage with untrained encoders: what they have learnt does not change its speed."""
    torch.manual_seed(config.seed)
    manifest = Manifest.load(work / "dataset")
    flow, device = FlowCache.of(work / "flow", manifest), training_device()
    train, calibration = (
        Windows(config, manifest, split, device, flow=flow, resident=resident) for split in ("train", "calibration")
    )
    return AdversarialStage(config, train, calibration)


def _losses(config: Config, work: Path, *, eager: bool) -> torch.Tensor:
    """Returns the losses [steps,5] of the first steps of a training."""
    stage = _stage(config, work, resident=False if eager else None)
    update = stage.update if eager else fastest(stage)
    steps = range(COMPARED_STEPS[stage.device.type])
    return torch.stack([torch.stack(list(step(stage, index, update).values())) for index in steps]).cpu()


def _largest(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Returns the largest difference of losses, as a fraction of the expected one."""
    return float(((found - expected).abs() / expected.abs().clamp_min(1e-6)).max())


def _reading(config: Config, stage: AdversarialStage) -> float:
    """Returns the milliseconds in which a batch comes from disk to normalised tensors on the device."""

    def read(index: int) -> None:
        order = stage.windows.order(index, config.train.batch, config.seed)
        stage.windows.frames(order)
        stage.windows.flows(order)

    return _mean_milliseconds(read, stage.device)


def _milliseconds(stage: AdversarialStage, update: Update) -> float:
    """Returns the mean time of a step with an update."""
    return _mean_milliseconds(lambda index: step(stage, index, update), stage.device)


def _mean_milliseconds(call: Callable[[int], object], device: torch.device) -> float:
    """Returns the mean time of a call. The device is waited for once, at the end, as in training."""
    warm_up, count = STEPS[device.type]
    for index in range(warm_up):
        call(index)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    for index in range(warm_up, warm_up + count):
        call(index)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return round((time.perf_counter() - began) / count * 1000, 2)
