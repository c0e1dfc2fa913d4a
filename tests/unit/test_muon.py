"""Muon: its steps have the singular vectors of the momentum and singular values of about the learning rate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stmae.model.decoder import Decoder
from stmae.training.muon import Muon, hidden_kernels, orthogonalise, output_kernels


def matrix_of(rows: int, columns: int, values: torch.Tensor) -> torch.Tensor:
    """Returns a matrix with the given singular values."""
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(rows, len(values), generator=generator))
    right, _ = torch.linalg.qr(torch.randn(columns, len(values), generator=generator))
    return left @ torch.diag(values) @ right.T


@pytest.mark.parametrize("shape", [(8, 8), (8, 30), (30, 8)])
def test_orthogonalising_keeps_singular_vectors_and_brings_singular_values_near_1(shape: tuple[int, int]) -> None:
    matrix = matrix_of(*shape, torch.logspace(0, -1.5, 8))
    result = orthogonalise(matrix)
    values = torch.linalg.svdvals(result)
    assert 0.6 < values.min() <= values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ result @ right.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-3, rtol=0)
    assert inside.diagonal().min() > 0.6


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_size_of_a_gradient_does_not_matter(scale: float) -> None:
    matrix = matrix_of(8, 12, torch.linspace(1, 0.1, 8))
    torch.testing.assert_close(orthogonalise(scale * matrix), orthogonalise(matrix), atol=0.02, rtol=0)


def test_a_gradient_of_zeros_gives_a_step_of_zeros() -> None:
    assert not orthogonalise(torch.zeros(4, 9)).any()


def test_muon_trains_the_kernels_of_hidden_layers_only() -> None:
    decoder = Decoder(8, 12, 4, 2, bounded=False, shortcut=True)
    chosen = {id(parameter) for parameter in hidden_kernels(nn.ModuleDict({"decoder": decoder}))}
    names = {name for name, parameter in decoder.named_parameters() if id(parameter) in chosen}
    assert names == {f"layers.{layer}.0.weight" for layer in range(5)}
    assert {id(each) for each in output_kernels(decoder)} == {id(decoder.output.weight), id(decoder.shortcut.weight)}


def test_a_kernel_converges_in_steps_of_the_learning_rate() -> None:
    kernel = nn.Parameter(torch.zeros(4, 2, 3, 3))
    target = matrix_of(4, 18, torch.tensor([1.0, 0.3, 0.1, 0.03])).view_as(kernel)
    optimizer = Muon([{"params": [kernel], "lr": 0.05}])
    losses = []
    for _ in range(40):
        loss = ((kernel - target) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        before = kernel.detach().clone()
        optimizer.step()
        step = torch.linalg.svdvals((kernel.detach() - before).flatten(1))
        assert step.max() < 1.3 * 0.05
        losses.append(float(loss.detach()))
    assert min(losses) < 0.05 * losses[0]
