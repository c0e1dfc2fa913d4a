"""What a camera usually shows at each place: mean and spread of early appearance features, fitted after training.

The memory knows what occurs; this knows where. A bag on an empty pavement is nothing that the memory could not
reconstruct, yet nothing that this place ever looked like.
Legend: B clips, C channels, h' x w' places.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocationGaussian(nn.Module):
    """Distance of features from what is usual at their place (the diagonal form of PaDiM, Defard et al. 2021)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, scenes: int, channels: int, side: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(scenes, channels, side, side))
        self.register_buffer("spread", torch.ones(scenes, channels, side, side))

    def forward(self, features_BChw: Tensor, scene: int) -> Tensor:
        """[B,1,h',w']: mean over channels of the squared deviation, in spreads; about 1 on usual footage."""
        deviation = (F.normalize(features_BChw, dim=1) - self.mean[scene]) / self.spread[scene]
        return (deviation**2).mean(1, keepdim=True)

    @torch.no_grad()
    def fit(self, scene: int, batches: Iterable[Tensor]) -> None:
        """Take the statistics of a scene's normal features [B,C,h',w'].

        Spreads are floored at their channel's median place.
        """
        count, total, squares = 0, torch.zeros_like(self.mean[scene], dtype=torch.float64), torch.tensor(0.0)
        for features in batches:
            unit = F.normalize(features, dim=1).double()
            count, total, squares = count + len(unit), total + unit.sum(0), squares + (unit**2).sum(0)
        mean = total / count
        spread = (squares / count - mean**2).clamp_min(0).sqrt()
        floor = spread.flatten(1).median(dim=1).values.clamp_min(1e-6)
        self.mean[scene], self.spread[scene] = mean.float(), torch.maximum(spread, floor[:, None, None]).float()
