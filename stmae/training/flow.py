"""Training of the flow net on synthetic motion (`stmae train-flow`)."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from stmae import config
from stmae.model.device import has_bf16, training_device
from stmae.model.flow import FLOW_STRIDE, FlowNet
from stmae.training.loop import code_digest, run, seeded
from stmae.training.motion import motion_pairs, warp
from stmae.training.optimizers import adam, descend, group

MOVING_WEIGHT = 3.0
MOVING_SPEED = 0.25
"""Pixels a frame above which a point counts as moving."""
CHECKPOINT_STEPS = 500
"""Largest number of steps between checkpoints."""
PHOTOMETRIC_WEIGHT = 2.0
OCCLUDED = 0.3
"""Difference, of frames in [-1, 1], above which a point counts as hidden in the second frame."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FlowRecipe:
    """How the flow net is trained; the weights in the package were trained with the defaults."""

    seed: int = 1
    steps: int = 16_000
    batch: int = 8
    size: int = 96
    """Pixels a side of the synthetic pairs."""
    learning_rate: float = 1e-3


def end_point_error(flow: Tensor, truth: Tensor) -> Tensor:
    """Returns the mean Euclidean distance in pixels between two flows [B,2,h,w]."""
    error: Tensor = torch.linalg.vector_norm(flow - truth, dim=1).mean()
    return error


def weighted_error(flow: Tensor, truth: Tensor) -> Tensor:
    """Returns the end-point error with moving points weighted by MOVING_WEIGHT, since most points are still."""
    weight = torch.where(torch.linalg.vector_norm(truth, dim=1) > MOVING_SPEED, MOVING_WEIGHT, 1.0)
    error: Tensor = (torch.linalg.vector_norm(flow - truth, dim=1) * weight).mean()
    return error


def photometric_error(flow_B2hw: Tensor, first_B1HW: Tensor, second_B1HW: Tensor) -> Tensor:
    """Returns the mean absolute difference of the first frame and the second warped back to it, capped at OCCLUDED."""
    flow_B2HW = F.interpolate(flow_B2hw, scale_factor=float(FLOW_STRIDE), mode="bilinear", align_corners=False)
    error: Tensor = (warp(second_B1HW, flow_B2HW) - first_B1HW).abs().clamp_max(OCCLUDED).mean()
    return error


def at_flow_resolution(flow_B2HW: Tensor) -> Tensor:
    """Averages the true flow of every pixel to the flow net's resolution."""
    return F.avg_pool2d(flow_B2HW, FLOW_STRIDE)


class FlowStage:
    """Trains with Adam on the end-point and the photometric error, in bf16 autocast where the hardware has it."""

    def __init__(self, recipe: FlowRecipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.net = FlowNet().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules = {"flow": self.net}
        self.optimizers = {"flow": adam([group(self.net.parameters(), recipe.learning_rate)])}
        self.capturable = True

    def start(self) -> None:
        """Does nothing."""

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Returns synthetic pairs, grey frames [B,1,H,W], and the true flow [B,2,H,W] between them."""
        return motion_pairs(self.recipe.batch, self.recipe.size, seeded(self.recipe.seed, index, self.device))

    def update(self, *batch: Tensor) -> dict[str, Tensor]:
        """Trains on synthetic pairs; returns the errors."""
        first, second, truth = batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16(self.device)):
            flow = self.net(first, second)
        truth = at_flow_resolution(truth)
        photometric = photometric_error(flow.float(), first, second)
        loss = weighted_error(flow.float(), truth) + PHOTOMETRIC_WEIGHT * photometric
        descend(loss, self.optimizers.values())
        return {
            "end_point_error": end_point_error(flow.detach().float(), truth),
            "photometric_error": photometric.detach(),
            "end_point_error_of_no_motion": end_point_error(torch.zeros_like(truth), truth),
        }

    def after(self, index: int) -> None:
        """Does nothing."""

    def validate(self) -> dict[str, float]:
        """Returns no figures."""
        return {}

    def finish(self) -> None:
        """Does nothing."""


def train_flow(recipe: FlowRecipe, out: Path) -> dict[str, float]:
    """Trains the flow net from scratch or continues; `out/model.safetensors` is what `stmae/model/weights` ships."""
    stage = FlowStage(recipe, training_device())
    identity = hashlib.sha256(f"{config.digest(recipe)}\n{code_digest()}".encode()).hexdigest()
    return run(
        stage, steps=recipe.steps, out=out, identity=identity, checkpoint_steps=CHECKPOINT_STEPS, setting="--steps"
    )
