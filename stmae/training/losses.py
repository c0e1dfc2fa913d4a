"""The losses of STM-AE, one function per equation. Frames are in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from stmae.model.stmae import FLOW_UNIT

MOTION_UNIT = 2.0
"""L_m compares flows in halves of the frame's width."""


def appearance_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Returns L_a, the mean squared difference of the prediction and the true frame."""
    return ((prediction - target) ** 2).mean()


def motion_loss(predicted_flow: Tensor, true_flow: Tensor) -> Tensor:
    """Returns L_m (Eq. 6), the mean length (L2) of f(I(t-1), prediction) - f(I(t-1), I(t)), both [B,2,h,w].

    Flows are given as the motion encoder sees them and compared in MOTION_UNIT. In it the gradient on the decoder is
    about half as long as that of L_a once the background is learnt, so that lambda_1 weighs them. Squared in frame
    widths it is nothing beside it; in pixels, so much at first that the prediction stays blurred.
    """
    difference: Tensor = torch.linalg.vector_norm(predicted_flow - true_flow, dim=1)
    return difference.mean() * (MOTION_UNIT / FLOW_UNIT)


def adversarial_loss(predicted_patches: Tensor) -> Tensor:
    """Returns L_adv of the generator, which is 0 if the discriminator takes its patches for real (1)."""
    return 0.5 * ((predicted_patches - 1) ** 2).mean()


def discriminator_loss(real_patches: Tensor, predicted_patches: Tensor) -> Tensor:
    """Returns L_D (LSGAN), which is 0 if real patches give 1 and predicted ones 0."""
    return 0.5 * ((real_patches - 1) ** 2).mean() + 0.5 * (predicted_patches**2).mean()


def compactness_loss(distances_Q2: Tensor, margin: float) -> Tensor:
    """Returns L_c (Eq. 9) of one stream: a triplet loss that wants the nearest item nearer than the second by `margin`.

    `distances_Q2` are each query's squared distances to its nearest and second nearest item.
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
    """Returns L_G = L_a + lambda_1 L_m + lambda_2 L_c + lambda_3 L_adv (Eq. 10)."""
    return appearance + lambda_motion * motion + lambda_compact * compact + lambda_adversarial * adversarial


def denoising_loss(reconstruction: Tensor, clean_clip: Tensor) -> Tensor:
    """Returns the loss of the appearance proxy task: the mean squared error of the restored clip."""
    return ((reconstruction - clean_clip) ** 2).mean()


def reconstruction_loss(reconstruction: Tensor, flows: Tensor) -> Tensor:
    """Returns the loss of the motion proxy task: the mean squared error of the reconstructed flows."""
    return ((reconstruction - flows) ** 2).mean()


def salt_and_pepper(clip: Tensor, fraction: float, chance: Tensor) -> Tensor:
    """Returns a clip [B,3n,S,S] in [-1, 1] with a fraction of its pixels replaced, half by white and half by black.

    `chance` [B,n,S,S] are random numbers, uniform in [0, 1): a pixel is replaced in all three colours.
    """
    chance = chance.repeat_interleave(3, dim=1)
    noisy = torch.where(chance < fraction / 2, 1.0, clip)
    return torch.where(chance > 1 - fraction / 2, -1.0, noisy)
