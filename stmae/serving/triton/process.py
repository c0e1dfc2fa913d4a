"""One run of Triton: its process, the processes of its models below it, and the shared memory between them."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from stmae.serving.triton.ports import HOST, Ports
from stmae.serving.triton.runtime import Runtime

EXIT_SECONDS = 10
LOG_WIDTH = 600
SHARED_MEMORY = Path("/dev/shm")
# Large tensors are allocated in each request; without these, glibc maps and zeroes fresh pages every time.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
# The kernel ends the server when the thread that started it dies, however it dies. Done in the child by exec, not
# by preexec_fn, which would fork a process that may run threads.
_TRAMPOLINE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"


class LauncherError(RuntimeError):
    """The server did not start or died; the message says why and gives the mend."""


class TritonProcess:
    """A server that was started. It ends when the thread that started it ends."""

    def __init__(self, process: subprocess.Popen[bytes], repository: Path, ports: Ports, log: Path) -> None:
        self.process = process
        self._repository, self._ports, self._log = repository, ports, log
        self._shared = set[str]()

    @classmethod
    def start(cls, runtime: Runtime, repository: Path, ports: Ports, log: Path, options: Sequence[str]) -> Self:
        """Starts a server over a model repository; it logs to the end of `log`."""
        libraries = [str(path) for path in runtime.library_path]
        if inherited := os.environ.get("LD_LIBRARY_PATH"):
            libraries.append(inherited)
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= ALLOCATOR | {
            # The stub finds its interpreter by PATH alone.
            "PATH": f"{runtime.python.parent}:{os.environ.get('PATH', '')}",
            "VIRTUAL_ENV": str(runtime.python.parent.parent),
            "LD_LIBRARY_PATH": ":".join(libraries),
        }
        command = [
            str(runtime.server),
            f"--model-repository={repository}",
            f"--backend-directory={runtime.backends}",
            f"--http-address={HOST}",
            f"--http-port={ports.http}",
            f"--grpc-address={HOST}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-address={HOST}",
            f"--metrics-port={ports.metrics}",
            f"--exit-timeout-secs={EXIT_SECONDS}",
            "--disable-auto-complete-config",
            *options,
        ]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            process = subprocess.Popen(
                [str(runtime.python), "-c", _TRAMPOLINE, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        return cls(process, repository, ports, log)

    def wait_ready(self, seconds: float, over: Callable[[], bool]) -> None:
        """Waits until the server says that it is ready. Raises LauncherError if it ends, or `over` says to stop."""
        deadline = time.monotonic() + seconds
        while not self._answers_ready():
            self._note_shared()
            if (status := self.process.poll()) is not None:
                raise LauncherError(self.told(f"Triton ended with status {status} while loading {self._repository}"))
            if time.monotonic() > deadline:
                raise LauncherError(self.told(f"Triton was not ready within {seconds:.0f} s"))
            if over():
                raise LauncherError("Triton was ended while it started")
            time.sleep(0.05)

    def death(self) -> str:
        """Returns which process has died: the server, or one of a model, which Triton does not notice; "" for none."""
        models = self._note_shared()
        if (status := self.process.poll()) is not None:
            return f"Triton ended with status {status}"
        dead = [model for model, arguments in models.items() if not arguments]  # a zombie has none
        return f"process {dead[0]} of a model died" if dead else ""

    def stop(self, kill: bool = False) -> None:
        """Ends the server and its model processes by SIGTERM, then by SIGKILL; with `kill` by that alone.

        What they shared is removed: killed processes leave it behind. It may be called twice.
        """
        self._note_shared()
        if not kill:
            _signal_group(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(EXIT_SECONDS + 5)
        _signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for region in self._shared:
            (SHARED_MEMORY / region).unlink(missing_ok=True)

    def told(self, trouble: str, lines: int = 10) -> str:
        """Returns a failure with what the log says about it: its last errors, or its last lines if it has none."""
        log = self._log.read_text(errors="replace").splitlines()
        errors = [line for line in log if re.match(r"E\d{4} |error:|.*\bUNAVAILABLE:", line)]
        last = "\n".join(line.strip()[:LOG_WIDTH] for line in (errors or log)[-lines:])
        return f"{trouble}; its log {self._log} says:\n{last}"

    def _note_shared(self) -> dict[int, list[str]]:
        """Notes what the server shares with the processes of its models; returns their command lines."""
        models = {each: _arguments(each) for each in _group(self.process.pid) if each != self.process.pid}
        self._shared |= {each for arguments in models.values() for each in arguments if "_shm_region_" in each}
        return models

    def _answers_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._ports.http, timeout=2)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _group(leader: int) -> list[int]:
    """Returns the processes of a group that were not waited for; its leader may be dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            if int(stat.read_text().rpartition(")")[2].split()[2]) == leader:
                found.append(int(stat.parent.name))
    return found


def _arguments(pid: int) -> list[str]:
    """Returns the command line of a process; nothing where it is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return []


def _signal_group(group: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)
