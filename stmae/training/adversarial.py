"""Adversarial training: the memory pools fill, the decoder learns to predict, the discriminator to doubt it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Manifest
from stmae.model.build import build_discriminator, build_stmae
from stmae.model.checkpoint import load_modules
from stmae.model.device import autocast, training_device
from stmae.model.features import histograms
from stmae.model.memory import queries_of
from stmae.model.stmae import FLOW_UNIT, moved_tiles, to_unit
from stmae.scoring.raw import CLIP_FRAMES, psnr
from stmae.scoring.usual import STILL
from stmae.training import losses
from stmae.training.loop import adam, descend, optimizers, run_on
from stmae.training.windows import Indices, Windows

FIRST_WINDOWS = 64
"""Windows whose features the memory pools begin from."""
HELDOUT_WINDOWS = 64
"""Held-out windows of the learning curve."""
PLACE_WINDOWS = 2000
"""Windows of a scene, at most, from which it is learnt what each place usually shows and how what moves looks."""


class AdversarialStage:
    """One step of the generator (encoders, memory, decoder), then one of the discriminator."""

    def __init__(self, config: Config, windows: Windows, heldout: Windows, device: torch.device) -> None:
        self.config, self.windows, self.device = config, windows, device
        self.heldout_windows = heldout
        self.model = build_stmae(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator = build_discriminator(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoders = (self.model.appearance_encoder, self.model.motion_encoder)
        self.tuned = config.train.encoder_lr_scale > 0
        train = config.train
        learning: dict[nn.Module, float] = {self.model.decoder: 1.0}
        for encoder in self.encoders:
            encoder.train(self.tuned).requires_grad_(self.tuned)
            if self.tuned:
                learning[encoder] = train.encoder_lr_scale
        self.modules = {"stmae": self.model, "discriminator": self.discriminator}
        self.generator = optimizers(config, "generator", learning)
        self.doubt = adam([{"params": self.discriminator.parameters(), "lr": train.discriminator_learning_rate}])
        self.optimizers = {**self.generator, "discriminator": self.doubt}

    def load_encoders(self, appearance_dir: Path, motion_dir: Path) -> None:
        """Begin from the pretrained encoders. Raises CheckpointError where they are missing or don't fit."""
        load_modules(appearance_dir / "model.safetensors", {"encoder": self.model.appearance_encoder})
        load_modules(motion_dir / "model.safetensors", {"encoder": self.model.motion_encoder})

    def step(self, index: int) -> dict[str, Tensor]:
        if index == 0:
            self._start_memory()
        order = self.windows.order(index, self.config.train.batch, self.config.seed)
        frames_B5 = self.windows.frames(order, self.device)
        flows_B4 = self.windows.flows(order, self.device)
        target = frames_B5[:, CLIP_FRAMES].contiguous(memory_format=torch.channels_last)
        scenes_B = self.windows.scenes(order, self.device)
        prediction, parts = self._generator_step(frames_B5, flows_B4, scenes_B, target)
        parts["discriminator"] = self._discriminator_step(target, prediction)
        return parts

    def _generator_step(
        self, frames_B5: Tensor, flows_B4: Tensor, scenes_B: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        train, model = self.config.train, self.model
        self.discriminator.requires_grad_(False)
        with autocast(self.config, self.device):
            z_a, z_m = model.features(frames_B5[:, :CLIP_FRAMES].flatten(1, 2), flows_B4[:, :-1].flatten(1, 2))
            z_a, z_m = z_a.float(), z_m.float()
            features, distances_a, distances_m = model.remember(z_a, z_m, scenes_B)
            prediction = model.decode(features).float()
            flows = self._flows_to(frames_B5, flows_B4, prediction)
            patches = self.discriminator(prediction).float()
        parts = {
            "appearance": losses.appearance_loss(prediction, target),
            "motion": losses.motion_loss(*flows),
            "compact": self._compactness({"appearance": distances_a, "motion": distances_m}),
            "adversarial": losses.adversarial_loss(patches),
        }
        loss = losses.generator_loss(
            **parts,
            lambda_motion=train.lambda_motion,
            lambda_compact=train.lambda_compact,
            lambda_adversarial=train.lambda_adversarial,
        )
        descend(loss, self.generator.values())
        model.appearance_memory.write(z_a.detach(), scenes_B, self.config.model.top_k)
        model.motion_memory.write(z_m.detach(), scenes_B, self.config.model.top_k)
        return prediction.detach(), {name: part.detach() for name, part in parts.items()}

    def _compactness(self, distances: dict[str, Tensor]) -> Tensor:
        """L_c, summed over the streams that have a memory."""
        margin = self.config.train.compact_margin
        streams = (distances[stream] for stream in self.config.model.remembered)
        return sum((losses.compactness_loss(each, margin) for each in streams), torch.zeros((), device=self.device))

    def _flows_to(self, frames_B5: Tensor, flows_B4: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Flow from the clip's last frame to the prediction, and to the frame as it was, in shares of the frame."""
        few = slice(self.config.train.motion_windows)
        last, target = frames_B5[few, CLIP_FRAMES - 1], frames_B5[few, CLIP_FRAMES]
        predicted = self.model.flow_between(last, prediction[few]).float()
        if self.config.model.flow_scale == 1:
            true = flows_B4[few, -1]
        else:  # the cached flow is of larger frames, whose detail no prediction can match
            with torch.no_grad():
                true = self.model.flow_between(last, target).float()
        return predicted / FLOW_UNIT, true / FLOW_UNIT

    def _discriminator_step(self, target: Tensor, prediction: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        with autocast(self.config, self.device):
            real, predicted = self.discriminator(target), self.discriminator(prediction)
        loss = losses.discriminator_loss(real.float(), predicted.float())
        descend(loss, [self.doubt])
        return loss.detach()

    @torch.no_grad()
    def _start_memory(self) -> None:
        order = self.windows.order(0, min(FIRST_WINDOWS, len(self.windows)), self.config.seed)
        frames = self._clips(order)
        flows = self.windows.flows(order, self.device)[:, : CLIP_FRAMES - 1].flatten(1, 2)
        for encoder, memory, x in (
            (self.model.appearance_encoder, self.model.appearance_memory, frames),
            (self.model.motion_encoder, self.model.motion_memory, flows),
        ):
            encoder.eval()
            memory.start(encoder(x), self.windows.scenes(order, self.device))
            encoder.train(self.tuned)

    @torch.no_grad()
    def heldout(self) -> dict[str, float]:
        """Mean PSNR (dB) of predictions on windows spread over the held-out clips."""
        self.model.eval()
        windows, values = self.heldout_windows.spread(HELDOUT_WINDOWS), []
        for batch in np.array_split(windows, -(-len(windows) // self.config.train.batch)):
            frames_B5 = self.heldout_windows.frames(batch, self.device)
            clips, flows_B4 = frames_B5[:, :CLIP_FRAMES].flatten(1, 2), self.heldout_windows.flows(batch, self.device)
            z_a, z_m = self.model.features(clips, flows_B4[:, :-1].flatten(1, 2))
            features, *_ = self.model.remember(z_a, z_m, self.heldout_windows.scenes(batch, self.device))
            error = (to_unit(self.model.decode(features)) - to_unit(frames_B5[:, CLIP_FRAMES])) ** 2
            values.append(psnr(error.mean((1, 2, 3)).cpu().numpy()))
        self._train_mode()
        return {"psnr": float(np.concatenate(values).mean())}

    def _train_mode(self) -> None:
        self.model.train()
        self.model.flow_net.eval()
        for encoder in self.encoders:
            encoder.train(self.tuned)

    @torch.no_grad()
    def finish(self) -> None:
        """Learn what each place usually shows, and how what moves looks: of windows spread over a scene's footage."""
        self.model.eval()
        for scene in range(self.config.model.scenes):
            windows = self.windows.of_scene(scene, PLACE_WINDOWS)
            batches = np.array_split(windows, -(-len(windows) // FIRST_WINDOWS))
            self.model.locations.fit(scene, (self._detail(batch) for batch in batches))
            self.model.feature_bank.fit(scene, torch.cat([self._looks(batch) for batch in batches]))

    def _detail(self, windows: Indices) -> Tensor:
        """Early features [B,C,h',w']."""
        detail: Tensor = self.model.appearance_encoder.with_detail(self._clips(windows))[1]
        return detail

    def _looks(self, windows: Indices) -> Tensor:
        """FeatureBank [Q,C] of the tiles in which something moves."""
        frames, flow = self.windows.moved(windows, self.device)
        moves = moved_tiles(flow, self.model.flow_side).square().sum(1).flatten() > STILL**2
        return queries_of(histograms(frames, flow, self.config.model.frame_size))[moves]

    def _clips(self, windows: Indices) -> Tensor:
        return self.windows.frames(windows, self.device)[:, :CLIP_FRAMES].flatten(1, 2)


def train_adversarial(
    config: Config, manifest: Manifest, flow_dir: Path, appearance_dir: Path, motion_dir: Path, out: Path
) -> dict[str, float]:
    """Train STM-AE from pretrained encoders; writes `out/model.safetensors` and returns the last losses."""
    torch.manual_seed(config.seed)
    flow = FlowCache.of(flow_dir, manifest)
    windows, heldout = (Windows(config, manifest, split, flow=flow) for split in ("train", "calibration"))
    stage = AdversarialStage(config, windows, heldout, training_device())
    stage.load_encoders(appearance_dir, motion_dir)
    epoch = windows.steps_per_epoch(config.train.batch)
    steps = config.train.adversarial_epochs * epoch
    return run_on(stage, config, manifest.training_digest, steps=steps, epoch=epoch, out=out)
