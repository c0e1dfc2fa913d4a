"""The embedded server's runtime in a process of its own, without Triton: the same files, the same settings."""

from __future__ import annotations

import json
import statistics
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.serving.rounds import LAST
from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving import tensors
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.serving.triton.runtime import Runtime

SCRIPT = Path(__file__).with_name("steps.py")


class InProcess:
    """Asks the process of steps.py for segments, as a context manager. Raises RuntimeError where it has ended."""

    def __init__(self, runtime: Runtime, server: EmbeddedTriton, deployment: str, frames: Path) -> None:
        """`frames` is a file of frames [F,S,S,3]; each step is configured as the server says."""
        self._steps = [_step(server, spec, deployment) for spec in tensors.STEPS]
        self._command = [str(runtime.python), str(SCRIPT), str(runtime.backends), str(frames)]
        self.spent: dict[int, list[dict[str, float]]] = {}
        """Seconds a scored frame of each step, for each time that segments of a length were asked for."""
        self.versions: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.versions = self._ask(self._steps)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    @property
    def accelerator(self) -> str:
        """Returns what computes the steps."""
        return str(_accelerator(self._steps[0]["config"])["name"])

    @property
    def precision(self) -> str:
        """Returns what it computes in."""
        return str(_accelerator(self._steps[0]["config"]).get("parameters", {}).get("precision", "fp32"))

    @property
    def peak_bytes(self) -> int:
        """Returns the most memory that it had so far."""
        return _kilobytes(Path(f"/proc/{self._process.pid}/status"), "VmHWM") * 1024

    def rate(self, length: int, segments: int) -> float:
        """Returns the frames/s of so many segments of `length` frames."""
        spent = self._ask({"length": length, "segments": segments})
        frames = segments * (length - CLIP_FRAMES)
        self.spent.setdefault(length, []).append({name: seconds / frames for name, seconds in spent.items()})
        return float(frames / sum(spent.values()))

    def steps(self, length: int) -> dict[str, float]:
        """Returns the frames/s of each step, the median of the last times that segments of a length were asked for."""
        last = self.spent[length][-LAST:]
        return {name: 1 / statistics.median(spent[name] for spent in last) for name in last[0]}

    def _ask(self, content: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(content) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{SCRIPT.name} ended with status {self._process.wait()}; its errors are above")
        found: dict[str, Any] = json.loads(answer)
        return found


def available_bytes() -> int:
    """Returns the memory that processes may still take on this machine."""
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024


def _kilobytes(path: Path, name: str) -> int:
    fields = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return int(fields[name].split()[0])


def _step(server: EmbeddedTriton, spec: tensors.Model, deployment: str) -> dict[str, Any]:
    name = spec.served_name(deployment)
    with urllib.request.urlopen(f"{server.http_url}/v2/models/{name}/config") as answer:
        config = json.load(answer)
    return {"name": spec.file, "path": str(server.repository / name / "1" / "model.onnx"), "config": config}


def _accelerator(config: dict[str, Any]) -> dict[str, Any]:
    chosen = config.get("optimization", {}).get("execution_accelerators", {}).get("cpu_execution_accelerator", [])
    return chosen[0] if chosen else {"name": "onnxruntime"}
