"""Writing videos."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2

from stmae.storage.atomic import atomic_path
from stmae.video.images import Image, width_x_height


def write_video(path: Path, frames: Iterable[Image], fps: float, fourcc: str = "mp4v") -> int:
    """Encodes RGB frames [H, W, 3] uint8 to `path` (container by suffix), atomically; returns their number.

    Raises ValueError for no frames or frames of mixed sizes, OSError where the video cannot be written.
    """
    with atomic_path(path) as aside:
        count, shape, writer = 0, None, None
        try:
            for frame in frames:
                if writer is None or shape is None:
                    shape = frame.shape
                    code = cv2.VideoWriter.fourcc(*fourcc)
                    writer = cv2.VideoWriter(str(aside), cv2.CAP_FFMPEG, code, fps, (shape[1], shape[0]))
                    if not writer.isOpened():
                        raise OSError(f"{path}: OpenCV cannot write {fourcc!r} video there")
                if frame.shape != shape:
                    raise ValueError(
                        f"{path}: frame {count} is {width_x_height(frame.shape)}, the first is {width_x_height(shape)}"
                    )
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
                count += 1
        finally:
            if writer is not None:
                writer.release()
        if count == 0:
            raise ValueError(f"{path}: no frames to write")
    return count
