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
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import stmae
from stmae.config import Config, digest
from stmae.model.checkpoint import load_training, save_modules, save_training
from stmae.storage.atomic import write_atomically
from stmae.training.muon import Muon, is_kernel

Opt = TypeVar("Opt", bound=torch.optim.Optimizer)

LOG_STEPS = 20
CHECKPOINTS = "STMAE_CHECKPOINTS"
"""Environment variable: a folder for checkpoints that outlives a step."""

log = logging.getLogger(__name__)


class Stage(Protocol):
    """What the loop knows of a training stage.

    `step(i)` does the i-th optimisation step; all its randomness derives from the run's seed and i, so that a
    resumed run takes the identical next step.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def step(self, index: int) -> dict[str, Tensor]:
        """Losses by name, as scalars."""
        ...

    def heldout(self) -> dict[str, float]:
        """Figures of held-out footage, as the stage is now; takes no part in training."""
        ...

    def finish(self) -> None:
        """After the last step, before the weights are written."""
        ...


def seeded(seed: int, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The random generator of one step."""
    return torch.Generator(device=device).manual_seed((seed * 1_000_003 + index) % (2**63))


def cosine(index: int, total: int) -> float:
    """Cosine annealing from 1 to 0: the factor of the learning rate at step `index` of `total`."""
    return 0.5 * (1 + math.cos(math.pi * index / total))


def adam(groups: list[dict[str, Any]]) -> torch.optim.Adam:
    """Adam whose groups remember their own learning rate for the schedule."""
    return _remembering(torch.optim.Adam(groups))


def optimizers(config: Config, name: str, modules: Mapping[nn.Module, float]) -> dict[str, torch.optim.Optimizer]:
    """The optimizers of some modules, each with the scale of its learning rate, as the configuration wants them.

    Muon takes the kernels of convolutions and leaves the rest to Adam.
    """
    train = config.train
    muon = train.optimizer == "muon"
    kernels, rest = [], []
    for module, scale in modules.items():
        parameters = list(module.parameters())
        chosen = [parameter for parameter in parameters if muon and is_kernel(parameter)]
        others = [parameter for parameter in parameters if not (muon and is_kernel(parameter))]
        kernels.append({"params": chosen, "lr": scale * train.muon_learning_rate})
        rest.append({"params": others, "lr": scale * train.learning_rate})
    both: dict[str, torch.optim.Optimizer] = {name: adam(rest)}
    return both | ({f"{name}_kernels": _remembering(Muon(kernels))} if muon else {})


def descend(loss: Tensor, optimizers: Collection[torch.optim.Optimizer]) -> None:
    """One step down the loss."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()


def _remembering(optimizer: Opt) -> Opt:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def run(stage: Stage, *, steps: int, epoch: int, out: Path, identity: str, checkpoint_steps: int) -> dict[str, float]:
    """Train `stage` for `steps` steps in all, continuing from `out/checkpoint.safetensors` where there is one.

    Writes `out/model.safetensors`, `out/metrics.json`, `out/curve.json` (each `epoch` steps the losses, and figures of
    held-out footage) and TensorBoard logs; returns the last losses.
    Raises CheckpointError where the checkpoint is of other settings, and ValueError where a loss is not finite.
    """
    checkpoint = out / "checkpoint.safetensors"
    start = load_training(checkpoint, stage.modules, stage.optimizers, identity) if checkpoint.exists() else 0
    if start:
        log.info("continuing", extra={"step": start, "checkpoint": str(checkpoint)})
    curve = [row for row in _read(out / "curve.json", []) if row["step"] <= start]
    averages: dict[str, float] = dict(curve[-1]["losses"]) if curve else {}
    began = time.monotonic()
    with SummaryWriter(str(out / "logs"), purge_step=start) as writer:
        for index in range(start, steps):
            factor = cosine(index, steps)
            for optimizer in stage.optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * factor
            losses = stage.step(index)
            done = index + 1
            if done % LOG_STEPS == 0 or done == steps:
                averages = _averaged(averages, losses, out)
                for name, value in averages.items():
                    writer.add_scalar(name, value, done)
                _progress(out.name, done, steps, start, began, averages)
            if done % epoch == 0 or done == steps:
                curve.append({"step": done, "losses": averages, "calibration": stage.heldout()})
                _write(out / "curve.json", curve)
            if done < steps and (done % checkpoint_steps == 0 or done % epoch == 0):
                _check_finite(losses, out)  # nothing goes on from a checkpoint that is none
                save_training(checkpoint, stage.modules, stage.optimizers, done, identity)
    save_training(checkpoint, stage.modules, stage.optimizers, steps, identity)
    stage.finish()
    save_modules(out / "model.safetensors", stage.modules, {"steps": str(steps), "digest": identity})
    _write(out / "metrics.json", averages)
    return averages


def run_on(stage: Stage, config: Config, dataset: str, *, steps: int, epoch: int, out: Path) -> dict[str, float]:
    """`run` with the settings of a configuration, on normal footage of digest `dataset`.

    The checkpoint belongs to this stage, these settings, this dataset and this code: it continues no other run. Where
    the environment names a folder that outlives the step, STMAE_CHECKPOINTS, it lies there: a step that was killed
    goes on where it was, and one that was done is not done again.
    """
    windows = f"{config.data.frame_stride} {steps} {epoch}"
    parts = (type(stage).__name__, digest(config.model), digest(config.train), str(config.seed), windows, dataset)
    identity = hashlib.sha256("\n".join((*parts, code_digest())).encode()).hexdigest()
    _set_deterministic(config.train.deterministic)
    lasting = os.environ.get(CHECKPOINTS)
    folder = Path(lasting) / identity[:32] if lasting else out
    every = config.train.checkpoint_steps
    losses = run(stage, steps=steps, epoch=epoch, out=folder, identity=identity, checkpoint_steps=every)
    if folder != out:
        shutil.copytree(folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoint.*", ".*"))
    return losses


def _set_deterministic(wanted: bool) -> None:
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, at its first use
    torch.use_deterministic_algorithms(wanted)


def code_digest() -> str:
    """SHA-256 (hex) of what a training step computes with, the flow net's weights included."""
    package = Path(stmae.__file__).parent
    files = [*package.glob("model/**/*"), *package.glob("training/*.py"), package / "scoring" / "raw.py"]
    code = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix in (".py", ".safetensors")):
        code.update(hashlib.sha256(path.read_bytes()).digest())
    return code.hexdigest()


def _read(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise


def _write(path: Path, content: object) -> None:
    write_atomically(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(), shared=True)


def _averaged(averages: Mapping[str, float], losses: Mapping[str, Tensor], out: Path) -> dict[str, float]:
    _check_finite(losses, out)
    values = {name: float(value) for name, value in losses.items()}
    return {name: 0.8 * averages.get(name, value) + 0.2 * value for name, value in values.items()}


def _check_finite(losses: Mapping[str, Tensor], out: Path) -> None:
    for name, value in losses.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{out}: {name} is {float(value)}: training diverged; "
                "lower train.learning_rate, with Muon train.muon_learning_rate"
            )


def _progress(name: str, done: int, steps: int, start: int, began: float, losses: Mapping[str, float]) -> None:
    if not sys.stderr.isatty():
        return
    left = (time.monotonic() - began) / (done - start) * (steps - done)
    text = " ".join(f"{key} {value:.4f}" for key, value in losses.items())
    print(
        f"\r{name} {done}/{steps}, {left:.0f} s left: {text}\033[K",
        end="\n" if done == steps else "",
        file=sys.stderr,
    )
