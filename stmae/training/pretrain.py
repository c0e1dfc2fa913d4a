"""Pretraining: the two proxy tasks, each of which trains the encoder of one stream."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Manifest
from stmae.model.build import build_appearance_proxy, build_descriptor, build_motion_proxy
from stmae.model.device import autocast, training_device
from stmae.scoring.raw import CLIP_FRAMES
from stmae.training import losses, parallel
from stmae.training.loop import run_on, seeded
from stmae.training.optimizers import descend, optimizers
from stmae.training.windows import Windows

BATCH_NORM_WINDOWS = 512
"""Windows over which batch-norm statistics are averaged, at most."""


class ProxyStage:
    """What both tasks share: an encoder and a decoder that are trained together."""

    def __init__(self, config: Config, windows: Windows, proxy: nn.ModuleDict) -> None:
        self.config, self.windows, self.device = config, windows, windows.device
        proxy.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        parallel.share_statistics(proxy)
        self.modules = dict(proxy.items())
        self.optimizers = optimizers(config, "proxy", {proxy: 1.0})
        self.capturable = not config.train.deterministic

    def order(self, index: int) -> Tensor:
        """Returns the windows of a step, of several processes those of this one."""
        return parallel.share(self.windows.order(index, self.config.train.batch, self.config.seed))

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Returns what is to be reproduced, after what it is reproduced from where that is something else."""
        raise NotImplementedError

    def loss(self, *batch: Tensor) -> Tensor:
        """Returns the loss on a batch."""
        raise NotImplementedError

    def start(self) -> None:
        """Does nothing."""

    def update(self, *batch: Tensor) -> dict[str, Tensor]:
        """Trains encoder and decoder on a batch; returns the loss."""
        loss = self.loss(*batch)
        descend(loss, self.optimizers.values())
        return {"loss": loss.detach()}

    def after(self, index: int) -> None:
        """Does nothing."""

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

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Returns noisy and clean clips [B,12,s,s]."""
        train, order = self.config.train, self.order(index)
        clip = self.windows.frames(order)[:, :CLIP_FRAMES].flatten(1, 2)
        whole = (len(order) * parallel.size(), CLIP_FRAMES, *clip.shape[2:])
        chance = torch.rand(whole, generator=seeded(self.config.seed, index, self.device), device=self.device)
        return losses.salt_and_pepper(clip, train.noise, parallel.share(chance)), clip

    def loss(self, *batch: Tensor) -> Tensor:
        """Returns the denoising loss of noisy and clean clips."""
        noisy, clip = batch
        return losses.denoising_loss(self.reconstruct(noisy), clip)

    def finish(self) -> None:
        """Takes the encoder's batch-norm statistics anew, on clean clips: all that follows shows it no noise."""
        windows = self.windows.evenly_spaced(BATCH_NORM_WINDOWS)
        batches = windows.tensor_split(-(-len(windows) // self.config.train.batch))
        clips = (self.windows.frames(batch)[:, :CLIP_FRAMES].flatten(1, 2) for batch in batches)
        update_bn(clips, self.modules["encoder"])


class MotionStage(ProxyStage):
    """Reconstruction: reproduces the three flows between a clip's frames."""

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Returns normalised flows [B,6,h,w]."""
        return (self.windows.flows(self.order(index))[:, : CLIP_FRAMES - 1].flatten(1, 2),)

    def loss(self, *batch: Tensor) -> Tensor:
        """Returns the reconstruction loss of flows."""
        (flows,) = batch
        return losses.reconstruction_loss(self.reconstruct(flows), flows)


def pretrain_appearance(config: Config, manifest: Manifest, out: Path) -> dict[str, float]:
    """Trains f_a on the denoising task, writes `out/model.safetensors` and returns the last losses.

    Raises CheckpointError where the weights of `model.features`, which the last stage needs, are missing.
    """
    build_descriptor(config).load_pretrained()
    torch.manual_seed(config.seed)
    windows = Windows(config, manifest, "train", training_device())
    stage = AppearanceStage(config, windows, build_appearance_proxy(config))
    return _run(config, manifest, stage, out)


def pretrain_motion(config: Config, manifest: Manifest, flow_dir: Path, out: Path) -> dict[str, float]:
    """Trains f_m on flow reconstruction, writes `out/model.safetensors` and returns the last losses."""
    torch.manual_seed(config.seed)
    flow = FlowCache.of(flow_dir, manifest)
    windows = Windows(config, manifest, "train", training_device(), flow=flow)
    stage = MotionStage(config, windows, build_motion_proxy(config))
    return _run(config, manifest, stage, out)


def _run(config: Config, manifest: Manifest, stage: ProxyStage, out: Path) -> dict[str, float]:
    return run_on(stage, config, manifest.training_digest, steps=config.train.pretrain_steps, out=out)
