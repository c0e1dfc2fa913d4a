"""THE table of served tensors. The export, the repository writer, the client and the tests read it.

A request is a segment of T >= 5 frames of S x S pixels. h x w is the flow's resolution, s x s that of the auto-encoders
(S or a fraction of it), h' x w' that of features, F their channels and memory items. A -1 in `dims` varies between
requests or deployments.

The steps compute in single precision, and pass each other half precision: half the bytes, of which there are megabytes
a frame. It rounds a velocity below 32 pixels by less than 0.01, and a prediction by a thirtieth of a grey level.
"""

from __future__ import annotations

from math import prod
from typing import Literal, NamedTuple

import numpy as np

from stmae.scoring.raw import CLIP_FRAMES, MOTION_FRAME_SIZE, TILES

Size = int | Literal["S", "s", "h", "w", "F", "h'", "w'"]

DEPLOYMENT = "{deployment}"
"""Stands for the deployment's name in the names of models."""


class Tensor(NamedTuple):
    """A tensor of a served model; `dims` is for Triton, `meaning` for people."""

    name: str
    dtype: Literal["uint8", "float16", "float32"]
    dims: tuple[Size, ...]
    meaning: str


class Model(NamedTuple):
    """A served model: its name with {deployment} in it unless it is shared, its inputs and its outputs."""

    name: str
    shared: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def file(self) -> str:
        """Returns the name of its ONNX file in an export, without the suffix."""
        return self.name.removeprefix(f"{DEPLOYMENT}_")

    def served_name(self, deployment: str) -> str:
        """Returns its name on the server."""
        return self.name.format(deployment=deployment)


FRAMES = Tensor("FRAMES", "uint8", (-1, "S", "S", 3), "[T,S,S,3] consecutive frames, RGB")
FLOW = Tensor("FLOW", "float16", (-1, 2, "h", "w"), "[T-1,2,h,w] x and y displacement from each frame to the next, px")
FEATURES = Tensor(
    "FEATURES",
    "float16",
    (-1, "F", "h'", "w'"),
    "[T-4,F,h',w'] features of both streams, and shares of items in what memory reads",
)
MEMORY_DISTANCE = Tensor(
    "MEMORY_DISTANCE",
    "float32",
    (-1, 2),
    "[T-4,2] mean squared distance to the nearest memory item: appearance, motion",
)
LOCATION_TILES = Tensor(
    "LOCATION_TILES",
    "float32",
    (-1, TILES, TILES),
    f"[T-4,{TILES},{TILES}] squared deviation from the location's mean appearance, in its variances",
)
FEATURE_TILES = Tensor(
    "FEATURE_TILES",
    "float32",
    (-1, TILES, TILES),
    f"[T-4,{TILES},{TILES}] squared distance, 0 to 2, of what moves in a tile to its nearest neighbour in the bank",
)
FLOW_TILES = Tensor(
    "FLOW_TILES",
    "float32",
    (-1, 2, TILES, TILES),
    f"[T-4,2,{TILES},{TILES}] speed-weighted mean flow from the frame before, x and y, px of FRAMES, "
    f"of {MOTION_FRAME_SIZE} a side if they are larger",
)
PREDICTION = Tensor("PREDICTION", "float16", (-1, 3, "s", "s"), "[T-4,3,s,s] predicted frame, in [-1,1]")
PSNR = Tensor("PSNR", "float32", (-1,), "[T-4] of the predicted against the true frame, dB, pixels in [0,1]")
ERROR_TILES = Tensor(
    "ERROR_TILES", "float32", (-1, TILES, TILES), f"[T-4,{TILES},{TILES}] mean squared error, pixels in [0,1]"
)

FLOW_MODEL = Model("flow", True, (FRAMES,), (FLOW,))
ENCODE = Model(
    f"{DEPLOYMENT}_encode",
    False,
    (FRAMES, FLOW),
    (FEATURES, MEMORY_DISTANCE, LOCATION_TILES, FEATURE_TILES, FLOW_TILES),
)
DECODE = Model(f"{DEPLOYMENT}_decode", False, (FEATURES,), (PREDICTION,))
PSNR_MODEL = Model("psnr", True, (FRAMES, PREDICTION), (PSNR, ERROR_TILES))
STEPS = (FLOW_MODEL, ENCODE, DECODE, PSNR_MODEL)
"""The ensemble's steps, in order."""

ENSEMBLE = Model(
    DEPLOYMENT, False, (FRAMES,), (PSNR, MEMORY_DISTANCE, ERROR_TILES, LOCATION_TILES, FEATURE_TILES, FLOW_TILES)
)

MIN_SEGMENT = CLIP_FRAMES + 1
"""Fewest frames of a request."""
FLOW_STRIDE = 2
"""Pixels of FRAMES a flow sample: h = w = S / 2."""
FEATURE_STRIDE = 8
"""Pixels of the auto-encoders a feature position: h' = w' = s / 8."""


def lost_frames(tensor: Tensor) -> int:
    """Returns how many rows less than frames a tensor has of a segment."""
    return {FRAMES.name: 0, FLOW.name: 1}.get(tensor.name, CLIP_FRAMES)


def dims(model: Model, tensor: Tensor, *, size: int, flow_scale: int, channels: int) -> tuple[int, ...]:
    """Returns the sizes of a tensor in a deployment with s = `size`, S = `flow_scale` * `size` and F = `channels`.

    A -1 varies. A shared model serves deployments of every size, so whatever depends on the size varies there.
    """
    if model.shared:
        return tuple(dim if isinstance(dim, int) else -1 for dim in tensor.dims)
    return (-1, *_row(tensor, size, flow_scale, channels))


def bytes_per_frame(tensor: Tensor, *, size: int, flow_scale: int, channels: int) -> int:
    """Returns the bytes of a tensor's row, which belongs to one frame, in the deployment that `dims` describes."""
    return prod(_row(tensor, size, flow_scale, channels)) * np.dtype(tensor.dtype).itemsize


def _row(tensor: Tensor, size: int, flow_scale: int, channels: int) -> tuple[int, ...]:
    """Returns the sizes of a tensor but for the first one, T or a few less."""
    frame = size * flow_scale
    flow, feature = frame // FLOW_STRIDE, size // FEATURE_STRIDE
    named = {"S": frame, "s": size, "h": flow, "w": flow, "F": channels, "h'": feature, "w'": feature}
    return tuple(dim if isinstance(dim, int) else named[dim] for dim in tensor.dims[1:])
