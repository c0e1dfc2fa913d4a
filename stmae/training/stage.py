"""What the training loop knows of a training stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

Update = Callable[..., dict[str, Tensor]]
"""Trains on a batch and returns the losses by name, as scalars."""


class Stage(Protocol):
    """A training stage. A step is `update(*batch(index))`, then `after(index)`.

    All randomness of a step derives from the run's seed and its index, so that a resumed run takes the identical next
    step.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may stand for `update`."""
        ...

    def start(self) -> None:
        """Runs before the first step of a run, not where a run is continued."""
        ...

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Returns what the step trains on, of the same shapes in each step, on the device."""
        ...

    def update(self, *batch: Tensor) -> dict[str, Tensor]:
        """Trains on a batch; returns the losses by name, as scalars.

        All that outlives the step - weights, buffers, states of optimizers - is written in place, and no value is
        read by the CPU, except where the stage is not `capturable`.
        """
        ...

    def after(self, index: int) -> None:
        """Runs on the CPU after the update of a step."""
        ...

    def validate(self) -> dict[str, float]:
        """Returns figures of the stage on the calibration split, which takes no part in training."""
        ...

    def finish(self) -> None:
        """Runs after the last step, before the weights are written."""
        ...


def step(stage: Stage, index: int, update: Update | None = None) -> dict[str, Tensor]:
    """Makes the step of an index and returns its losses; `update` stands for that of the stage."""
    if index == 0:
        stage.start()
    losses = (update or stage.update)(*stage.batch(index))
    stage.after(index)
    return losses
