"""Frames from videos and frame folders, strictly forward, with an account of what could not be read.

Seeking and reported counts are unreliable, a missing decoder gives no frames and no error, and a damaged
stream looks like its end: so everything is read once from the start to the end, and what was decoded is
compared with what the container reports.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# FFmpeg and OpenCV print each broken packet; DecodeHealth says it once. Both are read by cv2.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

from stmae.video.container import diagnose, least_frames

# Frames are small and each worker reads its own source: OpenCV's thread pool would only compete with them.
cv2.setNumThreads(0)

Image = npt.NDArray[np.uint8]
Status = Literal["scored", "truncated", "undecodable", "empty"]

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mpg", ".mpeg", ".flv", ".wmv"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
FOLDER_FPS = 10.0
"""Frame rate of a frame folder whose dataset names none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    index: int
    """From 0."""
    time_s: float
    """Container time, strictly increasing."""
    image: Image
    """[H, W, 3] RGB."""


@dataclasses.dataclass(frozen=True, slots=True)
class DecodeHealth:
    """What a source promised and what it gave. `scored` means: decoded completely."""

    status: Status
    reason: str | None
    """Why, where the status is not `scored`."""
    frames_reported: int | None
    """None where the container could not be opened."""
    frames_decoded: int
    seconds_reported: float | None
    seconds_decoded: float
    """End of the last decoded frame."""
    fps: float


class FrameSource:
    """The frames of a video file or of a folder of images (natural order), in order.

    `size` resizes each frame to size x size. Iterating never raises for bad content: it ends, and `health`
    tells why. Raises FileNotFoundError where `path` does not exist. Iterating again starts over.
    """

    def __init__(self, path: Path, size: int | None = None, *, folder_fps: float = FOLDER_FPS) -> None:
        self.path = Path(path)
        self.size = size
        self._folder_fps = folder_fps
        self._health: DecodeHealth | None = None
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such video or frame folder")

    @property
    def health(self) -> DecodeHealth:
        """The account of the last complete iteration."""
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
            decoded, time_s, shape, problem = 0, -1.0 / fps, None, None
            while True:
                ok, bgr = capture.read()
                if not ok:
                    break
                shape = shape or bgr.shape
                if bgr.shape != shape:
                    problem = f"frame {decoded} is {_wh(bgr.shape)}, the frames before are {_wh(shape)}"
                    break
                # After read() the position is that of the frame just read; some streams repeat or reset it.
                position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                time_s = position if position > time_s else time_s + 1 / fps
                yield self._frame(decoded, time_s, bgr)
                decoded += 1
        finally:
            capture.release()
        self._health = self._video_health(reported, decoded, fps, time_s + 1 / fps, problem)

    def _video_health(
        self, reported: int | None, decoded: int, fps: float, seconds: float, problem: str | None
    ) -> DecodeHealth:
        status: Status = "scored"
        reported = None if reported is None or reported < 0 else reported
        if problem is not None:
            status = "undecodable"
        elif decoded == 0 and reported:
            status = "undecodable"
            problem = f"none of {reported} reported frames could be decoded: cut, damaged, or without a decoder"
        elif decoded == 0:
            status, problem = diagnose(self.path)
        elif reported is not None and decoded < reported and decoded < least_frames(self.path, reported, fps):
            status = "truncated"
            problem = f"{decoded} of {reported} reported frames could be decoded: the file is cut or damaged"
        return DecodeHealth(
            status=status,
            reason=problem,
            frames_reported=reported,
            frames_decoded=decoded,
            seconds_reported=None if reported is None else reported / fps,
            seconds_decoded=seconds if decoded else 0.0,
            fps=fps,
        )

    def _images(self) -> Iterator[Frame]:
        files = image_files(self.path)
        decoded, shape = 0, None
        status: Status = "scored" if files else "empty"
        problem = None if files else "the folder holds no images"
        for file in files:
            bgr = read_image(file, cv2.IMREAD_COLOR)
            if bgr is None:
                status = "truncated" if decoded else "undecodable"
                problem = f"{file.name} is not a readable image ({decoded} of {len(files)} frames came before it)"
                break
            shape = shape or bgr.shape
            if bgr.shape != shape:
                status = "undecodable"
                problem = f"mixed frame sizes: {file.name} is {_wh(bgr.shape)}, {files[0].name} is {_wh(shape)}"
                break
            yield self._frame(decoded, decoded / self._folder_fps, bgr)
            decoded += 1
        self._health = DecodeHealth(
            status=status,
            reason=problem,
            frames_reported=len(files),
            frames_decoded=decoded,
            seconds_reported=len(files) / self._folder_fps,
            seconds_decoded=decoded / self._folder_fps,
            fps=self._folder_fps,
        )


def resize(image: Image, size: int) -> Image:
    """THE resampling of the project: area averaging, [H, W, 3] or [H, W] uint8 -> [size, size(, 3)]."""
    if image.shape[:2] == (size, size):
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def read_image(path: Path, flags: int) -> Image | None:
    """Decode an image file, [H, W, 3] BGR or [H, W] as `flags` say; None where it is no readable image."""
    data = np.fromfile(path, dtype=np.uint8)
    if data.size == 0:
        return None
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key under which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def image_files(folder: Path) -> list[Path]:
    """Images in `folder`, naturally sorted; hidden files (UCSD's archive has `._001.tif`) are no images."""
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted((file for file in files if file.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)


def write_video(path: Path, frames: Iterable[Image], fps: float, fourcc: str = "mp4v") -> int:
    """Encode RGB frames [H, W, 3] uint8 to `path` (container by suffix), atomically; returns their count.

    Raises ValueError for no frames or frames of mixed sizes, OSError where the video cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        partial = Path(folder) / path.name
        count, shape, writer = 0, None, None
        try:
            for frame in frames:
                if writer is None or shape is None:
                    shape = frame.shape
                    code = cv2.VideoWriter.fourcc(*fourcc)
                    writer = cv2.VideoWriter(str(partial), cv2.CAP_FFMPEG, code, fps, (shape[1], shape[0]))
                    if not writer.isOpened():
                        raise OSError(f"{path}: OpenCV cannot write {fourcc!r} video there")
                if frame.shape != shape:
                    raise ValueError(f"{path}: frame {count} is {_wh(frame.shape)}, the first is {_wh(shape)}")
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
                count += 1
        finally:
            if writer is not None:
                writer.release()
        if count == 0:
            raise ValueError(f"{path}: no frames to write")
        partial.replace(path)
    return count


def _valid_fps(fps: float, otherwise: float) -> float:
    return float(fps) if 0 < fps <= 1000 else otherwise


def _wh(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
