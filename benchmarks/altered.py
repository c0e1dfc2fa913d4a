"""Synthetic anomalies in normal clips: a region plays faster, or a copy of a walker is moved through the picture.

The anomaly starts in the middle of the clip. The label of a frame is 0 (normal), 1 (altered), or -1 (altered, but
nothing moves, so that nobody can tell).

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
"""Rows and columns of tiles of the region that is played faster."""
MOVES, WALKS = 0.03, 0.04
"""Lowest speeds, in tiles a frame, of a moving point and of a walker."""
SMALLEST, WIDEST, TALLEST = 0.6, 3.0, 5.5
"""Limits of what is taken for one walker: area, width and height in tiles."""
AROUND, EVERY = 40, 4
"""Frames before and after the middle in which walkers are searched, and the step of the search in frames."""
SAME = 0.55
"""Lowest intersection over union of a walker's masks in consecutive frames."""
FEWEST, ENOUGH = 8, 30
"""Fewest frames for which a walker has to be alone, and the number beyond which more are no better: two steps or so."""

Frames = npt.NDArray[np.uint8]
Flows = npt.NDArray[np.float16]
Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int_]


class Walker(NamedTuple):
    """A person whom no other moving object touches, in one frame of a clip."""

    frame: int
    mask: npt.NDArray[np.bool_]
    """Mask [S,S] of the walker."""
    velocity: Floats
    """Velocity [2], x and y, in pixels a frame."""

    def middle(self) -> Floats:
        """Returns the centroid [2], x and y, in pixels."""
        return np.array([positions.mean() for positions in np.nonzero(self.mask)[::-1]])


class Walk(NamedTuple):
    """A walker in N consecutive frames."""

    seen: list[Walker]
    middles: Floats
    """Centroids [N,2] of a straight and even walk that is fitted to those seen."""
    velocity: Floats
    """Velocity [2] of that walk, in pixels a frame."""

    @classmethod
    def of(cls, seen: list[Walker]) -> Walk:
        frame = np.arange(len(seen))
        slope, start = np.polyfit(frame, np.array([one.middle() for one in seen]), 1)
        return cls(seen, frame[:, None] * slope + start, slope)


def faster(frames: Frames, flows: Flows, speed_tiles: Floats, factor: float) -> tuple[Frames, Labels]:
    """Returns the clip with its busiest region at `factor` times the speed, and labels; it ends where the region does.

    `speed_tiles` [F-4,16,16] are the tiles' speeds from the fifth frame on.
    """
    row, column = busiest(speed_tiles)
    tile, half = frames.shape[1] // TILES, len(frames) // 2
    region = np.s_[:, row * tile : (row + BOX[0]) * tile, column * tile : (column + BOX[1]) * tile]
    inside = speed_tiles[:, row : row + BOX[0], column : column + BOX[1]].reshape(len(speed_tiles), -1)
    moving = np.sort(inside, axis=1)[:, -2:].mean(axis=1)
    # With an offset of a quarter of a frame every frame is interpolated: none is sharper than the next.
    then = np.arange(half + 0.25, len(frames) - 1, factor)
    altered = frames[: half + len(then)].copy()
    altered[half:][region] = at_times(frames, flows, then)[region]
    moves = (moving > np.median(moving) / 2)[np.maximum(then.astype(int) - CLIP_FRAMES, 0)]
    return altered, np.concatenate([np.zeros(half, int), np.where(moves, 1, -1)])


def carried(
    frames: Frames, flows: Flows, factor: float, width: float = 1.0, *, comes: bool = False
) -> tuple[Frames, Labels] | None:
    """Returns the clip with a copy of a walker at `factor` times their speed and `width` times their width, and labels.

    The copy looks like somebody who rides: its legs move at their own pace. It is cut out of the frames in which the
    walker is alone, played forwards and backwards, because a still picture that is only moved would lack swinging limbs
    and camera noise. It appears at once where the walker was filmed or, with `comes`, enters at the edge of the
    picture. The clip ends where the copy leaves the picture. Returns None where nobody walks alone.
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
        # A quarter of a frame off, as above: the copy is interpolated in every frame, and never sharper.
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
    """Returns row and column of the BOX of tiles with the highest mean speed."""
    total = np.lib.stride_tricks.sliding_window_view(speed_tiles.mean(axis=0), BOX).sum(axis=(2, 3))
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    return int(row), int(column)


def at_times(frames: Frames, flows: Flows, times: Floats) -> Frames:
    """Returns the clip at times between its frames: the nearest frame, warped along the flow to the time."""
    size, drawn = frames.shape[1], []
    for time in times:
        nearest, flow = round(time), torch.from_numpy(flows[int(time)][None].astype(np.float32))
        step = F.interpolate(flow, size=(size, size), mode="bilinear", align_corners=False) * (nearest - time)
        frame = torch.from_numpy(frames[nearest]).permute(2, 0, 1)[None].float()
        drawn.append(warp(frame, step)[0].permute(1, 2, 0).round().byte().numpy())
    return np.stack(drawn)


def _longest(flows: Flows, size: int) -> Walk | None:
    """Returns the best walk around the middle of the clip: long, of a large person, who stays in view for long."""
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

    # Limbs move and flow errs where nobody walks: the walk as a whole has to have a speed.
    walks = [walk for walk in walks if np.hypot(*walk.velocity) > WALKS / 2 * size / TILES]
    return max(walks, key=worth, default=None)


def _followed(walker: Walker, walkers: list[list[Walker]]) -> list[Walker]:
    """Returns a walker in the frames before and after, as long as they are alone. `walkers` are listed by frame."""
    seen = [walker]
    for step in (-1, 1):
        last = walker
        for frame in range(walker.frame + step, len(walkers) if step > 0 else -1, step):
            shift = np.round(last.velocity[::-1] * step).astype(int)
            moved = np.roll(last.mask, tuple(shift), axis=(0, 1))
            common = [((one.mask & moved).sum() / (one.mask | moved).sum(), one) for one in walkers[frame]]
            overlap, last = max(common, key=lambda each: each[0], default=(0.0, last))
            if overlap < SAME:
                break
            seen = [*seen, last] if step > 0 else [last, *seen]
    return seen


def _walkers(frame: int, flow_2hw: Flows, size: int) -> list[Walker]:
    """Returns the upright connected regions of motion that may be one person each."""
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
    """Returns the number of frames until a centroid with this velocity leaves the picture."""
    room = np.where(velocity > 0, size - 1 - middle, middle)
    return float((room / np.maximum(np.abs(velocity), 1e-3)).min())
