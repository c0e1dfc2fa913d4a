"""The appearance encoder f_a and the motion encoder f_m: five 3x3 convolutions each.

Legend: B clips, H x W input, h' x w' feature positions, C = 4 x width channels of the features.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
APPEARANCE_STRIDES = (2, 1, 2, 1, 2)
MOTION_STRIDES = (1, 1, 2, 1, 2)
"""The flow comes at half the frames' resolution, so that both encoders end at an eighth of it."""
FEATURE_STRIDE = 8
"""Frame pixels a feature position."""
EARLY_LAYER = 3
"""The layer, of five, whose output describes a location. L_c draws later features towards memory items, which costs
them detail."""


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Returns a 3x3 convolution with batch normalisation and LeakyReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(LEAK, inplace=True),
    )


class Encoder(nn.Module):
    """Encodes [B,inputs,H,W] to features [B,C,h',w'].

    With a shortcut, a linear map of each patch is added to the output of the convolutions.
    """

    def __init__(self, inputs: int, width: int, strides: tuple[int, int, int, int, int], *, shortcut: bool) -> None:
        super().__init__()
        channels = (inputs, width, width, 2 * width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(block(a, b, s) for a, b, s in zip(channels, channels[1:], strides, strict=False))
        self.stride = prod(strides)
        self.shortcut = nn.Conv2d(inputs * self.stride**2, 4 * width, 1) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the features."""
        return self.with_early(x)[0]

    def with_early(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the features, and the output of EARLY_LAYER averaged to their resolution, [B,2 x width,h',w']."""
        x = clip
        for number, layer in enumerate(self.layers, 1):
            x = layer(x)
            if number == EARLY_LAYER:
                early = F.avg_pool2d(x, 2)
        if self.shortcut is not None:
            x = x + self.shortcut(F.pixel_unshuffle(clip, self.stride))
        return x, early
