"""Scoring an archive with a real Triton, into files and into a real S3."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.dataset as ds
import pytest
from nights import GOOD, Night, bytes_of, covered, film, read, rows
from pyarrow import fs

from stmae import tables
from stmae.batch.rows import SHOWN_LOG10_P, heatmap_of
from stmae.scoring import DETECTORS
from stmae.scoring.normality import FrameValues, NormalityModel
from stmae.serving.client import Client
from stmae.storage import open_store
from stmae.storage.document import from_json


def test_every_source_has_one_coverage_row_and_every_frame_from_the_fifth_a_score(scored: Path) -> None:
    coverage, scores = covered(scored), read(scored, "scores").to_pylist()
    assert len(coverage) == len({row["source"] for row in coverage}) == len(GOOD)
    for row in coverage:
        path = next(path for path in GOOD if row["source"].endswith(path.replace(" ", "%20")))
        assert (row["status"], row["reason"]) == ("scored", None)
        assert (row["frames_reported"], row["frames_decoded"]) == (GOOD[path], GOOD[path])
        frames = sorted(score["frame"] for score in scores if score["source"] == row["source"])
        assert frames == list(range(4, GOOD[path]))
        assert row["frames_scored"] == len(frames)


def test_camera_date_and_wall_time_come_from_the_path(scored: Path) -> None:
    coverage = rows(scored, "coverage")
    assert {(row["camera"], row["date"]) for row in coverage} == {
        ("site", "undated"),
        ("gate", "2026-03-01"),
        ("yard 2", "2026-03-02"),
        ("yard 2", "undated"),
    }
    late = [row for row in read(scored, "scores").to_pylist() if row["date"] == "2026-03-02" and row["frame"] == 29]
    assert [row["wall_time"].isoformat() for row in late] == ["2026-03-03T00:00:00.900000+00:00"]
    assert all(row["wall_time"] is None for row in read(scored, "scores").to_pylist() if row["date"] == "undated")


@pytest.mark.parametrize("name", tables.SCHEMAS)
def test_every_table_is_read_by_pyarrow_with_its_schema(scored: Path, name: str) -> None:
    data = ds.dataset(scored / name, partitioning="hive")
    assert data.count_rows() == data.to_table().num_rows > 0
    for field in tables.SCHEMAS[name]:
        assert data.schema.field(field.name).type == field.type


def test_the_run_row_tells_the_counts_of_the_tables(scored: Path) -> None:
    (run,) = rows(scored, "runs")
    assert run["sources"] == run["sources_scored"] == len(GOOD)
    assert run["frames_scored"] == read(scored, "scores").num_rows
    assert run["events"] == read(scored, "events").num_rows > 0
    assert run["sources_failed"] == run["sources_done_before"] == 0


def test_scores_equal_those_of_the_client(scored: Path, archive: Path, night: Night) -> None:
    with Client(night.server_url, night.deployment) as client:
        expected = client.score_video(archive / "flat.mp4")
    kept = read(scored, "scores", format="parquet").filter(ds.field("camera") == "site").sort_by("frame")
    raw, normality = expected.raw, from_json(NormalityModel, (night.fitted / "normality.json").read_text())
    values = FrameValues.join(list(normality.frame_values([raw])))
    columns = {
        "psnr": raw.psnr,
        "memory_distance_appearance": raw.memory_distance[:, 0],
        "memory_distance_motion": raw.memory_distance[:, 1],
        **{name: values.values[:, index] for index, name in enumerate(DETECTORS)},
    }
    for name, computed in columns.items():
        np.testing.assert_allclose(kept[name], computed, rtol=1 / 2048, err_msg=name)
    maps = read(scored, "heatmaps", format="parquet").filter(ds.field("camera") == "site").sort_by("second")
    assert maps["second"].to_pylist() == [0, 1]
    highest = np.where(values.heatmap[:6].max(axis=0) < SHOWN_LOG10_P, 0, values.heatmap[:6].max(axis=0))
    found = heatmap_of(maps["heatmap"][0].as_py())
    np.testing.assert_allclose(found, np.minimum(highest, 255 / tables.HEATMAP_STEPS), atol=1 / tables.HEATMAP_STEPS)


def test_events_have_thumbnails_of_their_peak_and_the_lamp_is_the_rarest(scored: Path) -> None:
    events = rows(scored, "events")
    for event in events:
        image = cv2.imread(str(scored / event["thumbnail"]))
        assert image.shape == (96, 128, 3)
    rarest = max(events, key=lambda event: event["score"])
    assert 20 <= rarest["peak_frame"] < 25 + 4


def test_a_second_run_writes_nothing(night: Night, archive: Path, tmp_path: Path) -> None:
    first = night.score(archive, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = night.score(archive, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert (second.sources_done_before, second.sources_scored, second.frames_scored) == (len(GOOD), 0, 0)
    assert second.coverage == first.coverage == {"scored": len(GOOD)}


def test_two_runs_over_the_same_archive_are_equal_byte_for_byte(
    night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    night.score(archive, tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(scored)


def test_scoring_in_two_portions_gives_the_same_tables(
    night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    part = night.score(archive, tmp_path, date="2026-03-01")
    assert (part.sources, part.sources_scored) == (2, 2)
    rest = night.score(archive, tmp_path)
    assert (rest.sources_done_before, rest.sources_scored) == (2, 3)
    assert bytes_of(tmp_path) == bytes_of(scored)


def test_a_replaced_source_overwrites_its_rows(night: Night, archive: Path, tmp_path: Path) -> None:
    own, into = tmp_path / "site", tmp_path / "tables"
    shutil.copytree(archive, own)
    night.score(own, into)
    before = bytes_of(into)
    film(own / "flat.mp4", 25, seed=9)
    summary = night.score(own, into)
    assert (summary.sources_done_before, summary.sources_scored) == (len(GOOD) - 1, 1)
    after = bytes_of(into)
    pictures = {name for name in after if name.startswith("thumbnails/")}
    assert after.keys() - pictures == {name for name in before if not name.startswith("thumbnails/")}
    assert {event["thumbnail"] for event in rows(into, "events")} == pictures
    assert {name.split("/")[2] for name in after if after[name] != before.get(name)} == {"camera=site"}
    flat = [row for row in rows(into, "coverage") if row["camera"] == "site"]
    assert [row["frames_scored"] for row in flat] == [21]
    assert len([row for row in rows(into, "scores") if row["camera"] == "site"]) == 21


def test_s3_and_files_give_equal_tables(
    bucket: tuple[Any, str], night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    client, name = bucket
    for path in GOOD:
        client.upload_file(str(archive / path), name, f"site/{path}")
    summary = night.score(f"s3://{name}/site", f"s3://{name}/out/tables")
    assert (summary.sources_scored, summary.complete) == (len(GOOD), True)
    listed = {item.path: item.etag for item in open_store(f"s3://{name}/out/tables").list()}
    again = night.score(f"s3://{name}/site", f"s3://{name}/out/tables")
    assert again.sources_done_before == len(GOOD)
    assert {item.path: item.etag for item in open_store(f"s3://{name}/out/tables").list()} == listed
    # Equal but for the names of sources, ETags and what derives from them.
    own = {"source", "etag", "inputs", "event_id", "start_source", "end_source", "thumbnail"}
    store = open_store(f"s3://{name}/out/tables")
    for path in listed:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(path, target)
    for table in ("scores", "coverage", "events"):
        for one, other in zip(rows(tmp_path, table), rows(scored, table), strict=True):
            assert {key: one[key] for key in one.keys() - own} == {key: other[key] for key in one.keys() - own}


def test_s3_tables_are_read_by_pyarrow_alone(bucket: tuple[Any, str], night: Night, archive: Path) -> None:
    _, name = bucket
    night.score(archive, f"s3://{name}/tables", include="flat.mp4")
    system = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
    data = ds.dataset(f"{name}/tables/scores", partitioning=tables.PARTITIONING, filesystem=system)
    assert data.count_rows() == GOOD["flat.mp4"] - 4


def test_the_batch_job_never_imports_torch() -> None:
    code = "import stmae.batch.run, stmae.storage.s3, stmae.report.night, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
