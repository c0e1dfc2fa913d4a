"""The training loop that all stages share: schedule, resumption, checkpoints, logs."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

import stmae
from stmae.config import Config, digest
from stmae.model.checkpoint import load_training, save_modules, save_training
from stmae.storage.atomic import write_atomically
from stmae.training.muon import Muon, hidden_kernels, output_kernels

Opt = TypeVar("Opt", bound=torch.optim.Optimizer)

POINTS = 10
"""Points of the learning curve, spread evenly over the steps."""
LOG_STEPS = 20
LOSS_MOMENTUM = 0.8
"""Weight of the past in the exponential average of the logged losses."""
OUTPUT_RATE = 5.0
"""Beside Muon, Adam trains output layers so many times faster than the rest, to keep up with the hidden layers."""
CHECKPOINTS = "STMAE_CHECKPOINTS"
"""Environment variable: a folder for checkpoints that outlives a pipeline step."""

log = logging.getLogger(__name__)


class Stage(Protocol):
    """What the loop knows of a training stage.

    `step(i)` makes the i-th optimisation step; all its randomness derives from the run's seed and i, so that a
    resumed run takes the identical next step.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def step(self, index: int) -> dict[str, Tensor]:
        """Returns the losses of the step by name, as scalars."""
        ...

    def validate(self) -> dict[str, float]:
        """Returns figures of the stage on the calibration split, which takes no part in training."""
        ...

    def finish(self) -> None:
        """Runs after the last step, before the weights are written."""
        ...


def seeded(seed: int, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns the random generator of one step."""
    return torch.Generator(device=device).manual_seed((seed * 1_000_003 + index) % (2**63))


def cosine(index: int, total: int) -> float:
    """Returns the factor of the learning rate at step `index` of `total`: cosine annealing from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * index / total))


def adam(groups: list[dict[str, Any]]) -> torch.optim.Adam:
    """Returns Adam over parameter groups that keep their initial learning rate for the schedule."""
    return _with_initial_lr(torch.optim.Adam(groups))


def optimizers(config: Config, name: str, modules: Mapping[nn.Module, float]) -> dict[str, torch.optim.Optimizer]:
    """Returns the optimizers of modules, given with the scale of each module's learning rate.

    Muon, if the configuration asks for it, takes the kernels of hidden layers and leaves the rest to Adam.
    """
    train = config.train
    if train.optimizer == "adam":
        groups = [_group(module.parameters(), scale * train.learning_rate) for module, scale in modules.items()]
        return {name: adam(groups)}
    kernels, rest = [], []
    for module, scale in modules.items():
        hidden, outputs = hidden_kernels(module), output_kernels(module)
        apart = {*hidden, *outputs}
        others = [parameter for parameter in module.parameters() if parameter not in apart]
        kernels.append(_group(hidden, scale * train.muon_learning_rate))
        rest.append(_group(others, scale * train.learning_rate))
        rest.append(_group(outputs, scale * train.learning_rate * OUTPUT_RATE))
    return {name: adam(rest), f"{name}_kernels": _with_initial_lr(Muon(kernels))}


def descend(loss: Tensor, optimizers: Collection[torch.optim.Optimizer]) -> None:
    """Makes one step of the optimizers down the gradient of a loss."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()


def duration(seconds: float) -> str:
    """Returns a time in the unit that people would use: seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run(
    stage: Stage, *, steps: int, out: Path, identity: str, checkpoint_steps: int, setting: str = "train.steps"
) -> dict[str, float]:
    """Trains a stage to `steps` steps in all, continuing from `out/checkpoint.safetensors` if there is one.

    Writes `out/model.safetensors`, `out/metrics.json`, `out/curve.json` (the losses and `validate` at POINTS steps, the
    last of them included) and TensorBoard logs; returns the last losses. After some steps it logs how long the
    others will take, and that `setting` shortens it. Raises CheckpointError if the checkpoint belongs to other
    settings, and ValueError if a loss is not finite.
    """
    checkpoint = out / "checkpoint.safetensors"
    start = load_training(checkpoint, stage.modules, stage.optimizers, identity) if checkpoint.exists() else 0
    if start:
        log.info("continuing", extra={"step": start, "checkpoint": str(checkpoint)})
    curve = [row for row in _read_json(out / "curve.json", []) if row["step"] <= start]
    averages: dict[str, float] = dict(curve[-1]["losses"]) if curve else {}
    with (
        SummaryWriter(str(out / "logs"), purge_step=start) as writer,
        tqdm(total=steps, initial=start, desc=out.name, unit="step", disable=not sys.stderr.isatty()) as progress,
    ):
        for index in _timed(range(start, steps), out.name, setting):
            _set_learning_rate(stage.optimizers, cosine(index, steps))
            losses = stage.step(index)
            done = index + 1
            point = done * POINTS // steps > index * POINTS // steps
            progress.update()
            if done % LOG_STEPS == 0 or point:
                averages = _averaged(averages, losses, out)
                for name, value in averages.items():
                    writer.add_scalar(name, value, done)
                progress.set_postfix(averages, refresh=False)
            if point:
                curve.append({"step": done, "losses": averages, "calibration": stage.validate()})
                _write_json(out / "curve.json", curve)
            if done < steps and (done % checkpoint_steps == 0 or point):
                _check_finite(losses, out)  # a checkpoint of diverged weights could not be continued
                save_training(checkpoint, stage.modules, stage.optimizers, done, identity)
    save_training(checkpoint, stage.modules, stage.optimizers, steps, identity)
    stage.finish()
    save_modules(out / "model.safetensors", stage.modules, {"steps": str(steps), "digest": identity})
    _write_json(out / "metrics.json", averages)
    return averages


