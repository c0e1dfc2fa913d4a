"""Decoders: five convolutions and an output layer, doubling the resolution on the way."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stmae.model.encoder import block


class Decoder(nn.Module):
    """Decodes features [B,inputs,h',w'] to [B,outputs,H,W] with H = h' * 2**doublings.

    The prediction decoder and the proxy decoders (six layers, the output counted) are both built of it.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, doublings: Literal[2, 3], *, bounded: bool, shortcut: bool
    ) -> None:
        super().__init__()
        last = max(width // 2, 4)
        channels = (inputs, 4 * width, 2 * width, 2 * width, width, last)
        self.layers = nn.ModuleList(block(a, b) for a, b in pairwise(channels))
        self.double_before = (1, 3, 4)[:doublings]
        self.upsample = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.output = nn.Conv2d(last, outputs, 3, padding=1)
        self.bounded = bounded
        self.growth = 2**doublings
        self.shortcut = nn.Conv2d(inputs, outputs * self.growth**2, 1) if shortcut else None
        """A linear map from each feature position to its patch, added to the output."""

    @property
    def output_layers(self) -> list[nn.Module]:
        """Returns the layers that give pixels or flow: the last convolution and, if there is one, the shortcut."""
        return [layer for layer in (self.output, self.shortcut) if layer is not None]

    def forward(self, features: Tensor) -> Tensor:
        """Returns values in [-1, 1] if bounded, any values otherwise."""
        x = features
        for index, layer in enumerate(self.layers):
            x = layer(self.upsample(x) if index in self.double_before else x)
        x = self.output(x)
        if self.shortcut is not None:
            x = x + F.pixel_shuffle(self.shortcut(features), self.growth)
        return torch.tanh(x) if self.bounded else x
