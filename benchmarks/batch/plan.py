"""What it costs to plan a million recordings that are all done: simulated listings, the real planner."""

from __future__ import annotations

import io
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from stmae import tables
from stmae.archive.timeline import inputs_digest
from stmae.batch.done import INDEX, done_units
from stmae.batch.plan import make_plan
from stmae.storage.base import Listed, ObjectMissingError, Store

OBJECTS = 1_000_000
CAMERAS = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "upcam-0123abcd"
PAGE = 1000
"""Objects that S3 lists at a request."""
LENGTHS = {"seconds": 10, "hours": 3600}
"""Seconds of a recording, by the name of the archive."""


class Archive:
    """A bucket that a recorder fills with files of a fixed length, all cameras at a time."""

    root = "s3://cctv/recordings"

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def uri(self, path: str) -> str:
        return f"{self.root}/{path}"

    def list(self, prefix: str = "") -> Iterator[Listed]:
        for number in range(OBJECTS // CAMERAS):
            start = START + timedelta(seconds=self.seconds * number)
            folder, name = f"{start:%Y-%m-%d}/{start:%H}", f"{start:%M.%S}.mp4"
            for camera in range(CAMERAS):
                yield Listed(f"{folder}/cam{camera:03}/{name}", 1_000_000, f"{number * CAMERAS + camera:032x}")


class Tables:
    """Tables that hold all of an archive, and an index that knows it."""

    root = "s3://cctv/tables"

    def __init__(self, index: bytes) -> None:
        self.index, self.requests = index, 0

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Lists what the index names."""
        for batch in pq.ParquetFile(io.BytesIO(self.index)).iter_batches(PAGE, columns=["folder", "object", "etag"]):
            self.requests += 1
            for folder, name, etag in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield Listed(f"{folder}{name}.parquet", 2000, etag)

    def get(self, path: str) -> bytes:
        self.requests += 1
        if not path.startswith("index/"):
            raise ObjectMissingError(path)
        return self.index


def plan() -> dict[str, Any]:
    """Returns CPU seconds, MiB and requests of planning an archive of ten-second files and one of hour-long files."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in LENGTHS.items():
            path = Path(folder) / f"{name}.parquet"
            _alone(_write_index, seconds, path)
            figures |= {f"plan_1m_{name}_{key}": value for key, value in _alone(_measure, seconds, path).items()}
    for key in ("seconds", "mib"):
        figures[f"plan_1m_{key}"] = max(figures[f"plan_1m_{name}_{key}"] for name in LENGTHS)
    return figures


def _alone(work: Any, *arguments: Any) -> Any:
    """Runs a function in a process of its own, whose memory is its alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _write_index(seconds: int, path: Path) -> None:
    units = make_plan(cast("Store", Archive(seconds)), layout="frigate").units
    columns = [
        [unit.partition(MODEL).folder("coverage") for unit in units],
        [unit.key for unit in units],
        [f"{number:032x}" for number in range(len(units))],
        [unit.key for unit in units],
        [inputs_digest(unit.stream) for unit in units],
        ['{"scored": 1}'] * len(units),
    ]
    index = pa.table([pa.array(column) for column in columns], INDEX.names).cast(INDEX)
    path.write_bytes(tables.to_parquet(index))


def _measure(seconds: int, path: Path) -> dict[str, Any]:
    held = cast("Any", Tables(path.read_bytes()))
    began = time.process_time()
    units = make_plan(cast("Store", Archive(seconds))).units
    done = done_units(held, MODEL, units)
    spent = time.process_time() - began
    if done.left or done.read:
        raise RuntimeError(f"{len(done.left)} of {len(units)} camera-hours are left")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": round(spent, 1),
        "mib": round(peak / 1024),
        "camera_hours": len(units),
        "requests": OBJECTS // PAGE + held.requests,
    }
