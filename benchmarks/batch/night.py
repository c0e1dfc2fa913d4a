"""A night of 100 cameras in ten-second files on an S3 server: planned, scored, killed at half, resumed, run again.

The S3 server and the small model with random weights are those of the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "batch")]

import swift  # noqa: E402
from tiny import TINY, export_tiny  # noqa: E402

from stmae import config, tables  # noqa: E402
from stmae.serving.repository import write_repository  # noqa: E402
from stmae.serving.triton.launcher import EmbeddedTriton  # noqa: E402
from stmae.storage import open_store  # noqa: E402
from stmae.video.writer import write_video  # noqa: E402

CAMERAS = 100
MINUTES = 6
FILES = CAMERAS * MINUTES * 6
START = datetime(2026, 3, 1, 23, 57, tzinfo=UTC)
"""So that the night has two days and two hours."""
FPS = 1.0
BUCKET = "night"
RUN = """
import json, resource, sys
from collections import Counter
from botocore.httpsession import URLLib3Session
from stmae.batch.run import score_archive
requests, send = Counter(), URLLib3Session.send

def counted(session, request):
    requests[request.method] += 1
    return send(session, request)

URLLib3Session.send = counted
summary = score_archive(*sys.argv[1:], layout="frigate", workers=1)
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
told = {"complete": summary.complete, "before": summary.sources_done_before, "scored": summary.sources_scored}
print(json.dumps({**told, "seconds": summary.seconds, "mib": mib, "requests": requests}))
"""


def night() -> dict[str, Any]:
    """Returns the requests, objects, seconds and MiB of a night that is killed at half, resumed, and run again."""
    with tempfile.TemporaryDirectory() as temporary, swift.serve(Path(temporary) / "swift") as server:
        os.environ.update(server.environment())
        _fill(Path(temporary))
        export = export_tiny(config.load("walkway", [*TINY, f"data.fps={FPS}"]), Path(temporary) / "tiny")
        write_repository(export.folder, Path(temporary) / "repository")
        with EmbeddedTriton(Path(temporary) / "repository", runtime=Path(".triton")) as triton:
            fitted = [str(export.fitted[name]) for name in ("normality", "calibration")]
            places = [f"s3://{BUCKET}/archive", f"s3://{BUCKET}/tables", triton.grpc_url, "tiny", *fitted]
            command = [sys.executable, "-c", RUN, *places]
            _kill_at_half(command)
            resumed, again = _run(command), _run(command)
        objects = _objects()
    if not resumed["complete"] or resumed["before"] + resumed["scored"] != FILES or again["scored"]:
        raise RuntimeError(f"{resumed} {again}")
    return {
        "night_cameras": CAMERAS,
        "night_files": FILES,
        "night_files_before_kill": resumed["before"],
        "night_files_per_second": round(resumed["scored"] / resumed["seconds"], 1),
        "night_mib": round(resumed["mib"]),
        "night_requests_resumed": sum(resumed["requests"].values()),
        "night_requests_again": sum(again["requests"].values()),
        "night_seconds_again": round(again["seconds"], 1),
        "night_objects": objects,
    }


def _fill(folder: Path) -> None:
    """Puts the same ten seconds under the names of all cameras and times, as Frigate names them."""
    random = np.random.default_rng(0)
    ground = random.integers(60, 120, (48, 64, 3))
    images = []
    for number in range(round(10 * FPS)):
        image = ground + random.integers(-4, 5, ground.shape)
        image[10:30, 2 * number : 2 * number + 12] = 230
        images.append(image.astype(np.uint8))
    write_video(folder / "film.mp4", images, FPS)
    film = (folder / "film.mp4").read_bytes()
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    starts = [START + timedelta(seconds=10 * number) for number in range(MINUTES * 6)]
    cameras = [f"cam{number:03}" for number in range(CAMERAS)]
    keys = [f"archive/{start:%Y-%m-%d/%H}/{camera}/{start:%M.%S}.mp4" for start in starts for camera in cameras]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=BUCKET, Key=key, Body=film), keys))


def _kill_at_half(command: list[str]) -> None:
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    store = open_store(f"s3://{BUCKET}/tables")
    while sum(1 for _ in store.list("coverage/")) < CAMERAS:  # of two hours each
        if job.poll() is not None:
            raise RuntimeError("the job ended before it was killed")
        time.sleep(1)
    job.send_signal(signal.SIGKILL)
    job.wait()


def _run(command: list[str]) -> dict[str, Any]:
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def _objects() -> int:
    store = open_store(f"s3://{BUCKET}/tables")
    return sum(1 for name in tables.UNIT_TABLES for _ in store.list(f"{name}/"))
