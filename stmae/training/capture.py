"""Training steps as CUDA graphs: a GPU replays all kernels of a step at one call.

Launched one by one, the kernels of a step keep the CPU busy for longer than they take, and the GPU waits. The rules of
capture are those of PyTorch's notes on CUDA graphs, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stmae.training import parallel
from stmae.training.stage import Stage, Update

EAGER_CALLS = 2
"""Calls before the capture, in which libraries set themselves up and optimizers make their states."""


def fastest(stage: Stage) -> Update:
    """Returns the update of a stage: as a graph on a GPU, where the stage is capturable and trained by one process."""
    graphed = stage.device.type == "cuda" and stage.capturable and parallel.size() == 1
    return Captured(stage.update) if graphed else stage.update


class Captured:
    """A stage's update, captured in its third call and replayed from then on.

    Each call makes a step. The losses are the same tensors in each call, written anew by the next one.
    """

    def __init__(self, update: Update) -> None:
        self._update, self._eager_calls = update, 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: tuple[Tensor, ...] = ()
        self._losses: dict[str, Tensor] = {}

    def __call__(self, *batch: Tensor) -> dict[str, Tensor]:
        """Trains on a batch of the shapes of the first one; returns the losses by name, as scalars."""
        if self._eager_calls < EAGER_CALLS:
            self._eager_calls += 1
            return self._eagerly(batch)
        if self._graph is None:
            self._graph = self._capture(batch)
        for static, given in zip(self._batch, batch, strict=True):
            static.copy_(given)
        self._graph.replay()
        return self._losses

    def _eagerly(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Makes a step on another stream than the default one, as steps before a capture have to be."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            losses = self._update(*batch)
        current.wait_stream(side)
        return losses

    def _capture(self, batch: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        """Records the kernels of an update on copies of the batch; nothing is computed yet."""
        self._batch = tuple(tensor.clone() for tensor in batch)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._losses = self._update(*self._batch)
        return graph
