"""Losses: each equation at points with a known value."""

from __future__ import annotations

import pytest
import torch

from stmae.model.memory import nearest_distances
from stmae.training import losses


def test_appearance_loss_is_the_mean_squared_difference() -> None:
    assert losses.appearance_loss(torch.full((2, 3), 0.5), torch.zeros(2, 3)) == pytest.approx(0.25)


def test_motion_loss_is_the_mean_length_of_the_difference_of_flows() -> None:
    predicted, true = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    predicted[0, :, 0, 0] = torch.tensor([24.0, 32.0])  # 40 of 32 units of the motion encoder: 1.25 frame widths
    assert losses.motion_loss(predicted, true) == pytest.approx((1.25 * 2 + 0) / 2)


def test_the_adversarial_loss_is_zero_if_patches_are_taken_for_real() -> None:
    assert losses.adversarial_loss(torch.ones(4)) == 0
    assert losses.adversarial_loss(torch.zeros(4)) == pytest.approx(0.5)


def test_the_discriminator_loss_is_zero_at_1_on_real_and_0_on_predicted_patches() -> None:
    assert losses.discriminator_loss(torch.ones(4), torch.zeros(4)) == 0
    assert losses.discriminator_loss(torch.zeros(4), torch.ones(4)) == pytest.approx(1.0)


def test_compactness_loss_is_zero_if_the_nearest_item_is_nearer_by_the_margin() -> None:
    distances = torch.tensor([[0.1, 2.0], [0.5, 0.7]])
    assert losses.compactness_loss(distances, 1.0) == pytest.approx((0 + 0.8) / 2)


def test_compactness_loss_has_a_gradient_where_items_are_copies_of_each_other() -> None:
    queries = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    queries.requires_grad_()
    items = torch.eye(4)[[0, 0, 1, 1]]
    losses.compactness_loss(nearest_distances(items, queries), 1.0).backward()
    assert queries.grad is not None
    assert queries.grad.norm() > 0.1


def test_the_generator_loss_weighs_its_parts_as_equation_10() -> None:
    one = torch.ones(())
    total = losses.generator_loss(
        one, 2 * one, 3 * one, 4 * one, lambda_motion=0.6, lambda_compact=0.01, lambda_adversarial=0.05
    )
    assert total == pytest.approx(1 + 1.2 + 0.03 + 0.2)


def test_proxy_losses_are_mean_squared_errors() -> None:
    a, b = torch.rand(2, 3), torch.rand(2, 3)
    assert losses.denoising_loss(a, b) == losses.reconstruction_loss(a, b) == ((a - b) ** 2).mean()


def test_salt_and_pepper_replaces_a_fifth_half_white_half_black_in_all_colours() -> None:
    clip = torch.zeros(2, 12, 100, 100)
    chance = torch.rand(2, 4, 100, 100, generator=torch.Generator().manual_seed(0))
    noisy = losses.salt_and_pepper(clip, 0.2, chance)
    assert (noisy == 1).float().mean() == pytest.approx(0.1, abs=0.005)
    assert (noisy == -1).float().mean() == pytest.approx(0.1, abs=0.005)
    colours = noisy.view(2, 4, 3, 100, 100)
    assert (colours == colours[:, :, :1]).all()
    assert clip.abs().sum() == 0
