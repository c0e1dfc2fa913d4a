"""Pretraining: the two proxy tasks, each of which trains the encoder of one stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Manifest
from stmae.model.build import build_appearance_proxy, build_descriptor, build_motion_proxy
from stmae.model.device import autocast, training_device
from stmae.scoring.raw import CLIP_FRAMES
from stmae.training import losses
from stmae.training.loop import descend, optimizers, run_on, seeded
from stmae.training.windows import Windows

BATCH_NORM_WINDOWS = 512
"""Windows over which batch-norm statistics are averaged, at most."""


class ProxyStage:
    """What both tasks share: an encoder and a decoder that are trained together."""

    def __init__(self, config: Config, windows: Windows, proxy: nn.ModuleDict, device: torch.device) -> None:
        self.config, self.windows, self.device = config, windows, device
        proxy.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules = dict(proxy.items())
        self.optimizers = optimizers(config, "proxy", {proxy: 1.0})

    def loss(self, index: int) -> Tensor:
        """Returns the loss on the batch of a step."""
        raise NotImplementedError

    def step(self, index: int) -> dict[str, Tensor]:
        """Trains encoder and decoder on the batch of this step; returns the loss."""
        loss = self.loss(index)
        descend(loss, self.optimizers.values())
        return {"loss": loss.detach()}

    def validate(self) -> dict[str, float]:
        """Returns no figures."""
        return {}

    def finish(self) -> None:
        """Does nothing."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """Returns what the auto-encoder makes of its input."""
        with autocast(self.config, self.device):
            y: Tensor = self.modules["decoder"](self.modules["encoder"](x))
        return y.float()


class AppearanceStage(ProxyStage):
    """Denoising: restores a clip from one with salt-and-pepper noise."""

    def loss(self, index: int) -> Tensor:
        train = self.config.train
        order = self.windows.order(index, train.batch, self.config.seed)
        clip = self.windows.frames(order, self.device)[:, :CLIP_FRAMES].flatten(1, 2)
        noisy = losses.salt_and_pepper(clip, train.noise, seeded(self.config.seed, index, self.device))
        return losses.denoising_loss(self.reconstruct(noisy), clip)

    def finish(self) -> None:
        """Takes the encoder's batch-norm statistics anew, on clean clips: all that follows shows it no noise."""
        windows = self.windows.evenly_spaced(BATCH_NORM_WINDOWS)
        batches = np.array_split(windows, -(-len(windows) // self.config.train.batch))
        clips = (self.windows.frames(batch, self.device)[:, :CLIP_FRAMES].flatten(1, 2) for batch in batches)
        update_bn(clips, self.modules["encoder"])


class MotionStage(ProxyStage):
    """Reconstruction: reproduces the three flows between a clip's frames."""

    def loss(self, index: int) -> Tensor:
        order = self.windows.order(index, self.config.train.batch, self.config.seed)
        flows = self.windows.flows(order, self.device)[:, : CLIP_FRAMES - 1].flatten(1, 2)
        return losses.reconstruction_loss(self.reconstruct(flows), flows)


def pretrain_appearance(config: Config, manifest: Manifest, out: Path) -> dict[str, float]:
    """Trains f_a on the denoising task, writes `out/model.safetensors` and returns the last losses.

    Raises CheckpointError where the weights of `model.features`, which the last stage needs, are missing.
    """
    build_descriptor(config).load_pretrained()
    torch.manual_seed(config.seed)
    windows = Windows(config, manifest, "train")
    stage = AppearanceStage(config, windows, build_appearance_proxy(config), training_device())
    return _run(config, manifest, stage, out)


def pretrain_motion(config: Config, manifest: Manifest, flow_dir: Path, out: Path) -> dict[str, float]:
    """Trains f_m on flow reconstruction, writes `out/model.safetensors` and returns the last losses."""
    torch.manual_seed(config.seed)
    flow = FlowCache.of(flow_dir, manifest)
    windows = Windows(config, manifest, "train", flow=flow)
    stage = MotionStage(config, windows, build_motion_proxy(config), training_device())
    return _run(config, manifest, stage, out)


def _run(config: Config, manifest: Manifest, stage: ProxyStage, out: Path) -> dict[str, float]:
    return run_on(stage, config, manifest.training_digest, steps=config.train.pretrain_steps, out=out)
