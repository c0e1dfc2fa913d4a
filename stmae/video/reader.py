"""Frames from videos and image folders, strictly forward, at a fixed rate by time, with an account of what was lost.

Seeking and reported counts are unreliable, so everything is read once from start to end, and what was decoded is
compared with what the source holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import cv2
import numpy as np
import numpy.typing as npt

from stmae.video.health import DecodeHealth, Status
from stmae.video.images import Image, image_files, read_image, resize, width_x_height
from stmae.video.limits import Limits
from stmae.video.sampling import Sampler
from stmae.video.stretches import Stretches

VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("mp4", "m4v", "mov", "qt", "3gp", "3g2", "f4v", "flv", "avi", "mkv", "webm", "ogv", "wmv", "asf"),
        *("ts", "mts", "m2ts", "m2t", "mpg", "mpeg", "vob", "dav", "ivf", "obu"),
        *("h264", "264", "h265", "265", "hevc", "mjpeg", "mjpg"),
    )
)
FOLDER_FPS = 10.0
"""Frame rate of an image folder whose dataset states none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame."""

    index: int
    """Its number among all decoded frames of the source, from 0."""
    time_s: float
    """Seconds since the start of the source, strictly increasing."""
    image: Image
    """[H, W, 3] RGB."""


class Selection(TypedDict, total=False):
    """Which frames of a source are given: all where nothing is said."""

    fps: float | None
    """Samples at this rate by time, as Sampler takes them with the next two."""
    start_s: float
    after: int | None
    only: Sequence[int] | None
    """Frames of these numbers alone; reading ends with the last of them, and `health` stays unknown."""


class FrameSource:
    """The frames of a video file, or of an image folder in natural order.

    `size` resizes each frame to size x size. With `stretches` only their frames are given, those that would be given of
    the whole source, and little else is decoded. Iterating never raises for bad content: it ends, and `health` says
    why. Iterating again starts over. Raises FileNotFoundError where `path` does not exist.
    """

    def __init__(
        self,
        path: Path,
        size: int | None = None,
        *,
        folder_fps: float = FOLDER_FPS,
        limits: Limits | None = None,
        stretches: Stretches | None = None,
        **selection: Unpack[Selection],
    ) -> None:
        self.path = Path(path)
        self.size = size
        self.shape: tuple[int, int] | None = None
        """Height and width of the first frame before it is resized; known once it was read."""
        self._selection = selection
        self._folder_fps, self._limits, self._stretches = folder_fps, limits, stretches
        self._health: DecodeHealth | None = None
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such video or frame folder")

    @property
    def health(self) -> DecodeHealth:
        """Returns the account of the last complete iteration. Raises RuntimeError before there was one."""
        if self._health is None:
            raise RuntimeError(f"{self.path}: health is known once all frames were read")
        return self._health

    def __iter__(self) -> Iterator[Frame]:
        self._health, self.shape = None, None
        return self._images() if self.path.is_dir() else self._video()

    def _frame(self, index: int, time_s: float, rgb: npt.NDArray[np.uint8]) -> Frame:
        self.shape = self.shape or (rgb.shape[0], rgb.shape[1])
        return Frame(index, time_s, rgb if self.size is None else resize(rgb, self.size))

    def _video(self) -> Iterator[Frame]:
        from stmae.video.decode import VideoFile, upright  # a machine that trains on frame folders may lack PyAV

        groups = self._stretches.groups if self._stretches else None
        video, takes = VideoFile(self.path, self._limits, groups), self._takes()
        last = max(self._selection.get("only") or (), default=None)
        for index, (time_s, frame) in enumerate(video):
            if takes(index, time_s) and frame is not None:
                yield self._frame(index, time_s, upright(frame))
            if index == last:
                return
        self._health = video.health

    def _images(self) -> Iterator[Frame]:
        files, takes = image_files(self.path), self._takes()
        decoded, shape = 0, None
        status: Status = "scored" if files else "empty"
        reason = None if files else "the folder holds no images"
        for file in files:
            time_s = decoded / self._folder_fps
            taken = takes(decoded, time_s)
            if self._stretches and not taken:
                decoded += 1
                continue
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
            if taken:
                yield self._frame(decoded, time_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))
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

    def _takes(self) -> Callable[[int, float], bool]:
        """Returns what says whether the frame of a number and a time is selected."""
        samples, stretches = self._samples(), self._stretches
        if stretches is None:
            return samples
        return lambda index, time_s: samples(index, time_s) and stretches.number(time_s) is not None

    def _samples(self) -> Callable[[int, float], bool]:
        chosen, only = self._selection, self._selection.get("only")
        if only is not None:
            wanted = frozenset(only)
            return lambda index, time_s: index in wanted
        fps = chosen.get("fps")
        if fps is None:
            return lambda index, time_s: True
        sampler = Sampler(fps, chosen.get("start_s", 0.0), chosen.get("after"))
        return lambda index, time_s: sampler.takes(time_s)
