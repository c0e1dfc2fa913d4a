"""Muon: gradient descent with orthogonalised momentum, for the kernels of convolutions.

K. Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024). A kernel is seen as a matrix of
outputs x (inputs * height * width); Newton-Schulz iterations bring the singular values of its momentum near 1, so that
weak directions of the gradient are learnt as fast as the strong ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stmae.model.decoder import Decoder

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the quintic a X + b XX'X + c XX'XX'X: the steepest at 0 of those that map [0, 1] to about [0.7, 1.2]."""


def hidden_kernels(module: nn.Module) -> list[nn.Parameter]:
    """Returns the parameters that Muon trains: kernels, but for those of output layers.

    Orthogonal steps make all singular values alike, which suits features and not pixels.
    """
    outputs = set(output_kernels(module))
    return [parameter for parameter in module.parameters() if parameter.ndim == 4 and parameter not in outputs]


def output_kernels(module: nn.Module) -> list[nn.Parameter]:
    """Returns the kernels of the output layers of the decoders in a module."""
    decoders = (each for each in module.modules() if isinstance(each, Decoder))
    layers = (layer for decoder in decoders for layer in decoder.output_layers)
    return [parameter for layer in layers for parameter in layer.parameters() if parameter.ndim == 4]


def orthogonalise(matrix: Tensor) -> Tensor:
    """Returns a matrix with the same singular vectors and singular values near 1, except those that are nearly 0."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / (torch.linalg.matrix_norm(x) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.T if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised per kernel; `lr` is about the relative change of a kernel in a step."""

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 0.02})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Makes one step; `closure` is ignored."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._move(kernel, group["lr"])

    def _move(self, kernel: nn.Parameter, lr: float | Tensor) -> None:
        state = self.state[kernel]
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        assert kernel.grad is not None
        momentum = state["momentum"].mul_(MOMENTUM).add_(kernel.grad)
        matrix = kernel.grad.add(momentum, alpha=MOMENTUM).flatten(1)
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        direction = orthogonalise(matrix).view_as(kernel)
        if isinstance(lr, Tensor):  # on a GPU, where its value may not be read
            kernel.addcmul_(direction, lr, value=-scale)
        else:
            kernel.add_(direction, alpha=-lr * scale)
