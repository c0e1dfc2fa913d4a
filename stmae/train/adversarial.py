"""Adversarial training: the memory pools fill, the decoder learns to predict, the discriminator to doubt it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from stmae import losses
from stmae.config import Config
from stmae.data.manifest import Manifest
from stmae.model.build import build_discriminator, build_stmae
from stmae.score import CLIP_FRAMES
from stmae.train.checkpoint import load_modules
from stmae.train.extract import FlowCache
from stmae.train.loop import adam, autocast, run_on, training_device
from stmae.train.samples import Windows

FIRST_WINDOWS = 64
"""Windows whose features the memory pools begin from."""


class AdversarialStage:
    """One step of the generator (encoders, memory, decoder), then one of the discriminator."""

    def __init__(self, config: Config, windows: Windows, device: torch.device) -> None:
        self.config, self.windows, self.device = config, windows, device
        self.model = build_stmae(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator = build_discriminator(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoders = (self.model.appearance_encoder, self.model.motion_encoder)
        self.tuned = config.train.encoder_lr_scale > 0
        train = config.train
        groups = [{"params": self.model.decoder.parameters(), "lr": train.learning_rate}]
        for encoder in self.encoders:
            encoder.train(self.tuned).requires_grad_(self.tuned)
            if self.tuned:
                groups.append({"params": encoder.parameters(), "lr": train.learning_rate * train.encoder_lr_scale})
        doubt = {"params": self.discriminator.parameters(), "lr": train.discriminator_learning_rate}
        self.modules = {"stmae": self.model, "discriminator": self.discriminator}
        self.optimizers = {"generator": adam(groups), "discriminator": adam([doubt])}

    def load_encoders(self, appearance_dir: Path, motion_dir: Path) -> None:
        """Begin from the pretrained encoders. Raises CheckpointError where they are missing or don't fit."""
        load_modules(appearance_dir / "model.safetensors", {"encoder": self.model.appearance_encoder})
        load_modules(motion_dir / "model.safetensors", {"encoder": self.model.motion_encoder})

    def step(self, index: int) -> dict[str, Tensor]:
        if index == 0:
            self._start_memory()
        order = self.windows.order(index, self.config.train.batch, self.config.seed)
        frames_B5 = self.windows.frames(order, self.device)
        flows_B4 = self.model.normalise_flow(self.windows.flows(order, self.device))
        target = frames_B5[:, CLIP_FRAMES].contiguous(memory_format=torch.channels_last)
        prediction, parts = self._generator_step(frames_B5, flows_B4, target)
        parts["discriminator"] = self._discriminator_step(target, prediction)
        return parts

    def _generator_step(self, frames_B5: Tensor, flows_B4: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        train, model = self.config.train, self.model
        self.discriminator.requires_grad_(False)
        with autocast(self.config, self.device):
            z_a, z_m = model.features(frames_B5[:, :CLIP_FRAMES].flatten(1, 2), flows_B4[:, :-1].flatten(1, 2))
            z_a, z_m = z_a.float(), z_m.float()
            features, distances_a, distances_m = model.remember(z_a, z_m)
            prediction = model.decode(features).float()
            flow = model.flow_net(frames_B5[:, CLIP_FRAMES - 1], prediction).float()
            patches = self.discriminator(prediction).float()
        parts = {
            "appearance": losses.appearance_loss(prediction, target),
            "motion": losses.motion_loss(model.normalise_flow(flow), flows_B4[:, -1]),
            "compact": losses.compactness_loss(distances_a, train.compact_margin)
            + losses.compactness_loss(distances_m, train.compact_margin),
            "adversarial": losses.adversarial_loss(patches),
        }
        loss = losses.generator_loss(
            **parts,
            lambda_motion=train.lambda_motion,
            lambda_compact=train.lambda_compact,
            lambda_adversarial=train.lambda_adversarial,
        )
        self._update("generator", loss)
        model.appearance_memory.write(z_a.detach(), self.config.model.top_k)
        model.motion_memory.write(z_m.detach(), self.config.model.top_k)
        return prediction.detach(), {name: part.detach() for name, part in parts.items()}

    def _discriminator_step(self, target: Tensor, prediction: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        with autocast(self.config, self.device):
            real, predicted = self.discriminator(target), self.discriminator(prediction)
        loss = losses.discriminator_loss(real.float(), predicted.float())
        self._update("discriminator", loss)
        return loss.detach()

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[name].step()

    @torch.no_grad()
    def _start_memory(self) -> None:
        order = self.windows.order(0, min(FIRST_WINDOWS, len(self.windows)), self.config.seed)
        frames = self.windows.frames(order, self.device)[:, :CLIP_FRAMES].flatten(1, 2)
        flows = self.model.normalise_flow(self.windows.flows(order, self.device)[:, : CLIP_FRAMES - 1].flatten(1, 2))
        for encoder, memory, x in (
            (self.model.appearance_encoder, self.model.appearance_memory, frames),
            (self.model.motion_encoder, self.model.motion_memory, flows),
        ):
            encoder.eval()
            memory.start(encoder(x))
            encoder.train(self.tuned)


def train_adversarial(
    config: Config, manifest: Manifest, flow_dir: Path, appearance_dir: Path, motion_dir: Path, out: Path
) -> dict[str, float]:
    """Train STM-AE from pretrained encoders; writes `out/model.safetensors` and returns the last losses."""
    torch.manual_seed(config.seed)
    windows = Windows(manifest, "train", flow=FlowCache.of(flow_dir, manifest), stride=config.data.frame_stride)
    stage = AdversarialStage(config, windows, training_device())
    stage.load_encoders(appearance_dir, motion_dir)
    steps = config.train.adversarial_epochs * windows.steps_per_epoch(config.train.batch)
    return run_on(stage, config, manifest.digest, steps=steps, out=out)
