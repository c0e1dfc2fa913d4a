"""Adversarial training of STM-AE: the memory pools fill and the decoder learns to predict, against a discriminator.

Legend: B windows of a batch, 5 frames and 4 flows each; s side of what the auto-encoders see, h = w = s/2 flow samples
a side, h' = w' = s/8 feature positions a side.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Manifest
from stmae.model.build import build_discriminator, build_stmae
from stmae.model.checkpoint import load_modules
from stmae.model.device import autocast, training_device
from stmae.model.memory import queries_of
from stmae.model.stmae import STMAE, moved_tiles
from stmae.scoring.raw import CLIP_FRAMES, STILL_SPEED
from stmae.training import losses, parallel
from stmae.training.loop import run_on
from stmae.training.optimizers import adam, descend, group, optimizers
from stmae.training.validation import validate
from stmae.training.windows import Windows

FIRST_WINDOWS = 64
"""Windows whose features initialise the memory pools."""
RESTART_STEPS = 200
"""Memory items that are the nearest one of no query for so many steps start anew."""
STATISTICS_WINDOWS = 2000
"""Windows of a scene to which the location statistics and the feature bank are fitted, at most."""


class AdversarialStage:
    """Each step trains the generator (encoders, memory pools, decoder), then the discriminator."""

    def __init__(self, config: Config, windows: Windows, calibration: Windows) -> None:
        device = windows.device
        self.config, self.windows, self.device = config, windows, device
        self.calibration_windows = calibration
        self.model = build_stmae(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        parallel.share_statistics(self.model)
        self.discriminator = build_discriminator(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoders = (self.model.appearance_encoder, self.model.motion_encoder)
        train = config.train
        self.fine_tuned = train.encoder_lr_scale > 0
        scales: dict[nn.Module, float] = {self.model.decoder: 1.0}
        for encoder in self.encoders:
            encoder.train(self.fine_tuned).requires_grad_(self.fine_tuned)
            if self.fine_tuned:
                scales[encoder] = train.encoder_lr_scale
        self.modules = {"stmae": self.model, "discriminator": self.discriminator}
        self.generator_optimizers = optimizers(config, "generator", scales)
        self.discriminator_optimizer = adam([group(self.discriminator.parameters(), train.discriminator_learning_rate)])
        self.optimizers = {**self.generator_optimizers, "discriminator": self.discriminator_optimizer}
        # The memories of several scenes are read clip by clip, which the CPU has to know the scenes for.
        self.capturable = not train.deterministic and config.model.scenes == 1
        self.motion_windows = parallel.part(min(train.motion_windows, train.batch), "train.motion_windows")
        self._encoded: tuple[Tensor, Tensor, Tensor] | None = None
        """What the last update wrote to the memories: z_a and z_m [B,C,h',w'] and the scenes [B]."""

    def load_encoders(self, appearance_dir: Path, motion_dir: Path) -> None:
        """Loads the encoders and the descriptor of tiles. Raises CheckpointError if one is missing or doesn't fit."""
        load_modules(appearance_dir / "model.safetensors", {"encoder": self.model.appearance_encoder})
        load_modules(motion_dir / "model.safetensors", {"encoder": self.model.motion_encoder})
        self.model.feature_bank.descriptor.load_pretrained()

    @torch.no_grad()
    def start(self) -> None:
        """Fills the memory pools with features of the first windows."""
        windows = self.windows.order(0, min(FIRST_WINDOWS, len(self.windows)), self.config.seed)
        flows = self.windows.flows(windows)[:, : CLIP_FRAMES - 1].flatten(1, 2)
        for encoder, memory, x in (
            (self.model.appearance_encoder, self.model.appearance_memory, self._clips(windows)),
            (self.model.motion_encoder, self.model.motion_memory, flows),
        ):
            encoder.eval()
            memory.start(encoder(x), self.windows.scenes(windows))
            encoder.train(self.fine_tuned)

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Returns frames [B,5,3,s,s], normalised flows [B,4,2,h,w] and scenes [B] of the windows of a step."""
        order = parallel.share(self.windows.order(index, self.config.train.batch, self.config.seed))
        return self.windows.frames(order), self.windows.flows(order), self.windows.scenes(order)

    def update(self, *batch: Tensor) -> dict[str, Tensor]:
        """Trains generator and discriminator on a batch; returns the losses."""
        frames_B5, flows_B4, scenes_B = batch
        target = frames_B5[:, CLIP_FRAMES].contiguous(memory_format=torch.channels_last)
        prediction, parts = self._generator_step(frames_B5, flows_B4, scenes_B, target)
        parts["discriminator"] = self._discriminator_step(target, prediction)
        return parts

    def after(self, index: int) -> None:
        """Restarts idle memory items every RESTART_STEPS."""
        if (index + 1) % RESTART_STEPS == 0:
            assert self._encoded is not None
            z_a, z_m, scenes_B = self._encoded
            self.model.appearance_memory.restart(z_a, scenes_B)
            self.model.motion_memory.restart(z_m, scenes_B)

    def _generator_step(
        self, frames_B5: Tensor, flows_B4: Tensor, scenes_B: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        train, model = self.config.train, self.model
        self.discriminator.requires_grad_(False)
        with autocast(self.config, self.device):
            z_a, z_m = model.encode_streams(frames_B5[:, :CLIP_FRAMES].flatten(1, 2), flows_B4[:, :-1].flatten(1, 2))
            z_a, z_m = z_a.float(), z_m.float()
            features, distances_a, distances_m = model.read_memories(z_a, z_m, scenes_B)
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
        descend(loss, self.generator_optimizers.values())
        self._write_memories(z_a.detach(), z_m.detach(), scenes_B)
        return prediction.detach(), {name: part.detach() for name, part in parts.items()}

    def _write_memories(self, z_a: Tensor, z_m: Tensor, scenes_B: Tensor) -> None:
        z_a, z_m, scenes_B = parallel.gathered(z_a), parallel.gathered(z_m), parallel.gathered(scenes_B)
        self.model.appearance_memory.write(z_a, scenes_B, self.config.model.top_k)
        self.model.motion_memory.write(z_m, scenes_B, self.config.model.top_k)
        self._encoded = z_a, z_m, scenes_B

    def _compactness(self, distances: dict[str, Tensor]) -> Tensor:
        """Returns L_c, summed over the streams that have a memory."""
        margin = self.config.train.compact_margin
        streams = (distances[stream] for stream in self.config.model.remembered)
        return sum((losses.compactness_loss(each, margin) for each in streams), torch.zeros((), device=self.device))

    def _flows_to(self, frames_B5: Tensor, flows_B4: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the normalised flow from the last input frame to the prediction and to the true frame."""
        few = slice(self.motion_windows)
        last, target = frames_B5[few, CLIP_FRAMES - 1], frames_B5[few, CLIP_FRAMES]
        predicted = self.model.flow_between(last, prediction[few]).float()
        if self.config.model.flow_scale == 1:
            true = flows_B4[few, -1]
        else:  # the cached flow is that of larger frames, whose detail no prediction can match
            with torch.no_grad():
                true = self.model.flow_between(last, target).float()
        return predicted, true

    def _discriminator_step(self, target: Tensor, prediction: Tensor) -> Tensor:
        self.discriminator.requires_grad_(True)
        with autocast(self.config, self.device):
            real, predicted = self.discriminator(target), self.discriminator(prediction)
        loss = losses.discriminator_loss(real.float(), predicted.float())
        descend(loss, [self.discriminator_optimizer])
        return loss.detach()

    def validate(self) -> dict[str, float]:
        """Returns the figures of `validation.validate` on the calibration split."""
        self.model.eval()
        figures = validate(self.model, self.calibration_windows, self.config.train.batch)
        self._train_mode()
        return figures

    def _train_mode(self) -> None:
        self.model.train()
        self.model.flow_net.eval()
        for encoder in self.encoders:
            encoder.train(self.fine_tuned)

    @torch.no_grad()
    def finish(self) -> None:
        """Fits the location statistics and the feature bank of each scene to its training footage."""
        self.model.eval()
        for scene in range(self.config.model.scenes):
            windows = self.windows.of_scene(scene, STATISTICS_WINDOWS)
            batches = windows.tensor_split(-(-len(windows) // FIRST_WINDOWS))
            self.model.location_gaussian.fit(scene, (self._early_features(batch) for batch in batches))
            fit_feature_bank(self.model, self.windows, scene)

    def _early_features(self, windows: Tensor) -> Tensor:
        """Returns the early appearance features [B,C,h',w'] of windows."""
        early: Tensor = self.model.appearance_encoder.with_early(self._clips(windows))[1]
        return early

    def _clips(self, windows: Tensor) -> Tensor:
        return self.windows.frames(windows)[:, :CLIP_FRAMES].flatten(1, 2)


@torch.no_grad()
def fit_feature_bank(model: STMAE, windows: Windows, scene: int) -> None:
    """Fits the feature bank of a scene to the tiles in which something moves, in training footage of that scene."""
    chosen = windows.of_scene(scene, STATISTICS_WINDOWS)
    moving = []
    for batch in chosen.tensor_split(-(-len(chosen) // FIRST_WINDOWS)):
        frames, flow = windows.targets(batch)
        moves = moved_tiles(flow, model.flow_side).square().sum(1).flatten() > STILL_SPEED**2
        moving.append(queries_of(model.feature_bank.descriptor(frames, flow))[moves])
    model.feature_bank.fit(scene, torch.cat(moving))


def train_adversarial(
    config: Config, manifest: Manifest, flow_dir: Path, appearance_dir: Path, motion_dir: Path, out: Path
) -> dict[str, float]:
    """Trains STM-AE from pretrained encoders, writes `out/model.safetensors` and returns the last losses."""
    torch.manual_seed(config.seed)
    flow = FlowCache.of(flow_dir, manifest)
    device = training_device()
    windows, calibration = (Windows(config, manifest, split, device, flow=flow) for split in ("train", "calibration"))
    stage = AdversarialStage(config, windows, calibration)
    stage.load_encoders(appearance_dir, motion_dir)
    return run_on(stage, config, manifest.training_digest, steps=config.train.steps, out=out)
