"""Frames a second of the served graph on one device, beside the same model called once a clip.

The weights are random: speed does not depend on them. Each figure is of the median call after a warm-up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu.stages import Notes
from stmae.config import Config
from stmae.model.build import build_stmae
from stmae.model.device import training_device
from stmae.model.stmae import STMAE, RawScoreTensors
from stmae.scoring.raw import CLIP_FRAMES

CALLS = {"cuda": (3, 30), "cpu": (1, 3)}
"""Calls of warm-up and timed calls."""


class Served(nn.Module):
    """The served model as the ensemble runs it: FRAMES [T,S,S,3] to the raw scores of T - 4 frames."""

    def __init__(self, model: STMAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames_TSS3: Tensor) -> RawScoreTensors:
        scores: RawScoreTensors = self.model(frames_TSS3, self.model.flow(frames_TSS3).float())
        return scores

    def parts(self, frames_TSS3: Tensor) -> dict[str, Callable[[], Any]]:
        """Returns each of the four served stages as a call with the inputs that it has in the ensemble."""
        model = self.model
        flow = model.flow(frames_TSS3).float()
        features = model.encode(frames_TSS3, flow).features
        prediction = model.decode(features).float()
        return {
            "flow": lambda: model.flow(frames_TSS3),
            "encode": lambda: model.encode(frames_TSS3, flow),
            "decode": lambda: model.decode(features),
            "psnr": lambda: model.prediction_error(frames_TSS3, prediction),
        }


def speeds(notes: Notes, config: Config) -> None:
    """Notes the frames/s of requests of `serve.segment_frames` frames, in several precisions.

    `fps_per_clip_*` is the naive way: five frames a call, of which one is scored. TF32, fp16 and torch.compile are
    measured on a GPU only.
    """
    device = training_device()
    on_gpu = device.type == "cuda"
    size, length = config.model.frame_size, config.serve.segment_frames
    graph = Served(build_stmae(config)).to(device).eval().requires_grad_(False)
    images = np.random.default_rng(0).integers(0, 256, (length, size, size, 3), np.uint8)
    frames = torch.from_numpy(images).to(device)
    clip, scored = frames[: CLIP_FRAMES + 1], length - CLIP_FRAMES
    notes.put(size=size, segment_frames=length)

    def both_ways(name: str) -> None:
        notes.doing(name)
        notes.put(**{f"fps_per_clip_{name}": _rate(lambda: graph(clip), 1, device)})
        notes.put(**{f"fps_segment_{name}": _rate(lambda: graph(frames), scored, device)})

    torch.backends.cudnn.benchmark = True
    with torch.inference_mode():
        for name in ("fp32", "tf32") if on_gpu else ("fp32",):
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
            both_ways(name)
        graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, dtype in {"bf16": torch.bfloat16, **({"fp16": torch.float16} if on_gpu else {})}.items():
            with torch.autocast(device.type, dtype):
                both_ways(name)
        with torch.autocast(device.type, torch.bfloat16):
            notes.doing("parts")
            for name, call in graph.parts(frames).items():
                notes.put(**{f"fps_{name}_bf16": _rate(call, scored, device)})
            if on_gpu:
                notes.doing("torch.compile")
                compiled = torch.compile(graph, dynamic=False)
                notes.put(seconds_compile=round(_once(lambda: compiled(frames), device), 1))
                notes.put(fps_segment_bf16_compiled=_rate(lambda: compiled(frames), scored, device))


def _rate(call: Callable[[], Any], scored: int, device: torch.device) -> float:
    """Returns the frames/s of a call that scores `scored` frames."""
    warm_up, timed = CALLS[device.type]
    seconds = [_once(call, device) for _ in range(warm_up + timed)][warm_up:]
    return round(scored / statistics.median(seconds), 1)


def _once(call: Callable[[], Any], device: torch.device) -> float:
    """Returns the seconds of one call, the device's work included."""
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
