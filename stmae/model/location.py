"""The per-location Gaussian: mean and standard deviation of normal appearance features at each location (PaDiM).

A memory pool knows what occurs, this knows where. A bag on an empty pavement is nothing that the memory could not
reconstruct, yet nothing that this location ever showed.

Legend: B clips, C channels, h' x w' feature positions.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_STD = 1e-6


class LocationGaussian(nn.Module):
    """The diagonal form of PaDiM (Defard et al. 2021), per scene, fitted after training."""

    mean: Tensor
    std: Tensor

    def __init__(self, scenes: int, channels: int, side: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(scenes, channels, side, side))
        self.register_buffer("std", torch.ones(scenes, channels, side, side))

    def forward(self, features_BChw: Tensor, scene: int) -> Tensor:
        """Returns the squared deviation from the mean in variances, averaged over channels, [B,1,h',w'].

        It is about 1 on normal footage.
        """
        deviation = (F.normalize(features_BChw, dim=1) - self.mean[scene]) / self.std[scene]
        return (deviation**2).mean(1, keepdim=True)

    @torch.no_grad()
    def fit(self, scene: int, batches: Iterable[Tensor]) -> None:
        """Takes the statistics of a scene's normal features, batches of [B,C,h',w'].

        A standard deviation is at least the median over the locations of its channel: a wall that always shows the
        same would otherwise make noise anomalous.
        """
        count, total, squares = 0, torch.zeros_like(self.mean[scene], dtype=torch.float64), torch.tensor(0.0)
        for features in batches:
            unit = F.normalize(features, dim=1).double()
            count, total, squares = count + len(unit), total + unit.sum(0), squares + (unit**2).sum(0)
        mean = total / count
        std = (squares / count - mean**2).clamp_min(0).sqrt()
        floor = std.flatten(1).median(dim=1).values.clamp_min(MIN_STD)
        self.mean[scene], self.std[scene] = mean.float(), torch.maximum(std, floor[:, None, None]).float()
