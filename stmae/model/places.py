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

SHARED = -1
"""Instead of a scene: what all of them show."""


class Places(nn.Module):
    """Distance of features from what is usual at their place (the diagonal form of PaDiM, Defard et al. 2021).

    Where there are several scenes, it is the mean of the distances from what is usual in the scene and in all of them,
    as a memory has pools of both: the first knows more, the second is known from more footage.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, scenes: int, channels: int, side: int) -> None:
        super().__init__()
        self.several = scenes > 1
        count = scenes + self.several
        self.register_buffer("mean", torch.zeros(count, channels, side, side))
        self.register_buffer("spread", torch.ones(count, channels, side, side))

    def forward(self, features_BChw: Tensor, scene: int) -> Tensor:
        """[B,1,h',w']: mean over channels of the squared deviation, in spreads; about 1 on usual footage."""
        unit = F.normalize(features_BChw, dim=1)
        known = [scene, SHARED] if self.several else [scene]
        distances = [((unit - self.mean[each]) / self.spread[each]).square().mean(1, keepdim=True) for each in known]
        return torch.stack(distances).mean(0)

    @torch.no_grad()
    def fit(self, scene: int, batches: Iterable[Tensor]) -> None:
        """Take the statistics of a scene's normal features [B,C,h',w'], or of those of all scenes, SHARED.

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
