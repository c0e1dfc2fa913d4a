"""The connection to one Triton server: what it serves, requests for scores, and errors that a caller can act on."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import tritonclient.grpc as triton

from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.serving import tensors
from stmae.serving.segments import Images
from stmae.serving.shared_frames import Region, SharedFrames
from stmae.serving.tls import Tls, trouble

Cause = Literal["unavailable", "busy", "missing", "deadline", "bad input", "server"]

DESCRIBE_SECONDS = 10.0
CHANNEL = [
    ("grpc.max_send_message_length", triton.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.max_receive_message_length", triton.MAX_GRPC_MESSAGE_SIZE),
    # A server that starts anew is found within a second, not after the minutes to which gRPC's own pauses grow; and
    # not by what other connections of the process found before.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
]


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
    fixed_frames: int
    """T of every request, where the server computes no other; 0 where T is free."""
    stmae_version: str


class Connection:
    """Asks the deployment of the server at `url` (host:port, gRPC). It carries concurrent requests.

    Raises TlsError for files of `tls` that are none.
    """

    def __init__(self, url: str, deployment: str, tls: Tls | None) -> None:
        self.url, self.deployment = url, deployment
        self.rests_until = 0.0
        """Until then (time.monotonic) another server is asked, if there is one."""
        self._tls = tls
        self._server = triton.InferenceServerClient(url, channel_args=CHANNEL, **(tls.options() if tls else {}))
        self._shared = SharedFrames(self._server, url)
        # All outputs, always: asking an ensemble for a subset can deadlock its scheduler.
        self._outputs = [triton.InferRequestedOutput(output.name) for output in tensors.ENSEMBLE.outputs]

    def close(self) -> None:
        self._shared.close()
        self._server.close()

    def describe(self) -> Deployment:
        """Asks the server for the deployment as it is now. Raises ServingError."""
        try:
            answer = self._server.get_model_config(self.deployment, as_json=True, client_timeout=DESCRIBE_SECONDS)
            given = {key: value["string_value"] for key, value in answer["config"]["parameters"].items()}
            return Deployment(
                name=self.deployment,
                digest=given["digest"],
                version=given.get("version", ""),
                size=int(given["size"]),
                segment_frames=int(given["segment_frames"]),
                fixed_frames=int(given.get("fixed_frames", "0")),
                stmae_version=given["stmae_version"],
            )
        except triton.InferenceServerException as error:
            raise self.explain(error, DESCRIBE_SECONDS) from None
        except KeyError as error:
            raise ServingError(
                "missing",
                f"{self.url}: model {self.deployment!r} is not a deployment (its config lacks {error}); "
                "give the ensemble's name",
            ) from None

    def send(self, frames: Images, seconds: float, headers: Mapping[str, str]) -> Request:
        """Sends a segment [T,S,S,3], which is to be answered within `seconds`. Raises ServingError."""
        self._check(frames)
        tensor = triton.InferInput(tensors.FRAMES.name, list(frames.shape), "UINT8")
        region = self._shared.lend(frames)
        if region is None:
            tensor.set_data_from_numpy(np.ascontiguousarray(frames))
        else:
            tensor.set_shared_memory(region.name, frames.nbytes)
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
                client_timeout=seconds,
                headers=dict(headers),
            )
        except triton.InferenceServerException as error:
            raise self.explain(error, seconds) from None
        return Request(self, len(frames), seconds, answer, call.cancel, region)

    def cancel(self, request: Request) -> None:
        """Gives up a request under way."""
        request.cancel()
        self._shared.forget()  # the server may still read what it was lent

    def receive(self, request: Request) -> RawScores:
        """Waits for the answer to a request. Raises ServingError."""
        try:
            result = request.answer.result()
        except triton.InferenceServerException as error:
            # The server may still read what it was lent, or be another one that knows of no region.
            self._shared.forget()
            raise self.explain(error, request.seconds) from None
        self._shared.take_back(request.region)
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

    def explain(self, error: triton.InferenceServerException, seconds: float) -> ServingError:
        """Returns an error of gRPC or Triton as one that a caller can act on."""
        status, message = str(error.status() or ""), str(error.message() or error)
        cause, told = next(
            (cause, told)
            for ending, fragment, cause, told in _TROUBLES
            if status.endswith(ending) and fragment in message.lower()
        )
        if status.endswith("UNAVAILABLE") and cause == "unavailable" and (wrong := trouble(self.url, self._tls)):
            told = f": {wrong} ({{message}})"
        told = told.format(message=message, seconds=f"{seconds:g}")
        return ServingError(cause, f"{self.url}: model {self.deployment!r}{told}")


UNLOADED = "has no available versions"
"""What Triton says of a model that was served and is not any more, and of one that it failed to load."""
_UNKNOWN = " is not served there ({message}); check the name, or publish it to that repository"
_TROUBLES: tuple[tuple[str, str, Cause, str], ...] = (
    ("", "exceeds maximum queue size", "busy", " has as many requests waiting as it takes; let fewer clients ask"),
    ("", "timeout expired", "busy", " kept it waiting for too long; let fewer clients ask"),
    ("", "shared memory region", "unavailable", ": it does not know what it was lent, since it started anew"),
    # A server that ends unloads its deployments first: another may have them, or it itself when it is started anew.
    ("", UNLOADED, "unavailable", ": it is not loaded any more, the server may be ending ({message}); ask again"),
    # Triton also says "unavailable" for a model that it never had: the server is there, the model isn't.
    ("", "unknown model", "missing", _UNKNOWN),
    ("NOT_FOUND", "", "missing", _UNKNOWN),
    (
        "UNAVAILABLE",
        "",
        "unavailable",
        ": no Triton answers ({message}); start one with `make serve`, or check the address",
    ),
    # Triton never restarts a process that died, while readiness stays true.
    (
        "",
        "is not healthy",
        "unavailable",
        ": a process of the model has died ({message}); start Triton anew, then run again",
    ),
    (
        "DEADLINE_EXCEEDED",
        "",
        "deadline",
        ": no answer within {seconds} s; raise it (`stmae score --deadline`), "
        "or publish with a smaller serve.segment_frames",
    ),
    (
        "INVALID_ARGUMENT",
        "unexpected shape",
        "bad input",
        " refuses the request: {message}; resize frames to the size that `describe` tells",
    ),
    ("INVALID_ARGUMENT", "", "bad input", " refuses the request: {message}"),
    ("", "", "server", " failed: {message}; see the server's log"),
)
"""What gRPC's status ends with and the message holds, the cause, and what is told after the model's name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request under way."""

    connection: Connection
    frames: int
    seconds: float
    answer: concurrent.futures.Future[Any]
    cancel: Callable[[], Any]
    region: Region | None
