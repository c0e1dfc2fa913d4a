"""The appearance encoder f_a and the motion encoder f_m: five 3x3 convolutions each."""

from __future__ import annotations

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


class Encoder(nn.Sequential):
    """[B,inputs,H,W] -> features [B,C,h',w'] with C = 4 x width."""

    def __init__(self, inputs: int, width: int, strides: tuple[int, int, int, int, int]) -> None:
        channels = (inputs, width, width, 2 * width, 2 * width, 4 * width)
        super().__init__(*(block(a, b, s) for a, b, s in zip(channels, channels[1:], strides, strict=False)))

    def with_detail(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and the output of layer DETAIL_LAYER, [B,2 x width,2h',2w'], halved to their resolution."""
        for number, layer in enumerate(self, 1):
            x = layer(x)
            if number == DETAIL_LAYER:
                detail = F.avg_pool2d(x, 2)
        return x, detail
