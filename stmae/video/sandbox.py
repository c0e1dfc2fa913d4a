"""Decoding in a process of its own, with limits: footage that nobody vouches for can neither crash nor fill its reader.

The process is asked for one file after another by lines of JSON on its standard input, and answers with messages of a
kind (one byte), a length and a body: frames, and at the end of each file its health. When it dies, or says nothing for
too long, that is the file's health, and the next file gets a new process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, Unpack

import cv2
import numpy as np

from stmae.video.health import ASSUMED_FPS, DecodeHealth, closed
from stmae.video.images import Image
from stmae.video.limits import Limits
from stmae.video.reader import Frame, FrameSource, Selection

ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_", "TZ", "TMPDIR", "LD_", "PYTHON", "VIRTUAL_ENV", "OMP_", "MALLOC_")
"""What the process finds of this one's environment, by the beginnings of names: no credentials."""
_MESSAGE = struct.Struct("<cI")
_FRAME = struct.Struct("<qdII")


class Sandbox:
    """A decoder process, which is started when it is first needed. One thread at a time reads from it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._answering, self._waited = False, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Returns the id of the process, None where there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Ends the process."""
        process, self._process, self._answering = self._process, None, False
        if process is not None:
            process.kill()
            process.communicate()

    def read(self, path: Path, size: int | None = None, **selection: Unpack[Selection]) -> SandboxedSource:
        """Returns a source that gives what a FrameSource with these arguments gives."""
        return SandboxedSource(self, path, size, selection)

    def ask(self, path: Path, size: int | None, selection: Selection) -> Iterator[tuple[bytes, bytes]]:
        """Yields the messages of one file. Raises SandboxError where the process ends or is stuck."""
        if self._answering:  # what is left of another file must not be taken for this one
            self.close()
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        self._answering, self._waited, done = True, 0.0, False
        try:
            request = {"path": os.fspath(path), "size": size, "selection": selection}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            while not done:
                kind, length = _MESSAGE.unpack(self._receive(process.stdout, _MESSAGE.size))
                body = self._receive(process.stdout, length)
                done = kind == b"H"
                self._answering = not done
                yield kind, body
        except BrokenPipeError:
            raise SandboxError(self._ended()) from None
        finally:
            if not done and self._process is process:
                self.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            limits = json.dumps(dataclasses.asdict(self._limits))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stmae.video.sandbox", limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)},
            )
        return self._process

    def _receive(self, stream: IO[bytes], length: int) -> bytes:
        parts, left = [], length
        while left:
            began = time.monotonic()
            ready, _, _ = select.select([stream.fileno()], [], [], self._limits.silent_seconds)
            if not ready:
                raise SandboxError(f"the decoder said nothing for {self._limits.silent_seconds:g} s, and was stopped")
            self._waited += time.monotonic() - began
            if self._waited > self._limits.decoder_seconds:
                raise SandboxError(f"the decoder took {self._limits.decoder_seconds:g} s, and was stopped")
            part = os.read(stream.fileno(), min(left, 1 << 20))
            if not part:
                raise SandboxError(self._ended())
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _ended(self) -> str:
        code = None if self._process is None else self._process.wait()
        return f"the decoder died ({f'signal {-code}' if code is not None and code < 0 else f'status {code}'})"


class SandboxError(RuntimeError):
    """The decoder process ended, or is stuck; the message says which."""


@dataclasses.dataclass(slots=True)
class SandboxedSource:
    """The frames of a file as a sandbox decodes them. Iterating never raises for bad content."""

    _sandbox: Sandbox
    _path: Path
    _size: int | None
    _selection: Selection
    _health: DecodeHealth | None = None

    @property
    def health(self) -> DecodeHealth:
        """Returns the account of the last complete iteration over all frames. Raises RuntimeError without one."""
        if self._health is None:
            raise RuntimeError(f"{self._path}: health is known once all frames were read")
        return self._health

    def __iter__(self) -> Iterator[Frame]:
        last: Frame | None = None
        try:
            for kind, body in self._sandbox.ask(self._path, self._size, self._selection):
                if kind == b"H":
                    health = json.loads(body)
                    self._health = None if health is None else DecodeHealth(**health)
                else:
                    last = _frame(body)
                    yield last
        except SandboxError as error:
            decoded, seconds = (0, 0.0) if last is None else (last.index + 1, last.time_s)
            fps = self._selection.get("fps") or ASSUMED_FPS
            status: Any = "truncated" if last else "undecodable"
            self._health = DecodeHealth(status, f"{error} after {decoded} frames", None, decoded, None, seconds, fps)


def _frame(body: bytes) -> Frame:
    index, time_s, height, width = _FRAME.unpack_from(body)
    image: Image = np.frombuffer(body, np.uint8, offset=_FRAME.size).reshape(height, width, 3)
    return Frame(index, time_s, image)


def main() -> None:
    """Serves requests until standard input ends."""
    limits = Limits(**json.loads(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a decoder prints may get between the messages
    cv2.setNumThreads(0)
    for line in sys.stdin.buffer:
        try:
            health = _answer(out, json.loads(line), limits)
        except MemoryError:
            health = closed("undecodable", "its pictures need more memory than the decoder may take")
        _send(out, b"H", json.dumps(health and dataclasses.asdict(health)).encode())


def _answer(out: IO[bytes], request: dict[str, Any], limits: Limits) -> DecodeHealth | None:
    """Sends the frames that are asked for; returns the health where these are all."""
    selection: Selection = request["selection"]
    source = FrameSource(Path(request["path"]), request["size"], limits=limits, **selection)
    for frame in source:
        height, width, _ = frame.image.shape
        _send(out, b"F", _FRAME.pack(frame.index, frame.time_s, height, width), frame.image.tobytes())
    return None if selection.get("only") is not None else source.health


def _send(out: IO[bytes], kind: bytes, *parts: bytes) -> None:
    out.write(_MESSAGE.pack(kind, sum(map(len, parts))))
    for part in parts:
        out.write(part)
    out.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
