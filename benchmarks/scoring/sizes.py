"""What the tables of real footage weigh: an archive is scored by an embedded Triton, and its Parquet files weighed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from benchmarks.record import commit
from benchmarks.scoring.sets import PED2, Set, trained
from benchmarks.scoring.upcam import UPCAM, lay_out
from stmae import tables
from stmae.batch.run import score_archive
from stmae.demo import fill_archive
from stmae.evaluation.evaluate import Measure, fit_scene
from stmae.export.checkpoint import export_checkpoint
from stmae.serving.models import promote
from stmae.serving.models.installation import sync
from stmae.serving.publish import FITTED, publish_all
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.storage import open_store
from stmae.storage.document import to_json

RUNTIME = Path(".triton")
HOUR = "03-09"
"""The whole hour that is weighed."""
WEIGHED = {"ped2-cpu": PED2, "upcam": dataclasses.replace(UPCAM, overrides=(*UPCAM.overrides, "data.test_glob=none"))}
"""What is weighed: the test clips of Ped2, and an hour of a real camera."""


def sizes(data_root: Path, work: Path, names: list[str]) -> dict[str, Any]:
    """Returns bytes a frame of `scores` and bytes a second of `heatmaps`; `names` are some of WEIGHED, or all."""
    figures: dict[str, Any] = {}
    for name in names or WEIGHED:
        one, archive = WEIGHED[name], work / "tables" / name / "archive"
        if one is not PED2:
            lay_out(data_root / "upcam-sample", work / one.name / "films")
        measure = trained(one, 1, data_root, work)
        if one is PED2:
            fill_archive(measure.config, data_root / one.footage, archive)
        else:
            hour = archive / "indoor" / "2026-01-03" / "09-00-00.mp4"
            hour.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data_root / "upcam-sample" / f"{HOUR}.mp4", hour)
        found = _weighed(_scored(one, measure, archive, work / one.name), one.name.partition("-")[0])
        print(found, flush=True)
        figures |= found | {f"{one.name.partition('-')[0]}_commit": commit()}
    return figures


def published(one: Set, measure: Measure, folder: Path) -> Path:
    """Publishes a model and returns the repository."""
    fitted, _ = fit_scene(measure, "", measure.config.score)
    evaluation = folder / "evaluation"
    evaluation.mkdir(exist_ok=True)
    for name in FITTED:
        (evaluation / f"{name}.json").write_text(to_json(getattr(fitted, name)), encoding="utf-8")
    export_checkpoint(measure.config, measure.manifest, folder / "seed-1" / "model", folder / "onnx")
    store = open_store(str(folder / "models"))
    for version in publish_all(folder / "onnx", evaluation, store, RUNTIME):
        promote(store, version.deployment, version.version)
    sync(store, folder / "repository")
    return folder / "repository"


def _scored(one: Set, measure: Measure, archive: Path, folder: Path) -> Path:
    """Publishes a model, scores the archive with it, and returns the tables."""
    repository, into = published(one, measure, folder), folder / "tables"
    shutil.rmtree(into, ignore_errors=True)
    paths = [str(repository / one.name / f"{name}.json") for name in FITTED]
    with EmbeddedTriton(repository, runtime=RUNTIME) as triton:
        summary = score_archive(str(archive), str(into), triton.grpc_url, one.name, *paths)
    if not summary.complete:
        raise RuntimeError(summary.message())
    return into


def _weighed(into: Path, name: str) -> dict[str, Any]:
    def weigh(table: str) -> tuple[int, int]:
        data = ds.dataset(into / table, partitioning=tables.PARTITIONING)
        return sum(path.stat().st_size for path in (into / table).rglob("*.parquet")), data.count_rows()

    scores, frames = weigh("scores")
    heatmaps, seconds = weigh("heatmaps")
    return {
        f"bytes_per_frame_{name}": round(scores / frames, 2),
        f"heatmap_bytes_per_second_{name}": round(heatmaps / seconds, 2),
        f"{name}_frames": frames,
        f"{name}_files": sum(1 for _ in (into / "scores").rglob("*.parquet")),
    }
