"""Frames from videos and image folders, strictly forward, with an account of what could not be read.

Seeking and reported counts are unreliable, a missing decoder gives no frames and no error, and a damaged stream looks
like its end. So everything is read once from start to end, and what was decoded is compared with what the container
reports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stmae.video.health import DecodeHealth, Status, video_health
from stmae.video.images import Image, image_files, read_image, resize, width_x_height

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mpg", ".mpeg", ".flv", ".wmv"})
FOLDER_FPS = 10.0
"""Frame rate of an image folder whose dataset states none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame."""

    index: int
    """From 0."""
    time_s: float
    """Container time, strictly increasing."""
    image: Image
    """[H, W, 3] RGB."""


class FrameSource:
    """The frames of a video file, or of an image folder in natural order.

    `size` resizes each frame to size x size. Iterating never raises for bad content: it ends, and `health` says why.
    Iterating again starts over. Raises FileNotFoundError where `path` does not exist.
    """

    def __init__(self, path: Path, size: int | None = None, *, folder_fps: float = FOLDER_FPS) -> None:
        self.path = Path(path)
        self.size = size
        self._folder_fps = folder_fps
        self._health: DecodeHealth | None = None
        self.fps = folder_fps
        """Frames a second; of a video, known from its first frame on."""
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such video or frame folder")

    @property
    def health(self) -> DecodeHealth:
        """Returns the account of the last complete iteration. Raises RuntimeError before there was one."""
        if self._health is None:
            raise RuntimeError(f"{self.path}: health is known once all frames were read")
        return self._health

    def __iter__(self) -> Iterator[Frame]:
        self._health = None
        return self._images() if self.path.is_dir() else self._video()

    def _frame(self, index: int, time_s: float, bgr: npt.NDArray[Any]) -> Frame:
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
        return Frame(index, time_s, image if self.size is None else resize(image, self.size))

    def _video(self) -> Iterator[Frame]:
        # The FFmpeg backend by name: another would take 01.mp4 for the first of a numbered series of images.
        # One decoder thread: where a stream is damaged, the frames that survive must be the same each time.
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        try:
            reported = round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else None
            fps = _valid_fps(capture.get(cv2.CAP_PROP_FPS), self._folder_fps)
            self.fps = fps
            decoded, time_s, shape, mismatch = 0, -1.0 / fps, None, None
            while True:
                ok, bgr = capture.read()
                if not ok:
                    break
                shape = shape or bgr.shape
                if bgr.shape != shape:
                    sizes = width_x_height(bgr.shape), width_x_height(shape)
                    mismatch = f"frame {decoded} is {sizes[0]}, the frames before are {sizes[1]}"
                    break
                # After read() the position is that of the frame just read; some streams repeat or reset it.
                position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                time_s = position if position > time_s else time_s + 1 / fps
                yield self._frame(decoded, time_s, bgr)
                decoded += 1
        finally:
            capture.release()
        self._health = video_health(self.path, reported, decoded, fps, time_s + 1 / fps, mismatch)

    def _images(self) -> Iterator[Frame]:
        files = image_files(self.path)
        decoded, shape = 0, None
        status: Status = "scored" if files else "empty"
        reason = None if files else "the folder holds no images"
        for file in files:
            bgr = read_image(file, cv2.IMREAD_COLOR)
            if bgr is None:
                status = "truncated" if decoded else "undecodable"
                reason = f"{file.name} is not a readable image ({decoded} of {len(files)} frames came before it)"
                break
            shape = shape or bgr.shape
            if bgr.shape != shape:
                status = "undecodable"
                sizes = width_x_height(bgr.shape), width_x_height(shape)
                reason = f"mixed frame sizes: {file.name} is {sizes[0]}, {files[0].name} is {sizes[1]}"
                break
            yield self._frame(decoded, decoded / self._folder_fps, bgr)
            decoded += 1
        self._health = DecodeHealth(
            status=status,
            reason=reason,
            frames_reported=len(files),
            frames_decoded=decoded,
            seconds_reported=len(files) / self._folder_fps,
            seconds_decoded=decoded / self._folder_fps,
            fps=self._folder_fps,
        )


def _valid_fps(fps: float, otherwise: float) -> float:
    return float(fps) if 0 < fps <= 1000 else otherwise
