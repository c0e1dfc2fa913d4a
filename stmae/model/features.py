"""The feature bank: nearest-neighbour distances of what moves to what moved in normal footage (PatchCore).

A memory pool answers every query with a mean of its items and says little about a query that none of them resembles.
The bank keeps descriptors of normal moving tiles as they were.

Legend: B frames of S x S pixels, h x w flow, Q descriptors of tiles in which something moves, C values of a descriptor.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stmae.model.memory import nearest_distance, queries_of
from stmae.scoring.raw import MOTION_FRAME_SIZE, TILES


class Descriptor(nn.Module):
    """Describes what is seen in and around each tile of a frame."""

    def __init__(self, frame_size: int, channels: int, bank_size: int) -> None:
        """`channels` is C, `bank_size` the number of items of a bank of these descriptors."""
        super().__init__()
        self.frame_size, self.channels, self.bank_size = frame_size, channels, bank_size

    def forward(self, frames_B3SS: Tensor, flow_B2hw: Tensor) -> Tensor:
        """Returns unit vectors [B,C,16,16] of frames in [-1, 1] and the flow that leads to them, in their pixels."""
        raise NotImplementedError

    def load_pretrained(self) -> None:
        """Loads the weights of a descriptor that has any. Raises CheckpointError where they cannot be found."""

    def choose(self, candidates_QC: Tensor) -> Tensor:
        """Returns the items [N,C] of a bank, of candidates in the order of time: every so many of them."""
        return candidates_QC[torch.arange(self.bank_size) * len(candidates_QC) // self.bank_size]


class FeatureBank(nn.Module):
    """A subset of the descriptors of normal moving tiles (PatchCore, Roth et al. 2022), per scene."""

    items: Tensor

    def __init__(self, scenes: int, descriptor: Descriptor) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.register_buffer("items", torch.zeros(scenes, descriptor.bank_size, descriptor.channels))

    def forward(self, frames_B3SS: Tensor, flow_B2hw: Tensor, scene: int) -> Tensor:
        """Returns the squared distance [B,16,16] of each tile's descriptor to its nearest item.

        Descriptors are unit vectors, so it is in [0, 2]. It is 2 everywhere if nothing moved in normal footage.
        """
        descriptors = self.descriptor(frames_B3SS, flow_B2hw)
        return nearest_distance(self.items[scene], queries_of(descriptors)).view(-1, TILES, TILES)

    def of_moving(self, frames_B3SS: Tensor, flow_B2hw: Tensor, moves_B: Tensor, scene: int) -> Tensor:
        """Returns what `forward` does for the frames in which something moves, [B] booleans; 0 for the others."""
        # The first frame always: of a graph that meets an empty batch OpenVINO returns the outputs of the call before.
        asked = torch.cat((torch.ones_like(moves_B[:1]), moves_B[1:])).nonzero().squeeze(1)
        distances: Tensor = self(frames_B3SS[asked], flow_B2hw[asked], scene) * moves_B[asked].view(-1, 1, 1)
        return distances.new_zeros((moves_B.shape[0], TILES, TILES)).index_copy(0, asked, distances)

    @torch.no_grad()
    def fit(self, scene: int, moving_QC: Tensor) -> None:
        """Chooses the items of a scene from the descriptors of its normal moving tiles; keeps zeros if Q is 0."""
        if len(moving_QC):
            self.items[scene] = self.descriptor.choose(moving_QC)


def reduced(images_BcSS: Tensor, size: int) -> tuple[Tensor, int]:
    """Returns images reduced to at most MOTION_FRAME_SIZE a side by area, and their new size."""
    ratio = Fraction(size, MOTION_FRAME_SIZE)
    if ratio <= 1:
        return images_BcSS, size
    repeated = F.interpolate(images_BcSS, scale_factor=float(ratio.denominator), mode="nearest")
    return F.avg_pool2d(repeated, ratio.numerator), MOTION_FRAME_SIZE
