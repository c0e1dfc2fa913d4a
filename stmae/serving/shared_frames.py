"""Frames for a server on the same machine, handed over by shared memory in place of a message."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import mmap
import os
import secrets
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

from stmae.serving.segments import Images

log = logging.getLogger(__name__)

FOLDER = Path("/dev/shm")
LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""Hosts that are this machine."""
PREFIX = "stmae-"
SECONDS = 10.0
"""Longest wait for an answer about a region: a busy server takes its time, and a dead one must not hold up a client."""


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """Memory that the server has mapped too, under the name that it knows it by."""

    name: str
    memory: mmap.mmap


class SharedFrames:
    """Lends a server regions of memory with frames in them, where both are on one machine and the server takes them.

    A region has no name in the file system once the server has mapped it: nothing is left when both have ended.
    """

    def __init__(self, server: triton.InferenceServerClient, url: str) -> None:
        self._server = server
        self._usable = url.rpartition(":")[0] in LOCAL and FOLDER.is_dir()
        self._free: list[Region] = []
        self._known: list[Region] = []

    def lend(self, frames: Images) -> Region | None:
        """Returns a region that holds the frames, None where they have to be sent."""
        if not self._usable:
            return None
        region = next((each for each in self._free if len(each.memory) >= frames.nbytes), None)
        if region is None:
            region = self._region(frames.nbytes)
        else:
            self._free.remove(region)
        if region is not None:
            np.frombuffer(region.memory, np.uint8, frames.nbytes).reshape(frames.shape)[:] = frames
        return region

    def take_back(self, region: Region | None) -> None:
        """Has a region for other frames again, whose request was answered."""
        if region is not None and region in self._known:
            self._free.append(region)

    def forget(self) -> None:
        """Uses no region again that was lent until now."""
        for region in self._known:
            with contextlib.suppress(triton.InferenceServerException):  # it is gone, or has started anew
                self._server.unregister_system_shared_memory(region.name, client_timeout=SECONDS)
        self._known, self._free = [], []

    def close(self) -> None:
        self.forget()

    def _region(self, size: int) -> Region | None:
        """Makes a region and has the server map it."""
        if not self._known:
            self._sweep()
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        path = FOLDER / name
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            try:
                os.posix_fallocate(file, 0, size)  # a write to memory that is not there would end this process
                region = Region(name, mmap.mmap(file, size))
                self._server.register_system_shared_memory(name, f"/{name}", size, client_timeout=SECONDS)
            finally:
                os.close(file)
                path.unlink()
        except OSError as error:
            full = "is full" if error.errno == errno.ENOSPC else f"cannot be used ({error.strerror})"
            log.warning("%s %s: frames are sent to the server, which takes longer", FOLDER, full)
            self._usable = False
            return None
        except triton.InferenceServerException as error:
            log.debug("frames are sent: the server takes no shared memory: %s", error)
            self._usable = False
            return None
        self._known.append(region)
        return region

    def _sweep(self) -> None:
        """Frees what clients lent that were killed."""
        with contextlib.suppress(triton.InferenceServerException):
            for name in self._server.get_system_shared_memory_status(client_timeout=SECONDS).regions:
                owner = name.removeprefix(PREFIX).partition("-")[0]
                if name.startswith(PREFIX) and owner.isdigit() and not Path(f"/proc/{owner}").exists():
                    self._server.unregister_system_shared_memory(name, client_timeout=SECONDS)
