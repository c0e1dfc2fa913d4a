"""gRPC client of a served deployment: segments, arrays and videos in, raw scores out.

A process needs one client: its connections carry concurrent requests.
"""

from __future__ import annotations

import collections
import dataclasses
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.serving import tensors
from stmae.serving.connection import Connection, Deployment, Request, ServingError
from stmae.serving.segments import Images, cut
from stmae.serving.tls import Tls
from stmae.video.health import DecodeHealth
from stmae.video.reader import FrameSource

__all__ = ["Client", "Deployment", "ServingError", "VideoScores"]

IN_FLIGHT = 2
"""Requests of a stream under way at a time: the server computes one while the next is decoded and sent."""
LONGEST = 4
"""Longest segment that is sent, in those of the deployment's segment_frames: the server's memory grows with it."""
REPEATED = ("unavailable", "busy", "deadline")
"""Causes of trouble that may pass. Scores depend on the frames alone, so that a request may be sent again."""
PAUSE_SECONDS = 0.1, 2.0
"""The first pause before a request is sent again, and the longest: each is twice the one before."""


@dataclasses.dataclass(frozen=True, slots=True)
class VideoScores:
    """The raw scores of a video; row i is frame i + 4, the first 4 frames have none."""

    frames: int
    """Frames of the video."""
    raw: RawScores
    health: DecodeHealth | None = None
    """How the video decoded; None for an array."""


