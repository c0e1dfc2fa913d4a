"""The stitched stream of a camera: frames of consecutive recordings in, segments for the server out.

Contiguous recordings are one run: no frame is lost at their seams, and no detector starts anew. A gap ends a run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving.segments import Images

GAP_SECONDS = 2.0
"""A longer time between two frames ends a run: names of recordings tell whole seconds."""
SEAM_SECONDS = 1.0
"""By so much may a recording begin before the end of the one before it: names cut off fractions of a second."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A sampled frame in the stream."""

    source: str
    """URI."""
    frame: int
    """Its number among the decoded frames of its source, from 0."""
    time_s: float
    """Seconds since the start of its source."""
    at: float
    """Seconds on the camera's timeline: since 1970, or of a source without a time since its start."""


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """The frames of a request: CLIP_FRAMES that are seen only, and those that get a score."""

    run: int
    """Number of its run in the stream."""
    scored: tuple[Sample, ...]
    images: Images
    """[CLIP_FRAMES + scored,S,S,3]."""


class Segmenter:
    """Cuts a stream into segments of at most `length` frames.

    They begin at fixed points of the timeline, every `length` - CLIP_FRAMES samples, so that equal frames are cut in
    the same way whatever came before them. The first CLIP_FRAMES frames of a run get no score.
    """

    def __init__(self, length: int, fps: float) -> None:
        self.run = 0
        """Number of the run that the last frame belongs to."""
        self.last: Sample | None = None
        """The last frame of the stream."""
        self._new, self._fps = length - CLIP_FRAMES, fps
        self._seen: list[Images] = []
        self._held: list[tuple[Sample, Images]] = []

    def fork(self) -> Segmenter:
        """Returns a segmenter that goes on from here by itself."""
        other = Segmenter(self._new + CLIP_FRAMES, self._fps)
        other.run, other.last, other._seen, other._held = self.run, self.last, list(self._seen), list(self._held)
        return other

    def push(self, sample: Sample, image: Images) -> Iterator[Segment]:
        """Takes a frame; yields the segment that ends before it, if one does."""
        gap = self.last is not None and sample.at - self.last.at > GAP_SECONDS
        if (self.last is not None and (gap or self._block(sample) != self._block(self.last))) or len(
            self._held
        ) == self._new:
            yield from self.flush()
        if gap:
            self.run, self._seen = self.run + 1, []
        self.last = sample
        if len(self._seen) < CLIP_FRAMES:
            self._seen.append(image)
        else:
            self._held.append((sample, image))

    def flush(self) -> Iterator[Segment]:
        """Yields the segment of the frames that are held, if there are any."""
        if self._held:
            images = [*self._seen, *(image for _, image in self._held)]
            yield Segment(self.run, tuple(sample for sample, _ in self._held), np.stack(images))
            self._seen, self._held = images[-CLIP_FRAMES:], []

    def _block(self, sample: Sample) -> int:
        return int((sample.at * self._fps + 0.5) // self._new)  # between two samples: no rounding error matters
