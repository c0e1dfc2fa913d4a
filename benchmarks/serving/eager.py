"""The ways without a served model: torch clip by clip, torch by segments, and the ceiling of the processor."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.serving import Served
from stmae.model.device import has_bf16
from stmae.model.stmae import STMAE
from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving.segments import Images

CPU = torch.device("cpu")
PRODUCT = 4096
"""Side of the matrices whose product is the ceiling."""


class Eager:
    """The model in torch, called as research code calls it and as this project does without a server."""

    def __init__(self, model: STMAE) -> None:
        self._graph = Served(model).eval().requires_grad_(False)
        self.precision = "bf16" if has_bf16(CPU) else "fp32"
        """What segments are computed in; clips are computed in fp32."""

    @torch.inference_mode()
    def clip_by_clip(self, clips: Iterable[Images]) -> float:
        """Returns frames/s of a call for each clip [5,S,S,3], whose last frame is scored."""
        return _rate(self._graph, clips)

    @torch.inference_mode()
    def by_segments(self, segments: Iterable[Images]) -> float:
        """Returns frames/s of a call for each segment [T,S,S,3], in bf16 where the hardware computes in it."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            return _rate(self._graph, segments)

    @torch.no_grad()
    def gflop_per_frame(self, segment: Images) -> float:
        """Returns the billions of floating point operations of a scored frame; a multiply-add counts as two."""
        with FlopCounterMode(display=False) as counter:
            self._graph(torch.from_numpy(segment))
        return float(counter.get_total_flops()) / 1e9 / (len(segment) - CLIP_FRAMES)


def ceiling(precision: str) -> float:
    """Returns the GFLOP/s of a large matrix product, in `fp32` or `bf16`."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    first, second = torch.rand(2, PRODUCT, PRODUCT).to(dtype)
    began = time.perf_counter()
    torch.mm(first, second)
    return 2 * PRODUCT**3 / 1e9 / (time.perf_counter() - began)


def _rate(graph: Served, segments: Iterable[Images]) -> float:
    began, frames = time.perf_counter(), 0
    for segment in segments:
        frames += len(graph(torch.from_numpy(segment)).psnr)
    return frames / (time.perf_counter() - began)
