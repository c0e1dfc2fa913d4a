"""The demo's second half: a dataset's test clips become an archive, Triton serves the new model, a night is scored."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from stmae.batch.run import score_archive
from stmae.config import Config
from stmae.data.datasets import read_footage
from stmae.data.video import FrameSource, write_video
from stmae.report.night import night_report
from stmae.serving.launcher import EmbeddedTriton

FIRST_HOUR = datetime(2026, 1, 1, 20, tzinfo=UTC)
"""When the archive's night begins; its clips follow each other every half hour."""

log = logging.getLogger(__name__)


def demo(
    config: Config, data_root: Path, workspace: Path, runtime: Path, started: float | None = None
) -> dict[str, Any]:
    """Score an archive of the dataset's test clips with the last model that `config`'s pipeline published.

    `started` is when the whole demo began, seconds since the epoch. Returns the figures of the demo's last line.
    Raises FileNotFoundError where the pipeline has not run, RuntimeError where a source could not be scored.
    """
    started = time.time() if started is None else started
    latest = workspace / "runs" / "train" / f"latest-{config.name}.json"
    if not latest.exists():
        raise FileNotFoundError(f"{latest}: no such run; train first: make pipeline-run DATASET={config.name}")
    run = json.loads(latest.read_text(encoding="utf-8"))
    archive, tables = workspace / "archive" / config.name, workspace / "tables" / config.name
    fill_archive(config, data_root, archive)
    repository = Path(run["repository"])
    calibration = repository / config.name / "calibration.json"
    with EmbeddedTriton(repository, runtime=runtime) as triton:
        summary = score_archive(str(archive), str(tables), triton.grpc_url, config.name, str(calibration))
    if not summary.complete:
        raise RuntimeError(summary.message())
    report = night_report(str(tables), summary.model, None, workspace / "reports" / f"{config.name}-night.html")
    return {
        "auc_micro": run["figures"].get("paper_auc_micro"),
        **_rows(tables, summary.model),
        "tables": str(tables.resolve()),
        "evaluation_report": run["evaluation_report"],
        "night_report": str(report.resolve()),
        "seconds": round(time.time() - started, 1),
    }


def fill_archive(config: Config, data_root: Path, archive: Path) -> None:
    """Make `<archive>/<camera>/<YYYY-MM-DD>/<HH-MM-SS>.mp4` of the dataset's test clips; what is there is kept."""
    _, footage = read_footage(config, data_root)
    for number, clip in enumerate(item for item in footage if item.split == "test"):
        start = FIRST_HOUR + number * timedelta(minutes=30)
        path = archive / config.data.reader / f"{start:%Y-%m-%d}" / f"{start:%H-%M-%S}.mp4"
        if path.exists():
            continue
        if clip.path.is_dir():
            write_video(path, _images(clip.path, clip.folder_fps), clip.folder_fps)
        else:
            path = path.with_suffix(clip.path.suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip.path, path)
    log.info("archive %s is filled", archive)


def _images(folder: Path, fps: float) -> Iterator[npt.NDArray[np.uint8]]:
    return (frame.image for frame in FrameSource(folder, folder_fps=fps))


def _rows(tables: Path, model: str) -> dict[str, int]:
    """What the tables hold, counted by reading them as anybody would."""

    def count(table: str) -> int:
        return int(ds.dataset(tables / table / f"model={model}", format="parquet").count_rows())

    return {"videos_scored": count("coverage"), "frames_scored": count("scores"), "events": count("events")}
