"""Normal clips in which something is not as it was: a part of the picture plays faster, a walker is carried.

Both come from the middle of a clip on. Truth is a number a frame: as it was (0), altered (1), or altered where nothing
moves (-1), which nobody can tell.

Legend: a clip is [F,S,S,3], its flow from frame to frame [F-1,2,h,w] in pixels, tiles are 16 x 16 in a frame.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from stmae.scoring.raw import CLIP_FRAMES, TILES
from stmae.training.motion import warp

BOX = (7, 6)
"""Tiles of the part that is played faster, rows and columns."""
MOVES, WALKS = 0.03, 0.04
"""Tiles a frame from which a point moves, and from which a walker walks."""
SMALLEST, WIDEST, TALLEST = 0.6, 3.0, 5.5
"""Of what is taken for one walker: area, width and height in tiles."""
AROUND, EVERY = 40, 4
"""Frames before and after the middle in which a walker is looked for, and every how many."""
SAME = 0.55
"""Of the points of a walker in one frame or the next, the share that is in both."""
FEWEST, ENOUGH = 8, 30
"""Frames for which a walker has to be alone, and more than which are no better: two steps or so."""

Frames = npt.NDArray[np.uint8]
Flows = npt.NDArray[np.float16]
Floats = npt.NDArray[np.floating]
Truth = npt.NDArray[np.int_]


class Walker(NamedTuple):
    """Someone who is alone on all sides, in one frame of a clip."""

    frame: int
    mask: npt.NDArray[np.bool_]
    """[S,S], where the walker is."""
    velocity: Floats
    """[2] x and y, pixels a frame."""

    def middle(self) -> Floats:
        """[2] x and y, pixels."""
        return np.array([places.mean() for places in np.nonzero(self.mask)[::-1]])


class Walk(NamedTuple):
    """A walker in N frames in a row."""

    seen: list[Walker]
    middles: Floats
    """[N,2] where the walker would be, going evenly."""
    velocity: Floats
    """[2] then."""

    @classmethod
    def of(cls, seen: list[Walker]) -> Walk:
        frame = np.arange(len(seen))
        slope, start = np.polyfit(frame, np.array([one.middle() for one in seen]), 1)
        return cls(seen, frame[:, None] * slope + start, slope)


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


def carried(
    frames: Frames, flows: Flows, factor: float, width: float = 1.0, *, comes: bool = False
) -> tuple[Frames, Truth] | None:
    """The clip with one walker more, who is moved at `factor` times their speed while their legs go on as they did.

    As who rides is. They are filmed while they are alone, to and fro in time: a picture that is only moved would be
    told by what it lacks, all that swings and the noise of the camera. They are `width` times as wide as they were, and
    there all at once, where they were filmed, or come into the picture. It ends where they leave it. None where nobody
    walks alone.
    """
    half, size = len(frames) // 2, frames.shape[1]
    walk = _longest(flows, size)
    if walk is None:
        return None
    count, now = len(walk.seen), len(walk.seen) // 2
    away = _stays(walk.middles[now], -walk.velocity, size) if comes else 0.0
    stays = (_stays(walk.middles[now], walk.velocity, size) + away) / factor
    altered = frames[: min(half + int(stays), len(frames))].copy()
    to_and_fro = [*range(count), *range(count - 2, 0, -1)]
    for frame in range(half, len(altered)):
        then = to_and_fro[(frame - half + now) % len(to_and_fro)]
        # A quarter of a frame off, as above: never drawn sharper than before.
        x, y = walk.middles[now] + walk.velocity * (factor * (frame - half + 0.25) - away)
        middle_x, middle_y = walk.middles[then]
        step = np.array([[width, 0, x - width * middle_x], [0, 1, y - middle_y]], np.float32)
        mask = cv2.dilate(walk.seen[then].mask.astype(np.float32), np.ones((7, 7)))
        alpha = cv2.warpAffine(cv2.GaussianBlur(mask, (5, 5), 0), step, (size, size))[..., None]
        filmed = frames[walk.seen[then].frame]
        picture = cv2.warpAffine(filmed, step, (size, size), borderMode=cv2.BORDER_REPLICATE)
        altered[frame] = np.round(altered[frame] * (1 - alpha) + picture * alpha).astype(np.uint8)
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


def _longest(flows: Flows, size: int) -> Walk | None:
    """Of those who walk about the middle of the clip, who is large and is alone and in the picture for long."""
    half = (len(flows) + 1) // 2
    walkers = [_walkers(frame, flow, size) for frame, flow in enumerate(flows)]
    walks = [
        Walk.of(seen)
        for walker in itertools.chain(*walkers[max(half - AROUND, 0) : half + AROUND : EVERY])
        if len(seen := _followed(walker, walkers)) >= FEWEST
    ]

    def worth(walk: Walk) -> float:
        now = len(walk.seen) // 2
        side = float(walk.seen[now].mask.sum()) ** 0.5
        stays = min(_stays(walk.middles[now], walk.velocity, size), half)
        return min(len(walk.seen), ENOUGH) * side * stays

    # Parts of someone move, and flow errs, where nobody goes anywhere.
    walks = [walk for walk in walks if np.hypot(*walk.velocity) > WALKS / 2 * size / TILES]
    return max(walks, key=worth, default=None)


def _followed(walker: Walker, walkers: list[list[Walker]]) -> list[Walker]:
    """One of the walkers, listed by frame, in the frames before and after, as long as they are alone."""
    seen = [walker]
    for step in (-1, 1):
        last = walker
        for frame in range(walker.frame + step, len(walkers) if step > 0 else -1, step):
            shift = np.round(last.velocity[::-1] * step).astype(int)
            moved = np.roll(last.mask, tuple(shift), axis=(0, 1))
            common = [((one.mask & moved).sum() / (one.mask | moved).sum(), one) for one in walkers[frame]]
            share, last = max(common, key=lambda each: each[0], default=(0.0, last))
            if share < SAME:
                break
            seen = [*seen, last] if step > 0 else [last, *seen]
    return seen


def _walkers(frame: int, flow_2hw: Flows, size: int) -> list[Walker]:
    """Upright patches that move by themselves and may be one person each."""
    tile = size / TILES
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


def _stays(middle: Floats, velocity: Floats, size: int) -> float:
    """Frames for which who goes on like this is at least half in the picture."""
    room = np.where(velocity > 0, size - 1 - middle, middle)
    return float((room / np.maximum(np.abs(velocity), 1e-3)).min())
