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
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

import stmae
from stmae.config import Config, digest
from stmae.model.checkpoint import load_training, save_modules, save_training
from stmae.storage.atomic import write_atomically
from stmae.training import parallel
from stmae.training.capture import EAGER_CALLS, fastest
from stmae.training.optimizers import cosine, set_learning_rate
from stmae.training.stage import Stage, step

POINTS = 10
"""Points of the learning curve, spread evenly over the steps."""
LOG_STEPS = 20
FIRST_STEPS = EAGER_CALLS + 1
"""Steps that take longer than the others: the last of them is captured on a GPU."""
LOSS_MOMENTUM = 0.8
"""Weight of the past in the exponential average of the logged losses."""
CHECKPOINTS = "STMAE_CHECKPOINTS"
"""Environment variable: a folder for checkpoints that outlives a pipeline step."""

log = logging.getLogger(__name__)


def seeded(seed: int, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns the random generator of one step."""
    return torch.Generator(device=device).manual_seed((seed * 1_000_003 + index) % (2**63))


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
    others will take, and that `setting` shortens it. Of several processes the first one writes. Raises
    CheckpointError if the checkpoint belongs to other settings, and ValueError if a loss is not finite.
    """
    checkpoint, update, writes = out / "checkpoint.safetensors", fastest(stage), parallel.rank() == 0
    start = load_training(checkpoint, stage.modules, stage.optimizers, identity) if checkpoint.exists() else 0
    if start:
        log.info("continuing", extra={"step": start, "checkpoint": str(checkpoint)})
    curve = [row for row in _read_json(out / "curve.json", []) if row["step"] <= start]
    averages: dict[str, float] = dict(curve[-1]["losses"]) if curve else {}
    shown = writes and sys.stderr.isatty()
    with (
        SummaryWriter(str(out / "logs"), purge_step=start) if writes else nullcontext() as writer,
        tqdm(total=steps, initial=start, desc=out.name, unit="step", disable=not shown) as progress,
    ):
        for index in _timed(range(start, steps), out.name, setting):
            set_learning_rate(stage.optimizers, cosine(index, steps))
            losses = step(stage, index, update)
            done = index + 1
            point = done * POINTS // steps > index * POINTS // steps
            progress.update()
            if done % LOG_STEPS == 0 or point:
                averages = _averaged(averages, _finite(losses, out))
                if writer is not None:
                    for name, value in averages.items():
                        writer.add_scalar(name, value, done)
                progress.set_postfix(averages, refresh=False)
            if point and writes:
                curve.append({"step": done, "losses": averages, "calibration": stage.validate()})
                _write_json(out / "curve.json", curve)
            if done < steps and (done % checkpoint_steps == 0 or point):
                _finite(losses, out)  # a checkpoint of diverged weights could not be continued
                if writes:
                    save_training(checkpoint, stage.modules, stage.optimizers, done, identity)
    if writes:
        save_training(checkpoint, stage.modules, stage.optimizers, steps, identity)
    stage.finish()
    if writes:
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
    if folder != out and parallel.rank() == 0:
        shutil.copytree(folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoint.*", ".*"))
    parallel.wait()  # the next stage reads what the first process has written
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
        if number == FIRST_STEPS:
            began = time.perf_counter()
        elif number == LOG_STEPS:
            left = duration((time.perf_counter() - began) / (number - FIRST_STEPS) * (len(steps) - number))
            log.info("%s takes about %s more on this machine; fewer %s shorten it", stage, left, setting)
        yield index


def _set_deterministic(wanted: bool) -> None:
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, at its first use
    torch.use_deterministic_algorithms(wanted)


def _read_json(path: Path, default: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default


def _write_json(path: Path, content: object) -> None:
    write_atomically(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(), shared=True)


def _averaged(averages: Mapping[str, float], values: Mapping[str, float]) -> dict[str, float]:
    return {
        name: LOSS_MOMENTUM * averages.get(name, value) + (1 - LOSS_MOMENTUM) * value for name, value in values.items()
    }


def _finite(losses: Mapping[str, Tensor], out: Path) -> dict[str, float]:
    """Returns the values of losses, the same in all processes; raises ValueError if one is not finite."""
    values = torch.stack(list(losses.values()))
    parallel.average([values])
    for name, value in zip(losses, values.tolist(), strict=True):
        if not math.isfinite(value):
            raise ValueError(
                f"{out}: {name} is {value}: training diverged; "
                "lower train.learning_rate, with Muon train.muon_learning_rate"
            )
    return dict(zip(losses, values.tolist(), strict=True))
