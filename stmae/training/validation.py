"""Validation: how well STM-AE predicts footage that takes no part in training, and what its memories are worth.

Legend: B windows of a batch, C channels of a stream's features, h' x w' feature positions, N items of a pool.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from stmae.model.memory import Memory, distinct, queries_of, read_weights
from stmae.model.stmae import STMAE, psnr, to_unit
from stmae.scoring.raw import CLIP_FRAMES
from stmae.training.windows import Windows

VALIDATION_WINDOWS = 64
"""Windows behind each point of the learning curve, at most, spread evenly over the footage."""


class _Seen(NamedTuple):
    """What a batch of windows is encoded to and read as, [B,C,h',w'] each, the true frames and the scenes [B]."""

    z_a: Tensor
    read_a: Tensor
    z_m: Tensor
    read_m: Tensor
    target: Tensor
    scenes: Tensor


@torch.no_grad()
def validate(model: STMAE, windows: Windows, batch: int) -> dict[str, float]:
    """Returns figures of a model in evaluation mode.

    `psnr` (dB) is that of its predictions, and `memory_db` by how much it falls if every query reads the same: the
    mean of what all queries read. For each stream that has a memory, `<stream>_items` are the distinct items of its
    pool (of the scene with the fewest), and `<stream>_entropy` is the mean entropy of a read's weights, as a fraction
    of ln N.
    """
    chosen = windows.evenly_spaced(VALIDATION_WINDOWS)
    seen = [_see(model, windows, part) for part in chosen.tensor_split(-(-len(chosen) // batch))]
    figures = {"psnr": _psnr(model, seen)}
    if model.memory_streams:
        mean_a = torch.cat([each.read_a for each in seen]).mean((0, 2, 3), keepdim=True)
        mean_m = torch.cat([each.read_m for each in seen]).mean((0, 2, 3), keepdim=True)
        alike = [
            each._replace(read_a=mean_a.expand_as(each.read_a), read_m=mean_m.expand_as(each.read_m)) for each in seen
        ]
        figures["memory_db"] = figures["psnr"] - _psnr(model, alike)
    for stream in model.memory_streams:
        memory, z = (model.appearance_memory, "z_a") if stream == "appearance" else (model.motion_memory, "z_m")
        figures[f"{stream}_items"] = float(min(map(distinct, memory.pools)))
        entropies = [_entropies(memory, getattr(each, z), each.scenes) for each in seen]
        figures[f"{stream}_entropy"] = float(torch.cat(entropies).mean())
    return figures


def _see(model: STMAE, windows: Windows, part: Tensor) -> _Seen:
    frames_B5, flows_B4, scenes_B = windows.frames(part), windows.flows(part), windows.scenes(part)
    z_a, z_m = model.encode_streams(frames_B5[:, :CLIP_FRAMES].flatten(1, 2), flows_B4[:, :-1].flatten(1, 2))
    read_a, read_m = model.appearance_memory(z_a, scenes_B)[0], model.motion_memory(z_m, scenes_B)[0]
    return _Seen(z_a, read_a, z_m, read_m, frames_B5[:, CLIP_FRAMES], scenes_B)


def _psnr(model: STMAE, seen: list[_Seen]) -> float:
    """Returns the mean PSNR of the predictions, dB."""
    values = []
    for each in seen:
        prediction = model.decode(model.concatenate(each.z_a, each.read_a, each.z_m, each.read_m))
        values.append(psnr(((to_unit(prediction) - to_unit(each.target)) ** 2).mean((1, 2, 3))))
    return float(torch.cat(values).mean())


def _entropies(memory: Memory, z_BChw: Tensor, scenes_B: Tensor) -> Tensor:
    """Returns the mean entropy of the reads of each clip, as a fraction of its largest value."""
    entropies = []
    for z_Chw, scene in zip(z_BChw, scenes_B.tolist(), strict=True):
        items_NC = memory.items_of(scene)
        weights_QN = read_weights(items_NC, queries_of(z_Chw.unsqueeze(0)))
        entropies.append(torch.special.entr(weights_QN).sum(1).mean() / math.log(len(items_NC)))
    return torch.stack(entropies)
