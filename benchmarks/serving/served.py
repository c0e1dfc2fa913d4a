"""The ways through the embedded Triton: frames in messages, frames in shared memory, and the nightly job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving.client import Client
from stmae.serving.segments import Images
from stmae.video.sandbox import Sandbox

LATENCY_SECONDS = 10.0
"""So long requests are sent to time them, unless that makes fewer or more than:"""
FEWEST_REQUESTS, MOST_REQUESTS = 10, 200


def segments(frames: Images, length: int, count: int) -> list[Images]:
    """Returns `count` consecutive segments of `length` frames, as a stream is cut."""
    new = length - CLIP_FRAMES
    return [frames[number * new : number * new + length] for number in range(count)]


def in_messages(url: str) -> str:
    """Returns a server's address at which a client takes it for one on another machine, and sends it the frames."""
    return f"ipv4:{url}"


def streamed(client: Client, asked: Iterable[Images]) -> float:
    """Returns the frames/s of segments that are sent as the nightly job sends them, two under way at a time."""
    began = time.perf_counter()
    frames = sum(len(raw) for raw in client.score_stream(asked))
    return frames / (time.perf_counter() - began)


def latencies(client: Client, segment: Images) -> list[float]:
    """Returns the milliseconds of requests for a segment, one after the other."""
    found: list[float] = []
    until = time.perf_counter() + LATENCY_SECONDS
    while len(found) < FEWEST_REQUESTS or (len(found) < MOST_REQUESTS and time.perf_counter() < until):
        sent = time.perf_counter()
        client.score_segment(segment)
        found.append(1000 * (time.perf_counter() - sent))
    return found


class Job:
    """`stmae score` on a recording, against a running server."""

    def __init__(self, url: str, repository: Path, deployment: str, archive: Path, tables: Path) -> None:
        served = ["--server", url, "--repository", str(repository), "--deployment", deployment]
        places = ["--archive", str(archive), "--tables", str(tables)]
        self._command = [sys.executable, "-m", "stmae", "score", *places, *served, "--workers", "1", "--json"]
        self._tables = tables
        self.starts: list[float] = []
        """Seconds of each run before and after its work: the interpreter and what it imports."""

    def rate(self) -> float:
        """Returns the frames/s of a run into new tables, from the listing of the archive to the last row.

        Raises RuntimeError where it fails, or leaves out frames that show nothing new.
        """
        shutil.rmtree(self._tables, ignore_errors=True)
        began = time.perf_counter()
        run = subprocess.run(self._command, capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
        if run.returncode != 0:
            raise RuntimeError(f"stmae score ended with status {run.returncode}: {run.stderr.strip()[-2000:]}")
        summary = json.loads(run.stdout)
        if summary["frames_still"]:
            raise RuntimeError(f"{summary['frames_still']} frames showed nothing new: the server was not asked")
        self.starts.append(took - summary["seconds"])
        return float(summary["frames_scored"] / summary["seconds"])


def decoded(sandbox: Sandbox, recording: Path, size: int) -> float:
    """Returns the frames/s of a recording that the job's decoder decodes, reduces to `size` and hands over."""
    began = time.perf_counter()
    frames = sum(1 for _ in sandbox.read(recording, size))
    return frames / (time.perf_counter() - began)
