"""Decoders: five convolutions and an output, doubling the resolution on the way."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from stmae.model.encoder import block


class Decoder(nn.Module):
    """[B,inputs,h',w'] -> [B,outputs,H,W] with H = h' * 2**doublings.

    The prediction decoder and the proxy decoders (six layers, the output counted) are of this one kind.
    """

    def __init__(self, inputs: int, outputs: int, width: int, doublings: Literal[2, 3], *, bounded: bool) -> None:
        super().__init__()
        last = max(width // 2, 4)
        channels = (inputs, 4 * width, 2 * width, 2 * width, width, last)
        self.layers = nn.ModuleList(block(a, b) for a, b in pairwise(channels))
        self.double_before = (1, 3, 4)[:doublings]
        self.upsample = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.output = nn.Conv2d(last, outputs, 3, padding=1)
        self.bounded = bounded

    def forward(self, x: Tensor) -> Tensor:
        """A frame in [-1, 1] where bounded, else any value."""
        for index, layer in enumerate(self.layers):
            x = layer(self.upsample(x) if index in self.double_before else x)
        x = self.output(x)
        return torch.tanh(x) if self.bounded else x
