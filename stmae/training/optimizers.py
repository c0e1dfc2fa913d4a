"""The optimizers of a stage and the schedule of their learning rates."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from stmae.config import Config
from stmae.training import parallel
from stmae.training.muon import Muon, hidden_kernels, output_kernels

Opt = TypeVar("Opt", bound=torch.optim.Optimizer)

OUTPUT_RATE = 5.0
"""Beside Muon, Adam trains output layers so many times faster than the rest, to keep up with the hidden layers."""


def cosine(index: int, total: int) -> float:
    """Returns the factor of the learning rate at step `index` of `total`: cosine annealing from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * index / total))


def group(parameters: Iterable[nn.Parameter], lr: float) -> dict[str, Any]:
    """Returns a parameter group that keeps its initial learning rate for the schedule.

    On a GPU the learning rate is a tensor there, since a step that is replayed reads what lies at fixed places.
    """
    params = list(parameters)
    on_gpu = bool(params) and params[0].is_cuda
    return {"params": params, "lr": torch.tensor(lr, device=params[0].device) if on_gpu else lr, "initial_lr": lr}


def adam(groups: list[dict[str, Any]]) -> torch.optim.Adam:
    """Returns Adam over groups of `group`, on a GPU in the form that can be captured."""
    if any(parameter.is_cuda for each in groups for parameter in each["params"]):
        return torch.optim.Adam(groups, fused=True, capturable=True)
    return torch.optim.Adam(groups)


def optimizers(config: Config, name: str, modules: Mapping[nn.Module, float]) -> dict[str, torch.optim.Optimizer]:
    """Returns the optimizers of modules, given with the scale of each module's learning rate.

    Muon, if the configuration asks for it, takes the kernels of hidden layers and leaves the rest to Adam.
    """
    train = config.train
    if train.optimizer == "adam":
        return {name: adam([group(each.parameters(), scale * train.learning_rate) for each, scale in modules.items()])}
    kernels, rest = [], []
    for module, scale in modules.items():
        hidden, outputs = hidden_kernels(module), output_kernels(module)
        apart = {*hidden, *outputs}
        others = [parameter for parameter in module.parameters() if parameter not in apart]
        kernels.append(group(hidden, scale * train.muon_learning_rate))
        rest.append(group(others, scale * train.learning_rate))
        rest.append(group(outputs, scale * train.learning_rate * OUTPUT_RATE))
    return {name: adam(rest), f"{name}_kernels": Muon(kernels)}


def set_learning_rate(optimizers: Mapping[str, torch.optim.Optimizer], factor: float) -> None:
    """Sets the learning rates to `factor` times the initial ones."""
    for optimizer in optimizers.values():
        for each in optimizer.param_groups:
            rate = each["initial_lr"] * factor
            if isinstance(each["lr"], Tensor):
                each["lr"].fill_(rate)
            else:
                each["lr"] = rate


def descend(loss: Tensor, optimizers: Collection[torch.optim.Optimizer]) -> None:
    """Makes one step of the optimizers down the gradient of a loss, averaged over the processes that train together."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    groups = [each for optimizer in optimizers for each in optimizer.param_groups]
    parallel.average(kernel.grad for each in groups for kernel in each["params"] if kernel.grad is not None)
    for optimizer in optimizers:
        optimizer.step()
