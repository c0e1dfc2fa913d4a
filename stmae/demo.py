"""The demo's second half: a dataset's test clips become an archive, Triton serves the new model, a night is scored."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from stmae.batch.run import score_archive
from stmae.config import Config
from stmae.datasets.footage import Footage
from stmae.datasets.readers import read_footage
from stmae.report.night import night_report
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.storage.atomic import atomic_path
from stmae.video.reader import FrameSource
from stmae.video.writer import write_video

FIRST_HOUR = datetime(2026, 1, 1, 20, tzinfo=UTC)
"""When the archive's night begins; its clips follow each other every half hour."""

log = logging.getLogger(__name__)


def demo(
    config: Config, data_root: Path, workspace: Path, runtime: Path, started: float | None = None
) -> dict[str, Any]:
    """Scores an archive of the dataset's test clips with the last model that `config`'s pipeline published.

    `started` is when the whole demo began, seconds since the epoch. Returns the figures of the demo's last line.
    Raises FileNotFoundError where the pipeline has not run, RuntimeError where a source could not be scored.
    """
    started = time.time() if started is None else started
    latest = workspace / "runs" / "train" / f"latest-{config.name}.json"
    if not latest.exists():
        raise FileNotFoundError(f"{latest}: no such run; train first: make pipeline-run DATASET={config.name}")
    run = json.loads(latest.read_text(encoding="utf-8"))
    archive, tables = workspace / "archive" / config.name, workspace / "tables" / config.name
    deployments = fill_archive(config, data_root, archive)
    repository, models, reports = Path(run["repository"]), [], []
    with EmbeddedTriton(repository, runtime=runtime) as triton:
        for camera, deployment in deployments.items():
            published = repository / deployment
            summary = score_archive(
                str(archive),
                str(tables),
                triton.grpc_url,
                deployment,
                str(published / "normality.json"),
                str(published / "calibration.json"),
                include=f"{camera}/*",
            )
            if not summary.complete:
                raise RuntimeError(summary.message())
            page = workspace / "reports" / f"{deployment}-night.html"
            models.append(summary.model)
            reports.append(night_report(str(tables), summary.model, None, page))
    return {
        "auc_micro": run["figures"].get("combined_auc_micro_raw"),
        **_rows(tables, models),
        "tables": str(tables.resolve()),
        "evaluation_report": run["evaluation_report"],
        "night_reports": [str(report.resolve()) for report in reports],
        "seconds": round(time.time() - started, 1),
    }


def fill_archive(config: Config, data_root: Path, archive: Path) -> dict[str, str]:
    """Makes `<archive>/<camera>/<YYYY-MM-DD>/<HH-MM-SS>.mp4` of the dataset's test clips; what is there is kept.

    A scene is a camera. Returns the cameras with the deployment of each.
    """
    _, footage = read_footage(config, data_root)
    deployments, films = {}, Counter[str]()
    for clip in (item for item in footage if item.split == "test"):
        camera = clip.scene or config.data.reader
        start = FIRST_HOUR + films[camera] * timedelta(minutes=30)
        _film(clip, archive / camera / f"{start:%Y-%m-%d}" / f"{start:%H-%M-%S}.mp4")
        films[camera] += 1
        deployments[camera] = f"{config.name}-{clip.scene}" if clip.scene else config.name
    log.info("archive %s is filled", archive)
    return deployments


def _film(clip: Footage, path: Path) -> None:
    if clip.path.is_dir():
        if not path.exists():
            write_video(path, _images(clip.path, clip.folder_fps), clip.folder_fps)
        return
    path = path.with_suffix(clip.path.suffix)
    if not path.exists():
        with atomic_path(path) as aside:
            shutil.copyfile(clip.path, aside)


def _images(folder: Path, fps: float) -> Iterator[npt.NDArray[np.uint8]]:
    return (frame.image for frame in FrameSource(folder, folder_fps=fps))


def _rows(tables: Path, models: list[str]) -> dict[str, int]:
    """Returns how many rows the tables hold, which are counted by reading them as anybody would."""

    def count(table: str) -> int:
        folders = [str(tables / table / f"model={model}") for model in models]
        videos = ds.field("source").is_valid()  # no gaps
        return sum(int(ds.dataset(folder, format="parquet").count_rows(filter=videos)) for folder in folders)

    return {"videos_scored": count("coverage"), "frames_scored": count("scores"), "events": count("events")}
