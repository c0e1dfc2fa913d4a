"""Training of the flow net on synthetic motion (`stmae train-flow`)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from stmae import config
from stmae.model.flow import FLOW_STRIDE, FlowNet
from stmae.train.loop import adam, run, seeded, training_device
from stmae.train.motion import motion_pairs

MOVING_WEIGHT = 3.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FlowRecipe:
    """How the flow net is trained; the defaults are those of the weights in the package."""

    seed: int = 1
    steps: int = 6_000
    batch: int = 8
    size: int = 96
    """Pixels a side of the synthetic pairs."""
    learning_rate: float = 1e-3


def end_point_error(flow: Tensor, truth: Tensor) -> Tensor:
    """Mean Euclidean distance in pixels between two flows [B,2,h,w]."""
    error: Tensor = torch.linalg.vector_norm(flow - truth, dim=1).mean()
    return error


def weighted_error(flow: Tensor, truth: Tensor) -> Tensor:
    """End-point error in which moving points weigh MOVING_WEIGHT: most of a surveillance scene stands still."""
    weight = torch.where(torch.linalg.vector_norm(truth, dim=1) > 0.25, MOVING_WEIGHT, 1.0)
    error: Tensor = (torch.linalg.vector_norm(flow - truth, dim=1) * weight).mean()
    return error


def at_flow_resolution(flow_B2HW: Tensor) -> Tensor:
    """True flow of every pixel -> the mean of each sample of the flow net."""
    return F.avg_pool2d(flow_B2HW, FLOW_STRIDE)


class FlowStage:
    """Adam on the end-point error, bf16 autocast."""

    def __init__(self, recipe: FlowRecipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.net = FlowNet().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules = {"flow": self.net}
        self.optimizers = {"flow": adam([{"params": self.net.parameters(), "lr": recipe.learning_rate}])}

    def step(self, index: int) -> dict[str, Tensor]:
        generator = seeded(self.recipe.seed, index, self.device)
        first, second, truth = motion_pairs(self.recipe.batch, self.recipe.size, generator)
        with torch.autocast(self.device.type, torch.bfloat16):
            flow = self.net(first, second)
        truth = at_flow_resolution(truth)
        loss = weighted_error(flow.float(), truth)
        self.optimizers["flow"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers["flow"].step()
        return {
            "end_point_error": end_point_error(flow.detach().float(), truth),
            "end_point_error_of_no_motion": end_point_error(torch.zeros_like(truth), truth),
        }


def train_flow(recipe: FlowRecipe, out: Path) -> dict[str, float]:
    """Train from scratch or continue; `out/model.safetensors` is what `stmae/model/weights` ships."""
    stage = FlowStage(recipe, training_device())
    return run(stage, steps=recipe.steps, out=out, identity=config.digest(recipe), checkpoint_steps=500)
