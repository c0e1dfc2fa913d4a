"""Folds the memories into the decoder, for graphs that hand over less and compute less.

What a query reads is a mix of the items, z_hat = sum_n s_n m_n, and the decoder begins with linear layers. A kernel K
applied to z_hat is the kernel K m_n applied to the share s_n: N channels in place of C, with the same result.
"""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor, nn

from stmae.model.memory import Memory, maps_of, nearest_distance, queries_of, read_weights
from stmae.model.stmae import STMAE


class SharesMemory(Memory):
    """A memory that returns the shares of its items in what a query reads."""

    @classmethod
    def of(cls, memory: Memory) -> Self:
        """Returns one with the items of a memory."""
        made = cls(memory.scenes, *memory.pools.shape[1:])
        made.load_state_dict(memory.state_dict())
        return made

    def recall(self, features_BChw: Tensor, scene: int) -> tuple[Tensor, Tensor]:
        """Returns s [B,N,h,w] with z_hat = sum_n s_n m_n, and each query's `nearest_distance` [B*h*w]."""
        queries_QC, items_NC = queries_of(features_BChw), self.items_of(scene)
        weights_QN = read_weights(items_NC, queries_QC)
        # |sum_n w_n m_n|^2, of the items' inner products: z_hat is a unit vector.
        squares_Q1 = ((weights_QN @ (items_NC @ items_NC.T)) * weights_QN).sum(1, keepdim=True)
        return maps_of(weights_QN / squares_Q1.sqrt(), features_BChw), nearest_distance(items_NC, queries_QC)


@torch.no_grad()
def folded(model: STMAE, scene: int) -> STMAE:
    """Returns a copy that decodes the same of a scene, of shares in place of what memory reads."""
    model = copy.deepcopy(model)
    memories = {"appearance": model.appearance_memory, "motion": model.motion_memory}
    parts: list[Tensor | None] = []
    for stream in model.streams:
        parts.append(None)
        if stream in model.memory_streams:
            parts.append(memories[stream].items_of(scene))
    decoder = model.decoder
    first = decoder.layers[0]
    assert isinstance(first, nn.Sequential)
    first[0] = _of_parts(first[0], parts)
    if decoder.shortcut is not None:
        decoder.shortcut = _of_parts(decoder.shortcut, parts)
    model.appearance_memory, model.motion_memory = map(SharesMemory.of, memories.values())
    return model


def _of_parts(layer: nn.Module, parts: list[Tensor | None]) -> nn.Conv2d:
    """Returns a convolution whose input has, of each part that is items [N,C], N shares in place of C channels."""
    assert isinstance(layer, nn.Conv2d)
    kernels = layer.weight.double().chunk(len(parts), 1)
    weight = torch.cat(
        [
            kernel if items_NC is None else torch.einsum("ockl,nc->onkl", kernel, items_NC.double())
            for kernel, items_NC in zip(kernels, parts, strict=True)
        ],
        1,
    ).float()
    made = copy.deepcopy(layer)
    made.in_channels, made.weight = weight.shape[1], nn.Parameter(weight, requires_grad=False)
    return made
