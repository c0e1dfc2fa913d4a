"""Small archives to score and tables to compare, for the tests of the batch job and of its faults."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from made_scores import fit

from stmae import tables
from stmae.batch.run import RunSummary, score_archive
from stmae.scoring.calibration import Calibration
from stmae.serving.client import Client
from stmae.storage.document import from_json, to_json
from stmae.video.writer import write_video

UNITS = 4
"""Camera-hours of the archive; a video without a time is one of its own."""
GOOD = {
    "gate/2026-03-01/08-00-00.mp4": 40,
    "gate/2026-03-01/08-10-00.mp4": 21,
    "yard 2/2026-03-02/23-59-58.avi": 30,
    "yard 2/loose.mp4": 17,
    "flat.mp4": 16,
}
"""Frames of each video of the archive."""


def film(path: Path, frames: int, seed: int = 0, size: tuple[int, int] = (96, 128)) -> None:
    """A bright block wanders over a rough ground, 10 frames a second; from frame 20 to 24 a lamp blinds the camera.

    The ground is always the same: it is the calibration's one camera.
    """
    generator = np.random.default_rng(seed)
    ground = np.random.default_rng(0).integers(60, 120, (*size, 3))
    images = []
    for index in range(frames):
        image = ground + generator.integers(-4, 5, ground.shape)
        left = (seed * 17 + index * 3) % (size[1] - 24)
        image[30:60, left : left + 24] = 230
        if 20 <= index < 25 and frames >= 30:
            image[:] = 250
        images.append(image.astype(np.uint8))
    write_video(path, images, 10.0, "MJPG" if path.suffix == ".avi" else "mp4v")


def film_archive(folder: Path) -> Path:
    for seed, (path, frames) in enumerate(GOOD.items()):
        film(folder / path, frames, seed)
    return folder


@dataclasses.dataclass(frozen=True)
class Night:
    """Scores archives with the tests' deployment."""

    server_url: str
    deployment: str
    fitted: Path
    """Folder with normality.json and calibration.json."""

    def calibration(self) -> Calibration:
        return from_json(Calibration, (self.fitted / "calibration.json").read_text())

    def score(self, archive: Path | str, into: Path | str, **options: Any) -> RunSummary:
        fitted = {name: str(self.fitted / f"{name}.json") for name in ("normality", "calibration")}
        given = {"workers": 1, **fitted, **options}
        return score_archive(str(archive), str(into), self.server_url, self.deployment, **given)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five good videos in all layouts. Tests that change it copy it."""
    return film_archive(tmp_path_factory.mktemp("archive") / "site")


@pytest.fixture(scope="session")
def night(triton_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Calibrated on films without the lamp, so that the lamp is an event though the model's weights are random."""
    folder = tmp_path_factory.mktemp("normal")
    normal = []
    with Client(triton_server.grpc_url, triton_server.deployment) as client:
        for seed in range(len(GOOD)):
            film(folder / f"{seed}.mp4", 29, seed)
            normal.append(client.score_video(folder / f"{seed}.mp4").raw)
    for name, fitted in zip(("normality", "calibration"), fit(normal), strict=True):
        (folder / f"{name}.json").write_text(to_json(fitted))
    return Night(triton_server.grpc_url, triton_server.deployment, folder)


@pytest.fixture(scope="session")
def scored(night: Night, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of an undisturbed run. Not to be written to."""
    tables = tmp_path_factory.mktemp("tables") / "tables"
    assert night.score(archive, tables).complete
    return tables


def read(root: Path | str, table: str, **options: Any) -> pa.Table:
    return ds.dataset(f"{root}/{table}", partitioning=tables.PARTITIONING, **options).to_table()


def rows(root: Path | str, table: str) -> list[dict[str, Any]]:
    found = read(root, table).to_pylist() if Path(root, table).exists() else []
    return sorted(found, key=lambda row: str(row.get("source")))


def covered(root: Path | str) -> list[dict[str, Any]]:
    """Rows of `coverage` that tell of a video, without those of gaps."""
    return [row for row in rows(root, "coverage") if row["source"]]


def bytes_of(root: Path, *, runs: bool = False) -> dict[str, bytes]:
    """Every file below the tables' root; of `runs` and `status`, which tell of times, only on demand."""
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return files if runs else {name: data for name, data in files.items() if not name.startswith(("runs/", "status/"))}
