"""How what moves usually looks: samples of the early appearance features of tiles in which something moved.

The memory reads for every query a mean of its items, which says little of what none of them is like; this keeps what
was seen as it was. A cyclist who goes as fast as walkers do looks like none of them.
Legend: B clips, C channels, h' x w' tiles, Q of them in which something moves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stmae.model.memory import nearest_distances, queries_of, spread_items

SAMPLES = 512
CANDIDATES = 30_000
"""Features, at most, from which the samples of a scene are taken."""


class Looks(nn.Module):
    """Distance of features to the nearest sample (PatchCore, Roth et al. 2022, of what moves)."""

    samples: Tensor

    def __init__(self, scenes: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("samples", torch.zeros(scenes, SAMPLES, channels))

    def forward(self, features_BChw: Tensor, scene: int) -> Tensor:
        """[B,h',w']: squared distance of unit vectors, 0 to 4; 2 everywhere where nothing was ever seen to move."""
        batch, _, height, width = features_BChw.shape
        nearest = nearest_distances(self.samples[scene], queries_of(features_BChw))[:, 0]
        return nearest.view(batch, height, width)

    @torch.no_grad()
    def fit(self, scene: int, moving_QC: Tensor) -> None:
        """Take samples far from each other of a scene's normal features, unit vectors [Q,C]; of none, keep zeros."""
        if len(moving_QC):
            every = -(-len(moving_QC) // CANDIDATES)
            self.samples[scene] = spread_items(moving_QC[::every], SAMPLES)
