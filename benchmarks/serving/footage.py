"""Footage to measure with: frames of normal clips, and the recordings that are made of them."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import av
import cv2
import numpy as np

from stmae.config import Config, DataConfig
from stmae.datasets.readers import read_footage
from stmae.serving.segments import Images
from stmae.video.images import Image, resize
from stmae.video.reader import FrameSource
from stmae.video.writer import write_video

WALKWAY = {"train_clips": 2, "test_clips": 1, "frames": 60}
"""What is filmed where there is no real footage."""
HIGH = 1080, 1920
HIGH_FPS = 25
HIGH_BITS = 4_000_000
"""Bits a second of the recording in 1080p, a usual setting of recorders."""


@dataclasses.dataclass(frozen=True, slots=True)
class Footage:
    """Consecutive frames of one camera."""

    source: str
    """The data set."""
    images: list[Image]
    """As they were recorded."""
    fps: float

    @classmethod
    def of(cls, config: Config, data_root: Path | None, folder: Path, count: int) -> Footage:
        """Returns `count` frames of the training clips below `data_root`, again from the first where there are fewer.

        Without a `data_root` a synthetic scene is filmed into `folder`. Raises DatasetError.
        """
        if data_root is None:
            config = dataclasses.replace(config, data=DataConfig(reader="walkway"), walkway=WALKWAY)
        _, clips = read_footage(config, data_root or folder / "walkway")
        sources = (FrameSource(clip.path, folder_fps=clip.folder_fps) for clip in clips if clip.split == "train")
        images = [frame.image for frame in itertools.islice(itertools.chain.from_iterable(sources), count)]
        repeated = list(itertools.islice(itertools.cycle(images), count))
        return cls(config.data.reader, repeated, config.data.fps)

    def frames(self, size: int) -> Images:
        """Returns the frames as they are served, uint8 [F,size,size,3]."""
        return np.stack([resize(image, size) for image in self.images])

    def write_film(self, path: Path, count: int) -> None:
        """Writes a recording of `count` frames at the rate that is scored: again from the first once all were shown."""
        write_video(path, itertools.islice(itertools.cycle(self.images), count), self.fps)

    def write_1080p(self, path: Path, count: int) -> None:
        """Writes a recording of `count` frames in 1080p H.264."""
        height, width = HIGH
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=HIGH_FPS, options={"preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", HIGH_BITS
            for image in itertools.islice(itertools.cycle(self.images), count):
                large = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(large.astype(np.uint8), format="rgb24")))
            output.mux(stream.encode(None))
