"""Normal clips in which something is not as it was: a part of the picture plays faster, a walker glides.

Both come from the middle of a clip on. Truth is a number a frame: as it was (0), altered (1), or altered where nothing
moves (-1), which nobody can tell.

Legend: a clip is [F,S,S,3], its flow from frame to frame [F-1,2,h,w] in pixels, tiles are 16 x 16 in a frame.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from stmae.score import CLIP_FRAMES, TILES
from stmae.train.motion import warp

BOX = (7, 6)
"""Tiles of the part that is played faster, rows and columns."""
MOVES, WALKS = 0.03, 0.04
"""Tiles a frame from which a point moves, and from which a walker walks."""
SMALLEST, WIDEST, TALLEST = 0.6, 3.0, 5.5
"""Of what is taken for one walker: area, width and height in tiles."""
AROUND = 10
"""Frames before and after the middle in which a walker is looked for."""

Frames = npt.NDArray[np.uint8]
Flows = npt.NDArray[np.float16]
Floats = npt.NDArray[np.floating]
Truth = npt.NDArray[np.int_]


class Walker(NamedTuple):
    """Someone who is alone on all sides, in one frame of a clip."""

    picture: Frames
    """[S,S,3], the whole frame."""
    mask: npt.NDArray[np.bool_]
    """[S,S], where the walker is."""
    velocity: Floats
    """[2] x and y, pixels a frame."""


def faster(frames: Frames, flows: Flows, speed_tiles: Floats, factor: float) -> tuple[Frames, Truth]:
    """The clip with its busiest part at `factor` times the speed; it ends where that part does.

    `speed_tiles` [F-4,16,16] is what evidence says of the clip, from the fifth frame on.
    """
    row, column = busiest(speed_tiles)
    tile, half = frames.shape[1] // TILES, len(frames) // 2
    part = np.s_[:, row * tile : (row + BOX[0]) * tile, column * tile : (column + BOX[1]) * tile]
    inside = speed_tiles[:, row : row + BOX[0], column : column + BOX[1]].reshape(len(speed_tiles), -1)
    moving = np.sort(inside, axis=1)[:, -2:].mean(axis=1)
    # A quarter of a frame off, every moment is between two frames: none is drawn sharper than the next.
    then = np.arange(half + 0.25, len(frames) - 1, factor)
    altered = frames[: half + len(then)].copy()
    altered[half:][part] = at_times(frames, flows, then)[part]
    moves = (moving > np.median(moving) / 2)[np.maximum(then.astype(int) - CLIP_FRAMES, 0)]
    return altered, np.concatenate([np.zeros(half, int), np.where(moves, 1, -1)])


def gliding(
    frames: Frames, flows: Flows, factor: float, width: float = 1.0, *, comes: bool = False
) -> tuple[Frames, Truth] | None:
    """The clip with one walker more, who glides at `factor` times the mean speed that the walker was cut out at.

    They are `width` times as wide as they were, and there all at once, where they were cut out, or come into the
    picture. It ends where they leave it. None where nobody walks alone. They have the camera's noise: a picture that
    only moves would be told by lacking it.
    """
    half, size = len(frames) // 2, frames.shape[1]
    around = range(max(half - AROUND, 0), min(half + AROUND, len(flows)))
    walkers = [each for frame in around for each in _walkers(frames[frame], flows[frame])]
    if not walkers:
        return None
    walker = max(walkers, key=lambda each: _stays(each) * each.mask.sum())
    middle = float(np.flatnonzero(walker.mask.any(axis=0)).mean())
    soft = cv2.GaussianBlur(cv2.dilate(walker.mask.astype(np.float32), np.ones((5, 5))), (5, 5), 0)
    away = _stays(walker._replace(velocity=-walker.velocity)) if comes else 0.0
    altered = frames[: min(half + int((_stays(walker) + away) / factor), len(frames))].copy()
    random, deviation = np.random.default_rng(half), noise(frames)
    for frame in range(half, len(altered)):
        # As above: never drawn sharper than before.
        x, y = walker.velocity * (factor * (frame - half + 0.25) - away)
        step = np.array([[width, 0, (1 - width) * middle + x], [0, 1, y]], np.float32)
        alpha = cv2.warpAffine(soft, step, (size, size))[..., None]
        picture = cv2.warpAffine(walker.picture, step, (size, size), borderMode=cv2.BORDER_REPLICATE)
        noisy = picture + random.normal(0, deviation, (size, size, 1))
        altered[frame] = np.clip(np.round(altered[frame] * (1 - alpha) + noisy * alpha), 0, 255).astype(np.uint8)
    return altered, np.repeat([0, 1], [half, len(altered) - half])


def busiest(speed_tiles: Floats) -> tuple[int, int]:
    """Row and column of the BOX of tiles in which most moves."""
    total = np.lib.stride_tricks.sliding_window_view(speed_tiles.mean(axis=0), BOX).sum(axis=(2, 3))
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    return int(row), int(column)


def at_times(frames: Frames, flows: Flows, times: Floats) -> Frames:
    """The clip at moments between its frames: the nearest frame, moved along the flow as far as the moment is away."""
    size, drawn = frames.shape[1], []
    for time in times:
        nearest, flow = round(time), torch.from_numpy(flows[int(time)][None].astype(np.float32))
        step = F.interpolate(flow, size=(size, size), mode="bilinear", align_corners=False) * (nearest - time)
        frame = torch.from_numpy(frames[nearest]).permute(2, 0, 1)[None].float()
        drawn.append(warp(frame, step)[0].permute(1, 2, 0).round().byte().numpy())
    return np.stack(drawn)


def noise(frames: Frames) -> float:
    """Standard deviation of the camera's noise: of the median pixel, from frame to frame."""
    change = np.diff(frames.astype(np.float32).mean(axis=3), axis=0)
    return float(np.sqrt(np.median((change**2).mean(axis=0)) / 2))


def _walkers(frame: Frames, flow_2hw: Flows) -> list[Walker]:
    """Upright patches that move by themselves and may be one person each."""
    size, tile = frame.shape[0], frame.shape[0] / TILES
    flow = np.stack([cv2.resize(part.astype(np.float32), (size, size)) for part in flow_2hw])
    count, labels, stats, _ = cv2.connectedComponentsWithStats((np.hypot(*flow) > MOVES * tile).astype(np.uint8))
    walkers = []
    for label in range(1, count):
        _, _, width, height, area = stats[label]
        mask = labels == label
        velocity = flow[:, mask].mean(axis=1)
        fits = width < WIDEST * tile and 1.2 * width < height < TALLEST * tile and area > SMALLEST * tile**2
        if fits and np.hypot(*velocity) > WALKS * tile:
            walkers.append(Walker(frame, mask, velocity))
    return walkers


def _stays(walker: Walker) -> float:
    """Frames for which the walker, going on like this, is at least half in the picture."""
    size, frames = len(walker.mask), []
    for axis, speed in zip((0, 1), walker.velocity, strict=True):
        middle = float(np.flatnonzero(walker.mask.any(axis=axis)).mean())
        room = size - 1 - middle if speed > 0 else middle
        frames.append(room / max(abs(float(speed)), 1e-3))
    return min(frames)
