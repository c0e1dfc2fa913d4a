"""The soak: asks the embedded Triton for scores again and again, and looks at the memory that it holds.

python -m benchmarks.serving.soak [--requests 20000] [--out DIR]

The model is small and has random weights; a request is a segment of five frames, over the wire every fourth time and in
shared memory else. Memory, in MiB, is what the server and its models' processes hold of their own and share with each
other or a client (`Pss_Anon` and `Pss_Shmem` of Linux); libraries are left out, of which another server holds a share.
- `memory_mib`: at the start, and after each fortieth of the requests (`sampled_every`).
- `ratio_end_after_2000`: at the end over what it was after a tenth of the requests, whose number is in the name. Of
  20,000 it is to be at most 1.05; fewer do not outlast the time in which allocators grow.
- `failed_requests`: without an answer, or with another one than the first request of the same frames.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from benchmarks.serving.deployment import deploy, random_model
from benchmarks.serving.served import in_messages
from stmae.config import load
from stmae.serving.client import Client, ServingError
from stmae.serving.tensors import MIN_SEGMENT
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.serving.triton.runtime import DEFAULT

SMALL = ["name=soak", "model.size=64", "model.width=8", "model.memory_items=8", "model.features=gradients"]
SAMPLES = 40
SETTLED = SAMPLES // 10
"""The sample with which the last one is compared: by then every allocator has what it keeps."""
WIRE_EVERY = 4


def small_repository(folder: Path) -> Path:
    """Writes a Triton repository with a small model and returns its path."""
    config = load("walkway", SMALL)
    return deploy(config, random_model(config), segments(config.model.frame_size)[0], folder)


def segments(size: int) -> list[np.ndarray]:
    """Returns the segments that are asked for in turn, uint8 [5,size,size,3]."""
    return list(np.random.default_rng(0).integers(0, 256, (WIRE_EVERY, MIN_SEGMENT, size, size, 3), np.uint8))


def resident(group: int) -> float:
    """Returns the memory of the processes of a group, MiB."""
    kib = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if int((process / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                lines = (process / "smaps_rollup").read_text().splitlines()
                kib += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return round(kib / 1024, 1)


def soak(repository: Path, runtime: Path, requests: int) -> dict[str, Any]:
    """Returns the figures of so many requests to a server of its own."""
    every, failed, began = requests // SAMPLES, 0, time.monotonic()
    with (
        EmbeddedTriton(repository, runtime=runtime) as server,
        Client(server.grpc_url, "soak") as lending,
        Client(in_messages(server.grpc_url), "soak") as sending,
    ):
        asked = segments(lending.describe().size)
        expected = [lending.score_segment(frames).psnr for frames in asked]
        memory = [resident(server.process.pid)]
        for number in range(1, requests + 1):
            which = number % WIRE_EVERY
            try:
                scores = (lending if which else sending).score_segment(asked[which])
                failed += not np.array_equal(scores.psnr, expected[which])
            except ServingError as error:
                failed += 1
                print(error, file=sys.stderr)
            if number % every == 0:
                memory.append(resident(server.process.pid))
                print(f"{number} of {requests} requests: {memory[-1]:.0f} MiB", file=sys.stderr, flush=True)
    return {
        "sent_requests": requests,
        "failed_requests": failed,
        "wire_requests": requests // WIRE_EVERY,
        "requests_per_second": round(requests / (time.monotonic() - began), 1),
        "sampled_every": every,
        f"ratio_end_after_{SETTLED * every}": round(memory[-1] / memory[SETTLED], 4),
        "memory_mib": memory,
    }


def main() -> int:
    """Returns 0, 1 where a request failed, or 2 on bad usage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="a multiple of 40; default: 20000")
    parser.add_argument("--runtime", type=Path, default=DEFAULT, help="the embedded Triton; default: .triton")
    parser.add_argument("--out", type=Path, default=Path("work/results"), help="default: work/results")
    arguments = parser.parse_args()
    if arguments.requests <= 0 or arguments.requests % SAMPLES:
        parser.error(f"--requests {arguments.requests}: give a multiple of {SAMPLES}")
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(small_repository(Path(folder)), arguments.runtime, arguments.requests)
    command = f"python -m benchmarks.serving.soak --requests {arguments.requests}"
    print(record("soak", command, figures, arguments.out))
    return 1 if figures["failed_requests"] else 0


if __name__ == "__main__":
    sys.exit(main())
