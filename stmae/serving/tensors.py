"""THE table of served tensors. The export, the repository writer, the client and the tests read it.

A request is a segment of T >= 5 frames of size S x S; h x w is the flow's resolution, s x s what the auto-encoders see
(S, or half of it), C the feature channels, h' x w' their resolution. -1 in `dims` is a dimension that varies between
requests or deployments.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from stmae.scoring.raw import CLIP_FRAMES, TILES

Size = int | Literal["S", "s", "h", "w", "4C", "h'", "w'"]


class Tensor(NamedTuple):
    """A named tensor of a served model; `shape` in words is for people, `dims` for Triton."""

    name: str
    dtype: Literal["uint8", "float32"]
    dims: tuple[Size, ...]
    meaning: str


class Model(NamedTuple):
    """A served model: `name` with {deployment} filled in, its inputs and outputs."""

    name: str
    shared: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


FRAMES = Tensor("FRAMES", "uint8", (-1, "S", "S", 3), "[T,S,S,3] RGB, consecutive frames")
FLOW = Tensor("FLOW", "float32", (-1, 2, "h", "w"), "[T-1,2,h,w] x and y displacement from a frame to the next, px")
FEATURES = Tensor(
    "FEATURES", "float32", (-1, "4C", "h'", "w'"), "[T-4,4C,h',w'] features and what memory reads for them"
)
MEMORY_DISTANCE = Tensor(
    "MEMORY_DISTANCE",
    "float32",
    (-1, 2),
    "[T-4,2] mean squared distance to the nearest item: appearance, motion",
)
LOCATION_TILES = Tensor(
    "LOCATION_TILES",
    "float32",
    (-1, TILES, TILES),
    f"[T-4,{TILES},{TILES}] squared distance per tile from what is usual at the place, in its spreads",
)
FEATURE_TILES = Tensor(
    "FEATURE_TILES",
    "float32",
    (-1, TILES, TILES),
    f"[T-4,{TILES},{TILES}] squared distance per tile from the nearest look of what was seen to move, 0 to 2",
)
FLOW_TILES = Tensor(
    "FLOW_TILES",
    "float32",
    (-1, 2, TILES, TILES),
    f"[T-4,2,{TILES},{TILES}] displacement since the frame before of what moves in the tile, px (at most 256 a side)",
)
PREDICTION = Tensor("PREDICTION", "float32", (-1, 3, "s", "s"), "[T-4,3,s,s] predicted frame, in [-1,1]")
PSNR = Tensor("PSNR", "float32", (-1,), "[T-4] dB, of pixels in [0,1]")
ERROR_TILES = Tensor(
    "ERROR_TILES",
    "float32",
    (-1, TILES, TILES),
    f"[T-4,{TILES},{TILES}] mean squared error per tile, pixels in [0,1]",
)

FLOW_MODEL = Model("flow", True, (FRAMES,), (FLOW,))
ENCODE = Model(
    "{deployment}_encode", False, (FRAMES, FLOW), (FEATURES, MEMORY_DISTANCE, LOCATION_TILES, FEATURE_TILES, FLOW_TILES)
)
DECODE = Model("{deployment}_decode", False, (FEATURES,), (PREDICTION,))
PSNR_MODEL = Model("psnr", True, (FRAMES, PREDICTION), (PSNR, ERROR_TILES))
STEPS = (FLOW_MODEL, ENCODE, DECODE, PSNR_MODEL)
"""The ensemble's steps, in order."""

ENSEMBLE = Model(
    "{deployment}", False, (FRAMES,), (PSNR, MEMORY_DISTANCE, ERROR_TILES, LOCATION_TILES, FEATURE_TILES, FLOW_TILES)
)

MIN_SEGMENT = CLIP_FRAMES + 1
"""Fewest frames of a request."""
FLOW_STRIDE = 2
"""Pixels of FRAMES a flow sample: h = w = S / 2."""
FEATURE_STRIDE = 8
"""Pixels that the auto-encoders see a feature: h' = w' = s / 8."""


def dims(model: Model, tensor: Tensor, *, size: int, flow_scale: int, width: int) -> tuple[int, ...]:
    """Sizes of a tensor in a deployment with s = `size`, S = `flow_scale` x `size` and C = 4 x `width`; -1 varies.

    A shared model serves deployments of every size, so whatever depends on it varies there.
    """
    frame = size * flow_scale
    flow, feature = frame // FLOW_STRIDE, size // FEATURE_STRIDE
    named = {"S": frame, "s": size, "h": flow, "w": flow, "4C": 16 * width, "h'": feature, "w'": feature}
    return tuple(dim if isinstance(dim, int) else -1 if model.shared else named[dim] for dim in tensor.dims)
