"""The embedded Triton: the real server as a child process on the loopback interface, for one machine.

`EmbeddedTriton` is for programs and tests, `serve` for the foreground. On a cluster the Triton container takes its
place and loads the same model repository.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from stmae.serving import tensors
from stmae.serving.client import Client, ServingError
from stmae.serving.repository import RepositoryError, check_servable, find_deployments
from stmae.serving.tls import Tls
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.ports import HOST, PortError, Ports

LOGGER = logging.getLogger(__name__)

START_SECONDS = 120.0
"""Longest wait for the server and its models; the wheel's libraries are read slowly from a cold disk."""
EXIT_SECONDS = 10
POLL_SECONDS = 0.2
LOG_WIDTH = 600
# Large tensors are allocated in each request; without these, glibc maps and zeroes fresh pages every time.
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
# The kernel ends the server when the thread that started it dies, however it dies. Done in the child by exec, not
# by preexec_fn, which would fork a process that may run threads.
_TRAMPOLINE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"


class LauncherError(RuntimeError):
    """The server did not start or died; the message says why and gives the mend."""


class EmbeddedTriton:
    """A Triton server over one model repository, as a context manager: it is ready inside and has ended outside.

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
        self._options = [*(["--model-control-mode=explicit", "--load-model=*"] if control else []), *options]
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

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
        assert self._process is not None, "the server has not been started"
        return self._process

    def __enter__(self) -> Self:
        try:
            deployments = check_servable(self.repository)
            found = runtimes.locate(self.runtime)
            self.ports = self._given_ports or Ports.free()
            self.ports.check()
        except (RepositoryError, runtimes.RuntimeFolderError, PortError) as error:
            raise LauncherError(str(error)) from None
        started = time.monotonic()
        self._start(found)
        try:
            self._wait_ready(started + START_SECONDS)
            self._infer_once(deployments)
        except BaseException:
            self.stop()
            raise
        LOGGER.info("Triton at %s is ready after %.1f s", self.grpc_url, time.monotonic() - started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if not self._keep_log:
            self.log.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ends the server and its model processes by SIGTERM, then SIGKILL for what is left. It may be called twice."""
        if self._process is None:
            return
        _signal_group(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(EXIT_SECONDS + 5)
        except subprocess.TimeoutExpired:
            LOGGER.warning("Triton did not end within %d s and is killed", EXIT_SECONDS + 5)
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def trouble(self, lines: int = 10) -> str:
        """Returns what the server's log says about a failure: its last errors, or its last lines if it has none."""
        try:
            log = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        errors = [line for line in log if re.match(r"E\d{4} |error:|.*\bUNAVAILABLE:", line)]
        return "\n".join(line.strip()[:LOG_WIDTH] for line in (errors or log)[-lines:])

    def _start(self, found: runtimes.Runtime) -> None:
        libraries = [str(path) for path in found.library_path]
        if inherited := os.environ.get("LD_LIBRARY_PATH"):
            libraries.append(inherited)
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= _ALLOCATOR | {
            # The stub finds its interpreter by PATH alone.
            "PATH": f"{found.python.parent}:{os.environ.get('PATH', '')}",
            "VIRTUAL_ENV": str(found.python.parent.parent),
            "LD_LIBRARY_PATH": ":".join(libraries),
        }
        command = [
            str(found.server),
            f"--model-repository={self.repository}",
            f"--backend-directory={found.backends}",
            f"--http-address={HOST}",
            f"--http-port={self.ports.http}",
            f"--grpc-address={HOST}",
            f"--grpc-port={self.ports.grpc}",
            f"--metrics-address={HOST}",
            f"--metrics-port={self.ports.metrics}",
            f"--exit-timeout-secs={EXIT_SECONDS}",
            "--disable-auto-complete-config",
            *self._options,
        ]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(found.python), "-c", _TRAMPOLINE, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _wait_ready(self, deadline: float) -> None:
        while not _answers_ready(self.ports.http):
            if self.process.poll() is not None:
                raise LauncherError(
                    f"Triton ended with status {self.process.returncode} while loading {self.repository}; "
                    f"its log {self.log} says:\n{self.trouble()}"
                )
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"Triton was not ready within {START_SECONDS:.0f} s; its log {self.log} says:\n{self.trouble()}"
                )
            time.sleep(0.05)

    def _infer_once(self, deployments: list[str]) -> None:
        """Scores a shortest segment with each deployment: readiness stays true when a model's process has died."""
        for name in deployments:
            try:
                with Client(self.grpc_url, name, tls=self._tls) as client:
                    size = client.describe().size
                    client.score_segment(np.zeros((tensors.MIN_SEGMENT, size, size, 3), np.uint8))
            except ServingError as error:
                raise LauncherError(f"{error}; the server's log {self.log} says:\n{self.trouble()}") from None


def serve(repository: Path, runtime: Path = runtimes.DEFAULT, ports: Ports | None = None) -> None:
    """Serves in the foreground until interrupted (Ctrl-C or SIGTERM). Raises LauncherError if the server dies."""

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
            while (status := server.process.poll()) is None:
                time.sleep(POLL_SECONDS)
            raise LauncherError(f"Triton ended with status {status}; its log {server.log} says:\n{server.trouble()}")
    except KeyboardInterrupt:
        print("Triton has ended", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)


def _answers_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _signal_group(group: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)
