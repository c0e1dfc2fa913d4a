"""The PatchGAN discriminator: tells for each patch of a frame whether it is real or predicted."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from stmae.model.encoder import LEAK


class Discriminator(nn.Module):
    """Judges the patches of frames [B,3,H,W], [B,1,H/8-2,W/8-2]: 1 for real, 0 for predicted (LSGAN)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for a, b in pairwise(channels):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(LEAK, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 3))

    def forward(self, frame: Tensor) -> Tensor:
        patches: Tensor = self.layers(frame)
        return patches
