"""Measures how long the parts of a step of adversarial training take, and what bf16 saves.

python benchmarks/training.py --config NAME --out DIR

Model and training are as the configuration says. Frames and flows are those of a short synthetic film, read as in
training. Times are milliseconds, medians over the steps after a warm-up. On a GPU a step whose parts are timed is not
captured: `python -m benchmarks.gpu` measures one that is.
- `ms_step`: a whole step; `ms_step_fp32`: a step without bf16. The two alternate. Where the hardware has no bf16 they
  are equal.
- `ms_step_default_malloc`: a step with the default settings of the allocator. All other figures are taken with the
  settings of the pipeline's steps. Processes with either setting alternate, and the figures are medians over them.
- `ms_reading`: windows of frames and flows from disk to normalised tensors; `ms_encoders`; `ms_memory`: read and write;
  `ms_decoder`; `ms_flow`: flow of the prediction, for L_m; `ms_discriminator`: its judgement of the prediction, and its
  own step; `ms_backward`: the generator's gradients and update; `ms_rest`: the other losses.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import shlex
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import record

from stmae import config as configuration
from stmae.config import Config, ConfigError
from stmae.datasets.flow_cache import extract_flow
from stmae.datasets.prepare import prepare
from stmae.model.device import training_device
from stmae.training import adversarial
from stmae.training.adversarial import AdversarialStage
from stmae.training.stage import step
from stmae.training.windows import Windows

FILM = ("data.reader=walkway", "walkway.train_clips=3", "walkway.test_clips=1", "walkway.frames=60")
WARM_UP, STEPS, TURNS = 3, 12, 3


class Stopwatch:
    """Sums up milliseconds by part. A part within another counts as the outer one."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.parts, self._running = device, defaultdict[str, float](float), False

    def over(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function with its time added to the part."""

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._running:
                return function(*arguments, **options)
            self._running, began = True, self.now()
            try:
                return function(*arguments, **options)
            finally:
                self.parts[part] += 1000 * (self.now() - began)
                self._running = False

        return timed

    def now(self) -> float:
        """Returns the time in seconds, after the device has done all its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def stage_of(config: Config, folder: Path) -> AdversarialStage:
    """Returns the stage on a film below `folder`. Its encoders are untrained, which does not change their speed."""
    torch.manual_seed(config.seed)
    manifest = prepare(config, folder / "film", folder / "dataset")
    flow, device = extract_flow(config, manifest, folder / "flow"), training_device()
    train, calibration = (Windows(config, manifest, split, device, flow=flow) for split in ("train", "calibration"))
    return AdversarialStage(config, train, calibration)


def time_parts(stage: AdversarialStage, watch: Stopwatch) -> None:
    """Replaces the parts of a step by timed ones."""
    model = stage.model
    for part, owner, name in (
        ("reading", stage.windows, "frames"),
        ("reading", stage.windows, "flows"),
        ("encoders", model, "encode_streams"),
        ("memory", model, "read_memories"),
        ("memory", model.appearance_memory, "write"),
        ("memory", model.motion_memory, "write"),
        ("decoder", model, "decode"),
        ("flow", stage, "_flows_to"),
        ("discriminator", stage.discriminator, "forward"),
        ("discriminator", stage, "_discriminator_step"),
        ("backward", adversarial, "descend"),
    ):
        setattr(owner, name, watch.over(part, getattr(owner, name)))


def measure(config: Config) -> dict[str, float]:
    """Returns the median milliseconds of a step and of its parts."""
    device = training_device()
    with tempfile.TemporaryDirectory() as folder:
        stage = stage_of(config, Path(folder))
        half, full = (
            dataclasses.replace(config, train=dataclasses.replace(config.train, bf16=bf16)) for bf16 in (True, False)
        )
        watch = Stopwatch(device)
        time_parts(stage, watch)
        times: dict[str, list[float]] = defaultdict(list)
        for index in range(2 * (WARM_UP + STEPS)):
            stage.config = full if index % 2 else half
            watch.parts.clear()
            began = watch.now()
            step(stage, index)
            whole = 1000 * (watch.now() - began)
            if index < 2 * WARM_UP:
                continue
            if index % 2:
                times["step_fp32"].append(whole)
                continue
            times["step"].append(whole)
            for part, spent in watch.parts.items():
                times[part].append(spent)
            times["rest"].append(whole - sum(watch.parts.values()))
    return {f"ms_{name}": round(median(each), 2) for name, each in times.items()}


def both_allocators(config: Config) -> dict[str, float]:
    """Returns the figures of `measure` with the pipeline's allocator settings, and of a step with the default ones."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from pipelines.resources import KEEP_MEMORY

    kept: list[dict[str, float]] = []
    default: list[float] = []
    for _ in range(TURNS):
        default.append(_in_process(config)["ms_step"])
        os.environ.update(KEEP_MEMORY)
        kept.append(_in_process(config))
        for name in KEEP_MEMORY:
            del os.environ[name]
    figures = {name: round(median(each[name] for each in kept), 2) for name in kept[0]}
    return figures | {"ms_step_default_malloc": median(default)}


def _in_process(config: Config) -> dict[str, float]:
    """Returns the figures of a process of its own: an allocator reads its environment once, at the start."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, config).result()


def main() -> int:
    """Returns 0, or 2 where there is no such configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="ped2-cpu", help="default: ped2-cpu")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        config = configuration.load(arguments.config, FILM)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    figures: dict[str, Any] = {"config": config.name, "batch": config.train.batch, "threads": torch.get_num_threads()}
    figures |= {"steps": STEPS, "turns": TURNS, **both_allocators(config)}
    command = shlex.join(["python", *sys.argv])
    print(record(f"training-{config.name}", command, figures, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
