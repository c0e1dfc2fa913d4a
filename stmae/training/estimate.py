"""The estimate of how long training will take on this machine, from a few steps of each stage before it starts."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from stmae.config import Config
from stmae.datasets.arrays import write_npy
from stmae.datasets.flow_cache import FlowCache, extract_flow
from stmae.datasets.manifest import Clip, Manifest, Split
from stmae.model.build import build_appearance_proxy, build_motion_proxy
from stmae.model.device import training_device
from stmae.scoring.raw import CLIP_FRAMES
from stmae.training.adversarial import STATISTICS_WINDOWS, AdversarialStage
from stmae.training.capture import EAGER_CALLS, fastest
from stmae.training.loop import POINTS, duration
from stmae.training.pretrain import AppearanceStage, MotionStage
from stmae.training.stage import Stage, step
from stmae.training.validation import VALIDATION_WINDOWS
from stmae.training.windows import Windows

SPLITS: tuple[Split, ...] = ("train", "calibration")
PROBE_WINDOWS = 32
"""Windows of each split that are tried; as many as a batch has, at least."""
WARM_UP, STEPS = EAGER_CALLS + 1, 5
"""Steps of each stage that are made before, and while, time is taken. On a GPU the last of the first is captured."""


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """How long training will take, seconds."""

    flow: float
    """Extraction of the flow that is not there yet."""
    pretraining: float
    """Both proxy tasks."""
    adversarial: float
    steps: int
    """`train.steps`."""

    @property
    def seconds(self) -> float:
        """Returns the seconds of all parts."""
        return self.flow + self.pretraining + self.adversarial

    def __str__(self) -> str:
        """Returns a sentence for people, with the setting that shortens the training."""
        shorter = f"fewer train.steps than {self.steps} shorten it"
        if self.flow > self.seconds / 2:
            shorter = "less footage shortens it (data.train_frames, data.calibration_frames, data.test_glob)"
        parts = f"flow {duration(self.flow)}, pretraining {duration(self.pretraining)}"
        parts += f", adversarial training {duration(self.adversarial)}"
        return f"training takes about {duration(self.seconds)} on this machine ({parts}); {shorter}"


def estimate(config: Config, manifest: Manifest, flow_dir: Path) -> Estimate:
    """Returns how long the training on a prepared dataset will take, with its flow below `flow_dir`.

    A few real steps of each stage are made on the first windows of the dataset, with objects that are thrown away: what
    is trained afterwards does not depend on it. What checkpoints of an earlier run spare is not taken off.
    """
    device = training_device()
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        probe = _probe(config, manifest, Path(folder) / "dataset")
        cache, flow = _flow(config, probe, Path(folder) / "flow")
        train, calibration = (Windows(config, probe, split, device, flow=cache) for split in SPLITS)
        proxies = (
            AppearanceStage(config, train, build_appearance_proxy(config)),
            MotionStage(config, train, build_motion_proxy(config)),
        )
        pretraining = sum(_step(proxy) for proxy in proxies)
        stage = AdversarialStage(config, train, calibration)
        adversarial = _step(stage)
        validation = _seconds(stage.validate) / min(len(calibration), VALIDATION_WINDOWS)
        statistics = _seconds(stage.finish) / len(train)
    windows = {split: sum(clip.frames - CLIP_FRAMES for clip in manifest.split(split)) for split in SPLITS}
    validated = POINTS * min(windows["calibration"], VALIDATION_WINDOWS)
    fitted = min(windows["train"] // config.data.frame_stride, config.model.scenes * STATISTICS_WINDOWS)
    return Estimate(
        flow=flow * sum(clip.frames - 1 for clip in _missing(flow_dir, manifest)),
        pretraining=pretraining * config.train.pretrain_steps,
        adversarial=adversarial * config.train.steps + validation * validated + statistics * fitted,
        steps=config.train.steps,
    )


def _probe(config: Config, manifest: Manifest, root: Path) -> Manifest:
    """Writes a small dataset of the first frames of each scene."""
    quota = -(-max(PROBE_WINDOWS, config.train.batch) * config.data.frame_stride // len(manifest.scenes))
    clips: list[Clip] = []
    for split, scene in itertools.product(SPLITS, manifest.scenes):
        windows = 0
        for clip in manifest.split(split):
            if clip.scene == scene and windows < quota:
                frames = manifest.frames(clip)[: quota - windows + CLIP_FRAMES]
                clips.append(dataclasses.replace(clip, frames=len(frames)))
                write_npy(root / "frames" / split / f"{clip.name}.npy", frames)
                windows += len(frames) - CLIP_FRAMES
    return Manifest.of(root, manifest.dataset, manifest.size, manifest.fps, tuple(clips))


def _flow(config: Config, probe: Manifest, out: Path) -> tuple[FlowCache, float]:
    """Returns the flow of the probe, and the seconds that the flow of two frames takes."""
    first = Manifest.of(probe.root, probe.dataset, probe.size, probe.fps, probe.clips[:1])
    extract_flow(config, first, out)  # takes longer than later clips
    pairs = sum(clip.frames - 1 for clip in probe.clips[1:])
    seconds = _seconds(functools.partial(extract_flow, config, probe, out))
    return FlowCache.of(out, probe), seconds / pairs


def _missing(flow_dir: Path, manifest: Manifest) -> list[Clip]:
    """Returns the clips whose flow was not extracted yet."""
    cache = FlowCache.of(flow_dir, manifest)
    return [clip for clip in manifest.clips if not cache.path(clip).exists()]


def _step(stage: Stage) -> float:
    """Returns the median seconds of a step."""
    update = fastest(stage)
    times = [_seconds(functools.partial(step, stage, index, update)) for index in range(WARM_UP + STEPS)]
    return median(times[WARM_UP:])


def _seconds(call: Callable[[], object]) -> float:
    """Returns how long a call takes, with all that it makes a GPU do."""
    began = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began