def run_on(stage: Stage, config: Config, dataset: str, *, steps: int, out: Path) -> dict[str, float]:
    """Calls `run` with the settings of a configuration, on the normal footage whose digest is `dataset`.

    The checkpoint belongs to this stage, these settings, this dataset and this code; it continues no other run. If
    the environment names a folder that outlives the step, STMAE_CHECKPOINTS, it is kept there: a step that was killed
    continues, and one that was done is not done again.
    """
    windows = f"{config.data.frame_stride} {steps}"
    parts = (type(stage).__name__, digest(config.model), digest(config.train), str(config.seed), windows, dataset)
    identity = hashlib.sha256("\n".join((*parts, code_digest())).encode()).hexdigest()
    _set_deterministic(config.train.deterministic)
    lasting = os.environ.get(CHECKPOINTS)
    folder = Path(lasting) / identity[:32] if lasting else out
    every = config.train.checkpoint_steps
    losses = run(stage, steps=steps, out=folder, identity=identity, checkpoint_steps=every)
    if folder != out:
        shutil.copytree(folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoint.*", ".*"))
    return losses


def code_digest() -> str:
    """Returns the SHA-256 (hex) of the code that training computes with, the flow net's weights included."""
    package = Path(stmae.__file__).parent
    files = [*package.glob("model/**/*"), *package.glob("training/*.py"), package / "scoring" / "raw.py"]
    code = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix in (".py", ".safetensors")):
        code.update(hashlib.sha256(path.read_bytes()).digest())
    return code.hexdigest()


def _timed(steps: range, stage: str, setting: str) -> Iterator[int]:
    """Yields steps; after some of them it logs how long the others will take, and that `setting` shortens it."""
    began = 0.0
    for number, index in enumerate(steps):
        if number == 1:
            began = time.perf_counter()  # the first step takes longer than the others
        elif number == LOG_STEPS:
            left = duration((time.perf_counter() - began) / (number - 1) * (len(steps) - number))
            log.info("%s takes about %s more on this machine; fewer %s shorten it", stage, left, setting)
        yield index


def _group(parameters: Iterable[nn.Parameter], lr: float) -> dict[str, Any]:
    return {"params": list(parameters), "lr": lr}


def _with_initial_lr(optimizer: Opt) -> Opt:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def _set_learning_rate(optimizers: Mapping[str, torch.optim.Optimizer], factor: float) -> None:
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


def _set_deterministic(wanted: bool) -> None:
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, at its first use
    torch.use_deterministic_algorithms(wanted)


def _read_json(path: Path, default: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default


def _write_json(path: Path, content: object) -> None:
    write_atomically(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(), shared=True)


def _averaged(averages: Mapping[str, float], losses: Mapping[str, Tensor], out: Path) -> dict[str, float]:
    _check_finite(losses, out)
    values = {name: float(value) for name, value in losses.items()}
    return {
        name: LOSS_MOMENTUM * averages.get(name, value) + (1 - LOSS_MOMENTUM) * value for name, value in values.items()
    }


def _check_finite(losses: Mapping[str, Tensor], out: Path) -> None:
    for name, value in losses.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{out}: {name} is {float(value)}: training diverged; "
                "lower train.learning_rate, with Muon train.muon_learning_rate"
            )
