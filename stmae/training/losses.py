"""The losses of STM-AE, one function an equation. Frames in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def appearance_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """L_a: mean squared difference of prediction and frame."""
    return ((prediction - target) ** 2).mean()


def motion_loss(predicted_flow: Tensor, true_flow: Tensor) -> Tensor:
    """L_m: mean absolute difference of f(I(t-1), prediction) and f(I(t-1), I(t)), in shares of the frame's width.

    In pixels its gradient through the flow net is many times that of L_a, and the prediction never gets sharp.
    """
    return (predicted_flow - true_flow).abs().mean()


def adversarial_loss(predicted_patches: Tensor) -> Tensor:
    """L_adv of the generator: its patches should be taken for real (1)."""
    return 0.5 * ((predicted_patches - 1) ** 2).mean()


def discriminator_loss(real_patches: Tensor, predicted_patches: Tensor) -> Tensor:
    """L_D (LSGAN): 1 on real patches, 0 on predicted ones."""
    return 0.5 * ((real_patches - 1) ** 2).mean() + 0.5 * (predicted_patches**2).mean()


def compactness_loss(distances_Q2: Tensor, margin: float) -> Tensor:
    """L_c of one stream: each query's nearest item should be nearer than its second nearest by `margin`.

    `distances_Q2` are squared distances to the nearest and second nearest item.
    """
    return (distances_Q2[:, 0] - distances_Q2[:, 1] + margin).clamp_min(0).mean()


def generator_loss(
    appearance: Tensor,
    motion: Tensor,
    compact: Tensor,
    adversarial: Tensor,
    lambda_motion: float,
    lambda_compact: float,
    lambda_adversarial: float,
) -> Tensor:
    """L_G = L_a + lambda_1 L_m + lambda_2 L_c + lambda_3 L_adv (Eq. 6)."""
    return appearance + lambda_motion * motion + lambda_compact * compact + lambda_adversarial * adversarial


def denoising_loss(reconstruction: Tensor, clean_clip: Tensor) -> Tensor:
    """Appearance proxy task: the clean clip from the noisy one."""
    return ((reconstruction - clean_clip) ** 2).mean()


def reconstruction_loss(reconstruction: Tensor, flows: Tensor) -> Tensor:
    """Motion proxy task: the flows from themselves."""
    return ((reconstruction - flows) ** 2).mean()


def salt_and_pepper(clip: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Replace `share` of the pixels (all colours at once) by white or black, half each. [B,3n,S,S] in [-1, 1]."""
    batch, channels, height, width = clip.shape
    chance = torch.rand(batch, channels // 3, height, width, generator=generator, device=clip.device)
    chance = chance.repeat_interleave(3, dim=1)
    noisy = torch.where(chance < share / 2, 1.0, clip)
    return torch.where(chance > 1 - share / 2, -1.0, noisy)
