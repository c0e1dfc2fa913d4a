"""Gradient histograms: descriptors of what moves in a tile in which nothing is trained.

Legend: B frames of S x S pixels, h x w flow, C values of a descriptor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from stmae.model.features import Descriptor, reduced
from stmae.model.memory import k_center_greedy
from stmae.scoring.raw import MOTION_FRAME_SIZE, STILL_SPEED, TILES

ORIENTATIONS = 8
"""Bins of a histogram: signed directions of a gradient, from dark to bright."""
BLOCK_CELLS = 4
"""Cells a side of a descriptor's block: a tile has 2 x 2 cells, and its block one more on every side."""
CHANNELS = ORIENTATIONS * BLOCK_CELLS**2 + 1
CONTRAST_FLOOR = 0.02
"""A constant value in every descriptor before it is normalised, so that tiles with hardly any gradient look alike."""
BANK_SIZE = 512
"""Items of a scene's bank."""
MAX_CANDIDATES = 30_000
"""Descriptors from which the items of a scene are chosen, at most."""
BRIGHTNESS_FLOOR = 1e-3
"""Added to brightness in [0, 1] before the square root, whose slope is infinite at 0."""


class GradientHistograms(Descriptor):
    """Histograms of oriented gradients, the descriptors of `model.features = "gradients"`."""

    def __init__(self, frame_size: int) -> None:
        super().__init__(frame_size, CHANNELS, BANK_SIZE)

    def choose(self, candidates_QC: Tensor) -> Tensor:
        """Returns the items [N,C] of a k-center-greedy coreset."""
        every = -(-len(candidates_QC) // MAX_CANDIDATES)
        return k_center_greedy(candidates_QC[::every], self.bank_size)

    def forward(self, frames_B3SS: Tensor, flow_B2hw: Tensor) -> Tensor:
        """Returns the descriptors [B,C,16,16]."""
        return gradient_histograms(frames_B3SS, flow_B2hw, self.frame_size)


def gradient_histograms(frames_B3SS: Tensor, flow_B2hw: Tensor, frame_size: int) -> Tensor:
    """Returns histograms of oriented gradients (Dalal and Triggs 2005) of what moves in and around each tile.

    `frames_B3SS` are in [-1, 1], `flow_B2hw` leads to them, in pixels. The result is [B,C,16,16], unit vectors. Each
    gradient is weighted by how much its pixel moves, so that the background of a walker does not count. Frames larger
    than MOTION_FRAME_SIZE are reduced to it.
    """
    brightness, size = reduced(frames_B3SS.mean(1, keepdim=True), frame_size)
    brightness = ((brightness + 1) / 2 + BRIGHTNESS_FLOOR).sqrt()
    padded = F.pad(brightness, (1, 1, 1, 1), mode="replicate")
    speed = (flow_B2hw * flow_B2hw).sum(1, keepdim=True).sqrt() * min(1.0, MOTION_FRAME_SIZE / frame_size)
    weight = F.interpolate(speed / (speed + STILL_SPEED), size=(size, size), mode="bilinear", align_corners=False)
    dx = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) * weight
    dy = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) * weight
    cells = F.pad(F.avg_pool2d(_orientation_bins(dx, dy), size // (2 * TILES)), (1, 1, 1, 1))
    end, side = 2 * TILES, BLOCK_CELLS
    blocks = [cells[:, :, y : y + end : 2, x : x + end : 2] for y in range(side) for x in range(side)]
    return F.normalize(torch.cat((*blocks, torch.full_like(blocks[0][:, :1], CONTRAST_FLOOR)), 1), dim=1)


def _orientation_bins(dx_B1SS: Tensor, dy_B1SS: Tensor) -> Tensor:
    """Returns each gradient's length split over the orientations, [B,8,S,S].

    An orientation gets all of a gradient along it and none of one along its neighbours.
    """
    between = 2 * math.pi / ORIENTATIONS
    angle = (torch.arange(ORIENTATIONS) * between).view(-1, 1, 1).to(dx_B1SS)
    length = (dx_B1SS * dx_B1SS + dy_B1SS * dy_B1SS).sqrt()
    along = dx_B1SS * angle.cos() + dy_B1SS * angle.sin()
    return (along - length * math.cos(between)).relu() / (1 - math.cos(between))
