"""The appearance encoder f_a and the motion encoder f_m: five 3x3 convolutions each."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.2
APPEARANCE_STRIDES = (2, 1, 2, 1, 2)
MOTION_STRIDES = (1, 1, 2, 1, 2)
"""The flow comes at half the frames' resolution, so that both encoders end at an eighth."""
FEATURE_STRIDE = 8
"""Frame pixels a feature."""
DETAIL_LAYER = 3
"""Of the five: later ones lose detail to L_c, which draws features towards memory items."""


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch normalisation, LeakyReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(LEAK, inplace=True),
    )


class Encoder(nn.Module):
    """[B,inputs,H,W] -> features [B,C,h',w'] with C = 4 x width.

    With a shortcut, a linear map of each patch is added to what the convolutions make of it and its surroundings.
    """

    def __init__(self, inputs: int, width: int, strides: tuple[int, int, int, int, int], *, shortcut: bool) -> None:
        super().__init__()
        channels = (inputs, width, width, 2 * width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(block(a, b, s) for a, b, s in zip(channels, channels[1:], strides, strict=False))
        self.stride = prod(strides)
        self.shortcut = nn.Conv2d(inputs * self.stride**2, 4 * width, 1) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """The features alone."""
        return self.with_detail(x)[0]

    def with_detail(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and the output of layer DETAIL_LAYER, [B,2 x width,2h',2w'], halved to their resolution."""
        x = clip
        for number, layer in enumerate(self.layers, 1):
            x = layer(x)
            if number == DETAIL_LAYER:
                detail = F.avg_pool2d(x, 2)
        if self.shortcut is not None:
            x = x + self.shortcut(F.pixel_unshuffle(clip, self.stride))
        return x, detail
