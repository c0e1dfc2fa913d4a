"""gRPC client of a served deployment: segments, arrays and videos in, raw scores out.

A process needs one client: its connection carries concurrent requests.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import tritonclient.grpc as triton

from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.serving import tensors
from stmae.serving.segments import Images, cut
from stmae.serving.tls import Tls, trouble
from stmae.video.health import DecodeHealth
from stmae.video.reader import FrameSource

Cause = Literal["unavailable", "missing", "deadline", "bad input", "server"]

DESCRIBE_SECONDS = 10.0
IN_FLIGHT = 2
"""Requests of a stream under way at a time: the server computes one while the next is decoded and sent."""


class ServingError(RuntimeError):
    """A request that got no scores; `cause` is for programs, the message names the url, the model and the mend."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A deployment as the server describes it."""

    name: str
    digest: str
    """SHA-256 (hex) of the four models and of the configuration's section `model`."""
    version: str
    """Its name in the models store; `unbuilt`, or empty, where the repository was not installed from one."""
    size: int
    """Height and width of FRAMES, pixels."""
    segment_frames: int
    """T of the requests that the deployment is configured for."""
    stmae_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class VideoScores:
    """The raw scores of a video; row i is frame i + 4, the first 4 frames have none."""

    frames: int
    """Frames of the video."""
    raw: RawScores
    health: DecodeHealth | None = None
    """How the video decoded; None for an array."""


class Client:
    """Scores segments with one deployment of the Triton server at `url` (host:port, gRPC).

    `headers` is asked for the headers of each request for scores. Raises TlsError for files of `tls` that are none.
    """

    def __init__(
        self,
        url: str,
        deployment: str,
        *,
        deadline_seconds: float = 60.0,
        tls: Tls | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.url = url
        self.deployment = deployment
        self.deadline_seconds = deadline_seconds
        self._tls, self._headers = tls, headers
        # Without channel_args of our own the client keeps its 2 GiB message limit.
        self._server = triton.InferenceServerClient(url, **(tls.options() if tls else {}))
        # All outputs, always: asking an ensemble for a subset can deadlock its scheduler.
        self._outputs = [triton.InferRequestedOutput(output.name) for output in tensors.ENSEMBLE.outputs]
        self._described: Deployment | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.close()

    def describe(self) -> Deployment:
        """Asks the server for the deployment as it is now. Raises ServingError."""
        try:
            answer = self._server.get_model_config(self.deployment, as_json=True, client_timeout=DESCRIBE_SECONDS)
            given = {key: value["string_value"] for key, value in answer["config"]["parameters"].items()}
            self._described = Deployment(
                name=self.deployment,
                digest=given["digest"],
                version=given.get("version", ""),
                size=int(given["size"]),
                segment_frames=int(given["segment_frames"]),
                stmae_version=given["stmae_version"],
            )
        except triton.InferenceServerException as error:
            raise self._explain(error) from None
        except KeyError as error:
            raise ServingError(
                "missing",
                f"{self.url}: model {self.deployment!r} is not a deployment (its config lacks {error}); "
                "give the ensemble's name",
            ) from None
        return self._described

    def score_segment(self, frames: Images) -> RawScores:
        """Returns the raw scores of frames 4..T-1 of a segment uint8 [T,S,S,3] RGB, T >= 5. Raises ServingError."""
        return next(self.score_stream([frames]))

    def score_stream(self, segments: Iterable[Images]) -> Iterator[RawScores]:
        """Yields the raw scores of segments in their order, with at most IN_FLIGHT requests under way.

        A segment is taken from the iterable only when there is room for its request. Raises ServingError for the
        first segment that fails or takes longer than the deadline; requests under way are then cancelled.
        """
        under_way: collections.deque[_Request] = collections.deque()
        try:
            for segment in segments:
                under_way.append(self._send(segment))
                if len(under_way) >= IN_FLIGHT:
                    yield self._receive(under_way.popleft())
            while under_way:
                yield self._receive(under_way.popleft())
        finally:
            for request in under_way:
                request.cancel()

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

    def _send(self, frames: Images) -> _Request:
        self._check(frames)
        tensor = triton.InferInput(tensors.FRAMES.name, list(frames.shape), "UINT8")
        tensor.set_data_from_numpy(np.ascontiguousarray(frames))
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def done(result: Any, error: Exception | None) -> None:
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        try:
            call = self._server.async_infer(
                self.deployment,
                [tensor],
                done,
                outputs=self._outputs,
                client_timeout=self.deadline_seconds,
                headers=dict(self._headers()),
            )
        except triton.InferenceServerException as error:
            raise self._explain(error) from None
        return _Request(len(frames), answer, call.cancel)

    def _receive(self, request: _Request) -> RawScores:
        try:
            result = request.answer.result()
        except triton.InferenceServerException as error:
            raise self._explain(error) from None
        arrays = {output.name.lower(): result.as_numpy(output.name) for output in tensors.ENSEMBLE.outputs}
        answered = [array.shape for array in arrays.values()]
        expected = [(request.frames - CLIP_FRAMES, *output.dims[1:]) for output in tensors.ENSEMBLE.outputs]
        if answered != expected:
            raise ServingError(
                "server",
                f"{self.url}: model {self.deployment!r} answered shapes {answered} "
                f"to {request.frames} frames, not {expected}; publish the deployment again",
            )
        return RawScores(**arrays)

    def _check(self, frames: Images) -> None:
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            problem = f"{frames.dtype} {list(frames.shape)}; give RGB frames as uint8 [T,S,S,3]"
        elif len(frames) < tensors.MIN_SEGMENT:
            problem = (
                f"{len(frames)} frames; a segment has at least {tensors.MIN_SEGMENT}, the fifth is the first scored"
            )
        else:
            return
        raise ServingError("bad input", f"{tensors.FRAMES.name} for model {self.deployment!r}: {problem}")

    def _explain(self, error: triton.InferenceServerException) -> ServingError:
        """Sorts the errors of gRPC and Triton into causes that a caller can act on."""
        status, message = str(error.status() or ""), str(error.message() or "")
        where = f"{self.url}: model {self.deployment!r}"
        # Triton also says "unavailable" for a model that it failed to load: the server is there, the model isn't.
        if "unknown model" in message.lower() or status.endswith("NOT_FOUND"):
            return ServingError(
                "missing",
                f"{where} is not served there ({message}); check the name, or publish it to that repository",
            )
        if status.endswith("UNAVAILABLE"):
            mend = "start one with `make serve`, or check the address"
            wrong = trouble(self.url, self._tls)
            told = f"{wrong} ({message})" if wrong else f"no Triton answers ({message}); {mend}"
            return ServingError("unavailable", f"{where}: {told}")
        if "is not healthy" in message:  # a process that dies is never restarted, while readiness stays true
            return ServingError(
                "unavailable",
                f"{where}: a process of the model has died ({message}); start Triton anew, then run again",
            )
        if status.endswith("DEADLINE_EXCEEDED"):
            return ServingError(
                "deadline",
                f"{where}: no answer within {self.deadline_seconds:g} s; raise it (`stmae score --deadline`), "
                "or publish with a smaller serve.segment_frames",
            )
        if status.endswith("INVALID_ARGUMENT"):
            return ServingError("bad input", f"{where} refuses the request: {message}")
        return ServingError("server", f"{where} failed: {message or error}; see the server's log")


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    """A request under way."""

    frames: int
    answer: concurrent.futures.Future[Any]
    cancel: Callable[[], Any]
