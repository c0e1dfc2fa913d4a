"""How what moves usually looks: samples of the pictures of tiles in which something moved.

The memory reads for every query a mean of its items, which says little of what none of them is like; this keeps what
was seen as it was. A cyclist who goes as fast as walkers do looks like none of them. What is looked at are gradients of
the frames, at most FINEST pixels wide, which show more than features of smaller ones; nothing is trained.
Legend: B frames of S x S pixels, h x w flow, Q tiles in which something moves, C values of a look.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stmae.model.memory import k_center_greedy, nearest_distances, queries_of
from stmae.scoring.raw import TILES
from stmae.scoring.usual import FINEST, STILL

DIRECTIONS = 8
"""Of gradients, from dark to bright."""
CELLS = 4
"""A side of what a tile shows: its own two, and one more all around it."""
CHANNELS = DIRECTIONS * CELLS**2 + 1
FAINT = 0.02
"""A gradient that every tile has besides its own, so that what hardly shows looks alike."""
DARK = 1e-3
"""Added to brightness before the root, which is steep at 0."""
SAMPLES = 512
CANDIDATES = 30_000
"""FeatureBank, at most, from which the samples of a scene are taken."""


class FeatureBank(nn.Module):
    """Distance of what tiles show from the nearest sample (PatchCore, Roth et al. 2022, of what moves)."""

    samples: Tensor

    def __init__(self, scenes: int, size: int) -> None:
        """`size` is S."""
        super().__init__()
        self.size = size
        self.register_buffer("samples", torch.zeros(scenes, SAMPLES, CHANNELS))

    def forward(self, frames_B3SS: Tensor, flow_B2hw: Tensor, scene: int) -> Tensor:
        """[B,16,16]: squared distance of unit vectors, 0 to 2; 2 everywhere where nothing was ever seen to move."""
        looks = histograms(frames_B3SS, flow_B2hw, self.size)
        return nearest_distances(self.samples[scene], queries_of(looks))[:, 0].view(-1, TILES, TILES)

    @torch.no_grad()
    def fit(self, scene: int, moving_QC: Tensor) -> None:
        """Take samples far from each other of a scene's normal looks, unit vectors [Q,C]; of none, keep zeros."""
        if len(moving_QC):
            every = -(-len(moving_QC) // CANDIDATES)
            self.samples[scene] = k_center_greedy(moving_QC[::every], SAMPLES)


def histograms(frames_B3SS: Tensor, flow_B2hw: Tensor, frame_size: int) -> Tensor:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of what moves in and around each tile, [B,C,16,16].

    Of frames in [-1, 1] and the flow that leads to them, in pixels of theirs. Each pixel counts for its directions as
    much as it is moved, so that the pavement behind a walker does not. The last value is FAINT.
    """
    light, size = _shrunk(frames_B3SS.mean(1, keepdim=True), frame_size)
    light = ((light + 1) / 2 + DARK).sqrt()
    wide = F.pad(light, (1, 1, 1, 1), mode="replicate")
    speed = (flow_B2hw * flow_B2hw).sum(1, keepdim=True).sqrt() * min(1.0, FINEST / frame_size)
    moved = F.interpolate(speed / (speed + STILL), size=(size, size), mode="bilinear", align_corners=False)
    right = (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]) * moved
    down = (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]) * moved
    directed = _along(right, down)
    cells = F.pad(F.avg_pool2d(directed, size // (2 * TILES)), (1, 1, 1, 1))
    end = 2 * TILES
    seen = [cells[:, :, y : y + end : 2, x : x + end : 2] for y in range(CELLS) for x in range(CELLS)]
    return F.normalize(torch.cat((*seen, torch.full_like(seen[0][:, :1], FAINT)), 1), dim=1)


def _shrunk(light_B1SS: Tensor, size: int) -> tuple[Tensor, int]:
    """At most FINEST pixels wide, and how wide: the mean of what each pixel covers."""
    ratio = Fraction(size, FINEST)
    if ratio <= 1:
        return light_B1SS, size
    parts = F.interpolate(light_B1SS, scale_factor=float(ratio.denominator), mode="nearest")
    return F.avg_pool2d(parts, ratio.numerator), FINEST


def _along(right_B1SS: Tensor, down_B1SS: Tensor) -> Tensor:
    """Of gradients their length along each of DIRECTIONS, [B,8,S,S]: all along their own, none along the next."""
    between = 2 * math.pi / DIRECTIONS
    angle = (torch.arange(DIRECTIONS) * between).view(-1, 1, 1).to(right_B1SS)
    length = (right_B1SS * right_B1SS + down_B1SS * down_B1SS).sqrt()
    along = right_B1SS * angle.cos() + down_B1SS * angle.sin()
    return (along - length * math.cos(between)).relu() / (1 - math.cos(between))