class Client:
    """Scores segments with one deployment of the Triton server at `url` (host:port, gRPC). It is for one thread.

    `url` may name several servers, separated by commas, which are asked in turn. What fails because a server is away,
    busy or late is asked again, of the next server, for `patience_seconds` without any answer. `headers` is asked for
    the headers of each request for scores. Raises TlsError for files of `tls` that are none.
    """

    def __init__(
        self,
        url: str,
        deployment: str,
        *,
        deadline_seconds: float = 60.0,
        patience_seconds: float = 0.0,
        tls: Tls | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.url = url
        self.deployment = deployment
        self.deadline_seconds = deadline_seconds
        self.patience_seconds = patience_seconds
        self.repeats = 0
        """Requests that were sent again."""
        self._headers = headers
        self._servers = collections.deque(Connection(each.strip(), deployment, tls) for each in url.split(","))
        self._described: Deployment | None = None
        self._failing_since: float | None = None
        self._failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for server in self._servers:
            server.close()

    def describe(self) -> Deployment:
        """Asks all servers for the deployment as it is now. Raises ServingError, also where they serve different ones.

        A server that is away is left out while another one answers.
        """
        answers: dict[str, Deployment] = {}
        while not answers:
            for server in self._servers:
                try:
                    answers[server.url] = server.describe()
                except ServingError as error:
                    failure, failed = error, server
                    if error.cause not in REPEATED:
                        raise
            if not answers:
                self._pause(failure, failed)
        self._answered()
        (url, self._described), *others = answers.items()
        for other, described in others:
            if described != self._described:
                raise ServingError(
                    "missing",
                    f"{url} and {other} serve different models as {self.deployment!r}: "
                    f"{self._described.digest[:8]} and {described.digest[:8]}; wait until both serve what is promoted",
                )
        return self._described

    def score_segment(self, frames: Images) -> RawScores:
        """Returns the raw scores of frames 4..T-1 of a segment uint8 [T,S,S,3] RGB, T >= 5. Raises ServingError."""
        return next(self.score_stream([frames]))

    def score_stream(self, segments: Iterable[Images]) -> Iterator[RawScores]:
        """Yields the raw scores of segments in their order, with at most IN_FLIGHT requests under way.

        A segment is taken from the iterable only when there is room for its request. Raises ServingError for the
        first segment that fails or takes longer than the deadline; requests under way are then cancelled.
        """
        described = self._described or self.describe()
        under_way: collections.deque[_Asked] = collections.deque()
        try:
            for segment in segments:
                frames = self._fitting(segment, described)
                under_way.append(_Asked(len(segment), frames, self._send(frames)))
                if len(under_way) >= IN_FLIGHT:
                    yield self._receive_first(under_way)
            while under_way:
                yield self._receive_first(under_way)
        finally:
            for asked in under_way:
                asked.request.connection.cancel(asked.request)

    def score_array(self, frames: Images) -> VideoScores:
        """Scores a whole video, uint8 [F,S,S,3] RGB. Raises ServingError."""
        return self._score(iter(frames), None)

    def score_video(self, path: Path) -> VideoScores:
        """Scores a video file or a folder of frames; `health` tells what could not be decoded. Raises ServingError."""
        source = FrameSource(path, (self._described or self.describe()).size)
        return self._score((frame.image for frame in source), lambda: source.health)

    def _score(self, images: Iterable[Images], health: Callable[[], DecodeHealth] | None) -> VideoScores:
        length = (self._described or self.describe()).segment_frames
        count = 0

        def counted() -> Iterator[Images]:
            nonlocal count
            for image in images:
                count += 1
                yield image

        raw = RawScores.join([RawScores.empty(), *self.score_stream(cut(counted(), length))])
        return VideoScores(count, raw, health() if health else None)

    def _fitting(self, segment: Images, described: Deployment) -> Images:
        """Returns what is sent for a segment: its last frame is repeated where the server takes one length only.

        No score depends on what comes after its frame. Raises ServingError for a segment that is too long.
        """
        longest = described.fixed_frames or LONGEST * described.segment_frames
        if len(segment) > longest:
            raise ServingError(
                "bad input",
                f"{tensors.FRAMES.name} for model {self.deployment!r}: {len(segment)} frames; a segment has at most "
                f"{longest} here: cut it, as `score_array` does",
            )
        missing = described.fixed_frames - len(segment)
        return segment if missing <= 0 else np.concatenate([segment, np.repeat(segment[-1:], missing, axis=0)])

    def _send(self, frames: Images) -> Request:
        now = time.monotonic()
        rested = (server for server in self._servers if server.rests_until <= now)
        server = next(rested, None) or min(self._servers, key=lambda each: each.rests_until)
        self._servers.remove(server)
        self._servers.append(server)
        return server.send(frames, self.deadline_seconds, self._headers())

    def _receive_first(self, under_way: collections.deque[_Asked]) -> RawScores:
        scores = self._receive(under_way[0])
        under_way.popleft()  # only now: what is raised leaves it under way, to be given up with the others
        return scores

    def _receive(self, asked: _Asked) -> RawScores:
        while True:
            server = asked.request.connection
            try:
                scores = server.receive(asked.request)
            except ServingError as error:
                self._pause(error, server)
                asked.request = self._send(asked.frames)
            else:
                self._answered()
                return scores[: asked.length - CLIP_FRAMES]

    def _answered(self) -> None:
        self._failing_since, self._failures = None, 0

    def _pause(self, error: ServingError, server: Connection) -> None:
        """Waits before a request is sent again. Raises the error where that is of no use, or patience is at its end."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        left = self._failing_since + self.patience_seconds - now
        if error.cause not in REPEATED or left <= 0:
            raise error
        self.repeats += 1
        shortest, longest = PAUSE_SECONDS
        # By chance, so that clients that were refused together do not come back together.
        seconds = min(left, random.uniform(0.5, 1.0) * min(shortest * 2.0**self._failures, longest))
        self._failures += 1
        server.rests_until = now + seconds
        if all(each.rests_until > now for each in self._servers):
            time.sleep(seconds)


@dataclasses.dataclass(slots=True)
class _Asked:
    """A segment, and the request for its scores that is under way."""

    length: int
    """Frames of the segment."""
    frames: Images
    """What is sent: the segment, and more where the server takes segments of one length only."""
    request: Request
