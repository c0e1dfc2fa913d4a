"""Stillness: which frames show nothing new, so that what was measured of an earlier one holds for them too."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stmae.scoring.raw import TILES

Images = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.intp]


def difference(frame: Images, other: Images) -> float:
    """Returns by how much two frames [S,S,3] differ: the mean absolute difference in grey levels of the worst tile.

    Noise cancels out in a tile, and a person far away does not.
    """
    tiles = cv2.resize(cv2.absdiff(frame, other), (TILES, TILES), interpolation=cv2.INTER_AREA)
    return float(tiles.astype(np.float32).mean(axis=2).max())


def holders(frames: Images, window: int, noise: float) -> Integers:
    """Returns [T-window], for each frame from `window` on, the index of the frame whose measurements hold for it.

    `frames` are uint8 [T,S,S,3], indices are counted from `window`. What is measured of a frame depends on it and on
    the `window` frames before it. A frame whose window looks like an earlier one, all of whose own window does too, is
    held by that one; the others hold themselves. Frames look alike if they differ by no more than `noise`.
    """
    result = np.arange(len(frames) - window)
    if noise <= 0:
        return result
    holder: int | None = None
    alike: list[bool] = []
    for index in result.tolist():
        last = index + window
        if holder is not None:
            alike.append(difference(frames[last], frames[holder + window]) <= noise)
            if all(alike[-window - 1 :]):
                result[index] = holder
                continue
        seen = [difference(frames[each], frames[last]) <= noise for each in range(index, last)]
        if all(seen):
            holder, alike = index, [*seen, True]
    return result


def runs(holders_N: Integers, window: int) -> list[slice]:
    """Returns the runs of frames that hold themselves, with what lies between two where that is `window` or less.

    Each run is measured for itself, and needs the `window` frames before it.
    """
    asked = np.flatnonzero(holders_N == np.arange(len(holders_N)))
    breaks = np.flatnonzero(np.diff(asked) > window + 1) + 1
    return [slice(int(part[0]), int(part[-1]) + 1) for part in np.split(asked, breaks) if len(part)]
