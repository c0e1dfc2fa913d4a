"""Cuts a stream of frames into segments of bounded size, where `scoring.raw.segments` cuts a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from stmae.scoring.raw import CLIP_FRAMES

Images = npt.NDArray[np.uint8]


def cut(frames: Iterable[Images], length: int) -> Iterator[Images]:
    """Yields segments [T,S,S,3], 5 <= T <= `length`, of a stream of frames uint8 [S,S,3]; they overlap by 4 frames.

    Every frame from the fifth on is predicted in exactly one segment, in order; fewer than 5 frames give none. One
    segment is held at a time. Raises ValueError for a length below 5.
    """
    if length <= CLIP_FRAMES:
        raise ValueError(f"segment length {length}: must be at least {CLIP_FRAMES + 1}")
    held: list[Images] = []
    for frame in frames:
        held.append(frame)
        if len(held) == length:
            yield np.stack(held)
            held = held[-CLIP_FRAMES:]
    if len(held) > CLIP_FRAMES:
        yield np.stack(held)
