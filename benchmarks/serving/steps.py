"""Computes the served steps one after the other in one process, by the embedded server's own runtime, without Triton.

.triton/bin/python steps.py BACKENDS FRAMES.npy < LINES

It is run by the Python of `.triton`, which has nothing of this project. The first line on standard input says which
steps there are, in order, and each further line asks for segments:

    [{"name": "flow", "path": "model.onnx", "config": {config.pbtxt as Triton gives it}}, ...]
    {"length": 64, "segments": 3}

Each is answered by a line: the versions of the runtimes, then the seconds of each step.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CLIP_FRAMES = 4
RUNTIMES = ("onnxruntime", "openvino")


def main() -> None:
    """Answers until standard input ends."""
    backends, frames = Path(sys.argv[1]), np.load(sys.argv[2])
    sys.path.insert(0, str(backends / "onnxruntime"))
    from session import open_session

    steps = []
    for step in json.loads(sys.stdin.readline()):
        inputs, outputs = ([tensor["name"] for tensor in step["config"][side]] for side in ("input", "output"))
        steps.append((step["name"], inputs, outputs, open_session(Path(step["path"]), step["config"])))
    _answer({name: _version(name) for name in RUNTIMES})
    for line in sys.stdin:
        asked, spent = json.loads(line), {name: 0.0 for name, *_ in steps}
        for number in range(asked["segments"]):
            first = number * (asked["length"] - CLIP_FRAMES)
            tensors: dict[str, Any] = {"FRAMES": frames[first : first + asked["length"]]}
            for name, inputs, outputs, compute in steps:
                began = time.perf_counter()
                tensors |= zip(outputs, compute({each: tensors[each] for each in inputs}), strict=True)
                spent[name] += time.perf_counter() - began
        _answer(spent)


def _answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
