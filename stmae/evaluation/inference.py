"""Inference of a trained model over prepared clips: frames and cached flow in, raw scores out.

Legend: F frames of a clip, S side of FRAMES, h = w flow samples a side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import Clip, Manifest, scene_index
from stmae.model.stmae import STMAE, RawScoreTensors, moved_tiles
from stmae.scoring.raw import CLIP_FRAMES, RawScores

SEGMENT_FRAMES = 36
"""Frames of a call of the model, at most."""
FLOW_BATCH = 512
"""Flows whose tiles are computed at once: in single precision the flow of an hour fills gigabytes."""


def clip_raw_scores(
    config: Config,
    model: STMAE,
    manifest: Manifest,
    clip: Clip,
    flow_cache: FlowCache,
    device: torch.device,
    first: int | None = None,
) -> RawScores:
    """Returns the raw scores of a clip of a prepared dataset, or of its `first` frames."""
    frames = manifest.frames(clip)[:first]
    flows = flow_cache.flows(clip)[: max(len(frames) - 1, 0)]
    return raw_scores(model, scene_index(config, manifest, clip), frames, flows, device)


def raw_scores(
    model: STMAE, scene: int, frames: npt.NDArray[np.uint8], flows: npt.NDArray[np.float16], device: torch.device
) -> RawScores:
    """Returns the raw scores of frames 4..F-1 of FRAMES [F,S,S,3], given the flow between them [F-1,2,h,w]."""
    return RawScores.join([RawScores.empty(), *iter_raw_scores(model, scene, frames, flows, device)])


def iter_raw_scores(
    model: STMAE, scene: int, frames: npt.NDArray[np.uint8], flows: npt.NDArray[np.float16], device: torch.device
) -> Iterator[RawScores]:
    """Yields what `raw_scores` returns segment by segment; memory does not grow with F if the arrays are mapped."""
    for start, stop in segments(len(frames), SEGMENT_FRAMES):
        segment = torch.from_numpy(np.array(frames[start:stop])).to(device)
        flow = torch.from_numpy(np.array(flows[start : stop - 1])).to(device).float()
        with torch.inference_mode():
            scores: RawScoreTensors = model(segment, flow, scene)
        yield RawScores(**{name: tensor.cpu().numpy() for name, tensor in scores._asdict().items()})


def flow_tiles(flows_F2hw: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Returns the speed-weighted mean flow of each tile [F,2,16,16] for the flow of a whole clip."""
    starts = range(0, len(flows_F2hw), FLOW_BATCH)
    batches = (torch.from_numpy(np.array(flows_F2hw[start : start + FLOW_BATCH])).float() for start in starts)
    return np.concatenate([moved_tiles(batch, batch.shape[-1]).numpy() for batch in batches])


def segments(frames: int, length: int) -> Iterator[tuple[int, int]]:
    """Yields ranges [start, stop) of at most `length` frames that overlap by CLIP_FRAMES and cut a video into calls.

    Every frame from CLIP_FRAMES on is predicted in exactly one segment. A video of fewer than 5 frames has none.
    Raises ValueError for a length below 5.
    """
    if length <= CLIP_FRAMES:
        raise ValueError(f"segment length {length}: must be at least {CLIP_FRAMES + 1}")
    start = 0
    while start + CLIP_FRAMES < frames:
        yield start, min(start + length, frames)
        start += length - CLIP_FRAMES
