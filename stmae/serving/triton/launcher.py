"""The embedded Triton: the real server as a child process on the loopback interface, for one machine.

`EmbeddedTriton` is for programs and tests, `serve` for the foreground. On a cluster the Triton container takes its
place and loads the same model repository.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from stmae.serving import tensors
from stmae.serving.client import Client, ServingError
from stmae.serving.models.control import Control
from stmae.serving.repository import RepositoryError, check_servable, find_deployments
from stmae.serving.tls import Tls
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.ports import HOST, PortError, Ports
from stmae.serving.triton.process import LauncherError, TritonProcess

__all__ = ["EmbeddedTriton", "LauncherError", "serve"]

log = logging.getLogger(__name__)

START_SECONDS = 120.0
"""Longest wait for the server and its models; the wheel's libraries are read slowly from a cold disk."""
DRAIN_SECONDS = 60.0
"""Longest wait for the answers to requests that are under way when the server is to end."""
POLL_SECONDS = 0.25
DEAD_SECONDS = 1.5
"""A process of a model has died once it is seen so for so long: one that Triton ends itself, it waits for at once."""
RESTARTS, RESTARTS_SECONDS = 5, 300.0
"""The server is started anew at most so often in so long: what kills it again and again has a cause to be found."""


class EmbeddedTriton:
    """A Triton server over one model repository, as a context manager: it is ready inside and has ended outside.

    Where the server or a process of a model dies, it is started anew on the same ports: Triton itself never restarts a
    model's process, and goes on to call itself ready.

    Without `ports` it takes free ones. Its log goes to `log`, or to a temporary file. With `control` its clients may
    load and unload models. `options` are further ones of its command line; where they ask for TLS, `tls` has the files
    of a client. Entering raises LauncherError if the server cannot serve every model of the repository.
    """

    def __init__(
        self,
        repository: Path,
        ports: Ports | None = None,
        runtime: Path = runtimes.DEFAULT,
        log: Path | None = None,
        *,
        control: bool = False,
        options: Sequence[str] = (),
        tls: Tls | None = None,
    ) -> None:
        self.repository = repository.absolute()
        self._given_ports = ports
        self.ports = ports or Ports()
        self.runtime = runtime
        self.log = log or Path(tempfile.gettempdir()) / f"stmae-triton-{os.getpid()}-{id(self):x}.log"
        self._keep_log = log is not None
        # Draining it takes model control, which is restricted to who knows the key, where clients are to have none.
        key = f"stmae={secrets.token_hex(16)}"
        self._admin = "" if control else f"triton-grpc-protocol-{key}"
        restricted = () if control else ("--grpc-restricted-protocol", "--http-restricted-api")
        guard = [f"{option}=model-repository:{key}" for option in restricted]
        self._options = ["--model-control-mode=explicit", "--load-model=*", *guard, *options]
        self._tls = tls
        self._run: TritonProcess | None = None
        self._over = threading.Event()
        self._started = threading.Event()
        self._keeper: threading.Thread | None = None
        self.failure: LauncherError | None = None
        """Why the server is not started anew any more, None while it is kept alive."""

    @property
    def grpc_url(self) -> str:
        return f"{HOST}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        return f"http://{HOST}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        return f"http://{HOST}:{self.ports.metrics}/metrics"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._run is not None, "the server has not been started"
        return self._run.process

    def __enter__(self) -> Self:
        try:
            deployments = check_servable(self.repository)
            found = runtimes.locate(self.runtime)
            self.ports = self._given_ports or Ports.free()
            self.ports.check()
        except (RepositoryError, runtimes.RuntimeFolderError, PortError) as error:
            raise LauncherError(str(error)) from None
        began = time.monotonic()
        self.log.unlink(missing_ok=True)
        # The kernel ends the server with the thread that starts it, so one thread starts it each time.
        self._keeper = threading.Thread(target=self._keep, args=(found, deployments), daemon=True)
        self._keeper.start()
        try:
            self._started.wait()
        except BaseException:
            self.stop()
            raise
        if self.failure is not None:
            self.stop()
            raise self.failure
        log.info("Triton at %s is ready after %.1f s", self.grpc_url, time.monotonic() - began)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if not self._keep_log:
            self.log.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ends the server once requests under way are answered, for which it waits DRAIN_SECONDS at most.

        New ones are refused meanwhile. It may be called twice.
        """
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()

    def _keep(self, found: runtimes.Runtime, deployments: list[str]) -> None:
        """Starts the server, and again whenever a process of it has died, until `stop`."""
        restarts = deque[float](maxlen=RESTARTS)
        try:
            while death := self._serve_once(found, deployments):
                if len(restarts) == RESTARTS and time.monotonic() - restarts[0] < RESTARTS_SECONDS:
                    raise LauncherError(f"{death}, as before: it is not started anew any more")
                restarts.append(time.monotonic())
                log.warning("%s: it is started anew", death)
        except (LauncherError, OSError, ValueError) as error:
            self.failure = error if isinstance(error, LauncherError) else LauncherError(f"Triton: {error}")
            if self._started.is_set():
                log.error("%s", error)
        finally:
            self._started.set()

    def _serve_once(self, found: runtimes.Runtime, deployments: list[str]) -> str:
        """Starts the server and ends it once a process of it has died, or is to; returns how it died, if it did."""
        run = self._run = TritonProcess.start(found, self.repository, self.ports, self.log, self._options)
        death = ""
        try:
            run.wait_ready(START_SECONDS, self._over.is_set)
            self._infer_once(run, deployments)
            self._started.set()
            seen = 0
            while not self._over.wait(POLL_SECONDS):
                before, death = death, run.death()
                seen = seen + 1 if death and death == before else 0
                if seen * POLL_SECONDS >= DEAD_SECONDS:
                    return run.told(death)
            self._drain()
        except LauncherError as error:
            if not self._started.is_set():
                raise
            return "" if self._over.is_set() else str(error)
        finally:
            run.stop(kill=bool(death))
        return ""

    def _drain(self) -> None:
        """Has requests under way answered, and new ones refused.

        SIGTERM alone does not: Triton then refuses the next step of every ensemble that is under way.
        """
        deployments = find_deployments(self.repository)
        try:
            with Control(self.grpc_url, self._tls, seconds=DRAIN_SECONDS, admin=self._admin) as control:
                for name in deployments:
                    control.unload(name)
                control.drain(*deployments)
        except ServingError as error:
            log.warning("%s; Triton ends all the same, and what is under way gets no answer", error)

    def _infer_once(self, run: TritonProcess, deployments: list[str]) -> None:
        """Scores a shortest segment with each deployment: readiness stays true when a model's process has died."""
        for name in deployments:
            try:
                with Client(self.grpc_url, name, tls=self._tls) as client:
                    size = client.describe().size
                    client.score_segment(np.zeros((tensors.MIN_SEGMENT, size, size, 3), np.uint8))
            except ServingError as error:
                raise LauncherError(run.told(str(error))) from None


def serve(repository: Path, runtime: Path = runtimes.DEFAULT, ports: Ports | None = None) -> None:
    """Serves in the foreground until interrupted (Ctrl-C or SIGTERM). Raises LauncherError if it cannot any more."""

    def terminate(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    server = EmbeddedTriton(repository, ports or Ports(), runtime)
    try:
        with server:
            print(
                f"Triton serves {', '.join(find_deployments(server.repository)) or 'no deployment'}\n"
                f"  gRPC {server.grpc_url}  HTTP {server.http_url}  metrics {server.metrics_url}\n"
                f"  log {server.log}  (Ctrl-C ends it)",
                file=sys.stderr,
                flush=True,
            )
            # Not one long wait(): a signal that comes just before it blocks would be seen only when the server ends.
            try:
                while server.failure is None:
                    time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                print(f"Triton answers what is under way, for at most {DRAIN_SECONDS:g} s, and ends", file=sys.stderr)
                raise
            raise server.failure
    except KeyboardInterrupt:
        print("Triton has ended", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
