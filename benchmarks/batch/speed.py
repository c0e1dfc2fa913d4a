"""The nightly job on real hours of one camera: beside the served ensemble alone, what it writes, and on Ray."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import resource
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from benchmarks.scoring.sizes import published
from benchmarks.scoring.upcam import UPCAM, upcam
from stmae import tables
from stmae.batch.run import RunSummary, score_archive
from stmae.scoring.calibration import Calibration
from stmae.scoring.normality import NormalityModel
from stmae.serving.client import Client
from stmae.serving.segments import cut
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.storage.document import from_json, to_json
from stmae.video.reader import FrameSource
from stmae.video.writer import write_video

RUNTIME = Path(".triton")
HOURS = ("03-08", "03-09", "03-10", "03-11", "03-12", "03-13")
ENSEMBLE_FRAMES = 3000
FILE_SECONDS = 600
RAY_HOURS = HOURS[1:5]
RAY_FPS = 1.0
"""The 24 files of ten minutes are sampled at this rate: what Ray costs is the same, and the share of it is larger."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A running server, and what its deployment is used with."""

    url: str
    fitted: dict[str, Path]
    """`normality` and `calibration`."""

    def score(self, archive: Path, into: Path, *, anew: bool = True, **options: Any) -> tuple[RunSummary, float]:
        """Scores an archive, into new tables unless told otherwise; returns the summary and the seconds."""
        if anew:
            shutil.rmtree(into, ignore_errors=True)
        began = time.perf_counter()
        paths = (str(self.fitted["normality"]), str(self.fitted["calibration"]))
        summary = score_archive(str(archive), str(into), self.url, UPCAM.name, *paths, **options)
        if not summary.complete:
            raise RuntimeError(summary.message())
        return summary, time.perf_counter() - began


def ratio(data_root: Path, work: Path) -> dict[str, Any]:
    """Returns the job's speed on an hour, beside that of the ensemble just before and after it."""
    footage = data_root / "upcam-sample"
    with _served(data_root, work) as served:
        before = _ensemble(served.url, footage)
        archive = _hours(footage, work / "batch" / "hour", HOURS[1:2])
        summary, seconds = served.score(archive, work / "batch" / "hour-tables")
        ensemble = (before + _ensemble(served.url, footage)) / 2
    return {
        "ensemble_frames_per_second": round(ensemble, 1),
        "batch_frames_per_second": round(summary.frames_scored / seconds, 1),
        "ratio_batch_ensemble": round(summary.frames_scored / seconds / ensemble, 3),
        "batch_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def hours(data_root: Path, work: Path) -> dict[str, Any]:
    """Returns what the tables of six hours weigh, and whether their coverage adds up. Hours that are there stay."""
    into = work / "batch" / "tables"
    with _served(data_root, work) as served:
        served.score(_hours(data_root / "upcam-sample", work / "batch" / "hours", HOURS), into, anew=False)
    return _weighed(into)


def on_ray(data_root: Path, work: Path) -> dict[str, Any]:
    """Returns what Ray adds to the time of the local engine, on 24 files of ten minutes."""
    with _served(data_root, work) as served:
        return _on_ray(served, data_root / "upcam-sample", work / "batch")


@contextlib.contextmanager
def _served(data_root: Path, work: Path) -> Iterator[Served]:
    """Serves the model of the camera, which is trained where `work` has none."""
    folder = work / UPCAM.name
    repository = folder / "repository"
    if not repository.exists():
        published(UPCAM, upcam(data_root, work), folder)
    fitted = {name: repository / UPCAM.name / f"{name}.json" for name in ("normality", "calibration")}
    with EmbeddedTriton(repository, runtime=RUNTIME) as triton:
        yield Served(triton.grpc_url, fitted)


def _ensemble(url: str, footage: Path) -> float:
    """Returns the frames a second that the server alone scores, with segments as the job sends them."""
    with Client(url, UPCAM.name) as client:
        deployment = client.describe()
        source = FrameSource(footage / f"{HOURS[1]}.mp4", deployment.size)
        images = [frame.image for frame in itertools.islice(source, ENSEMBLE_FRAMES)]
        began = time.perf_counter()
        frames = sum(len(raw) for raw in client.score_stream(cut(iter(images), deployment.segment_frames)))
        return frames / (time.perf_counter() - began)


def _hours(footage: Path, archive: Path, names: Sequence[str]) -> Path:
    for name in names:
        path = archive / "indoor" / "2026-01-03" / f"{name[3:]}-00-00.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # another copy would have another time, and be another source
            shutil.copyfile(footage / f"{name}.mp4", path)
    return archive


def _weighed(into: Path) -> dict[str, Any]:
    """Returns what the six hours weigh, a camera-day of such hours, and how their coverage adds up."""
    coverage = ds.dataset(into / "coverage", partitioning=tables.PARTITIONING).to_table().to_pylist()
    times = [row[column] for row in coverage for column in ("start_time", "end_time")]
    period = (max(times) - min(times)).total_seconds()
    files = [path for name in tables.UNIT_TABLES for path in (into / name).rglob("*.parquet")]
    size = sum(path.stat().st_size for path in files)
    a_day = 24 / len(HOURS)
    return {
        "coverage_share": round(sum(row["seconds"] for row in coverage) / period, 6),
        "scored_share": round(sum(row["seconds"] for row in coverage if row["status"] == "scored") / period, 6),
        "mb_per_camera_day": round(size * a_day / 1e6, 2),
        "objects_per_camera_day": round(len(files) * a_day),
    }


def _on_ray(served: Served, footage: Path, folder: Path) -> dict[str, Any]:
    import ray

    archive = _pieces(footage, folder / "pieces")
    fitted = {}
    for name, kind in (("normality", NormalityModel), ("calibration", Calibration)):
        document = from_json(kind, served.fitted[name].read_text(encoding="utf-8"))
        fitted[name] = folder / f"{name}.json"
        fitted[name].write_text(to_json(dataclasses.replace(document, fps=RAY_FPS)), encoding="utf-8")
    slower = Served(served.url, fitted)
    local, seconds = slower.score(archive, folder / "local")
    began = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    slower.score(archive, folder / "ray", engine="ray")
    ray_seconds = time.perf_counter() - began
    ray.shutdown()
    if _bytes(folder / "local") != _bytes(folder / "ray"):
        raise RuntimeError("Ray wrote other tables than the local engine")
    return {
        "ray_overhead": round(ray_seconds / seconds - 1, 3),
        "ray_seconds": round(ray_seconds, 1),
        "local_seconds": round(seconds, 1),
        "ray_files": local.sources,
        "ray_frames": local.frames_scored,
    }


def _pieces(footage: Path, archive: Path) -> Path:
    """Cuts four hours into files of ten minutes, each hour as a camera of its own."""
    for name in RAY_HOURS:
        frames = iter(FrameSource(footage / f"{name}.mp4"))
        start = datetime(2026, 1, 3, int(name[3:]))
        for piece in range(3600 // FILE_SECONDS):
            path = archive / f"indoor-{name[3:]}" / "2026-01-03" / f"{start:%H}-{piece * 10:02}-00.mp4"
            write_video(path, _until(frames, (piece + 1) * FILE_SECONDS), 5.0)
    return archive


def _until(frames: Iterator[Any], seconds: float) -> Iterator[Any]:
    for frame in frames:
        yield frame.image
        if frame.time_s >= seconds - 0.25:
            return


def _bytes(root: Path) -> dict[str, bytes]:
    names = (*tables.UNIT_TABLES, "thumbnails")
    return {str(path.relative_to(root)): path.read_bytes() for name in names for path in (root / name).rglob("*.*")}
