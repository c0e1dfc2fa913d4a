"""A camera's recordings are one stream, however recorders cut it; hours are scored one by one and fit together."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from nights import Night, bytes_of, covered, read, rows

from stmae import tables
from stmae.archive.layouts import Place
from stmae.archive.sources import Source
from stmae.archive.timeline import units_of
from stmae.batch.events import events_table
from stmae.serving.client import Client
from stmae.video.writer import write_video

FPS = 10
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNIT = ("scores", "heatmaps", "events")
MEASURED = ("psnr", "memory_distance_appearance", "memory_distance_motion")
VALUES = (*MEASURED, "prediction", "motion", "appearance", "persistence")


def pictures(seconds: float) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    ground = random.integers(60, 120, (96, 128, 3))
    images = []
    for index in range(round(seconds * FPS)):
        image = ground + random.integers(-4, 5, ground.shape)
        left = index * 3 % 104
        image[30:60, left : left + 24] = 230
        images.append(image.astype(np.uint8))
    return images


FILM = pictures(40)


def record(site: Path, start: datetime, *pieces: tuple[float, float]) -> Path:
    """Writes the seconds from .. to of the film as files that are named by when they begin. MJPEG: each frame alone."""
    for begins, ends in pieces:
        at = start + timedelta(seconds=begins)
        path = site / f"gate/{at:%Y-%m-%d}/{at:%H-%M-%S}.avi"
        write_video(path, FILM[round(begins * FPS) : round(ends * FPS)], FPS, "MJPG")
    return site


def frames(tables: Path) -> list[dict[str, Any]]:
    """Rows of `scores` in order of time, without what names the file."""
    found = sorted(read(tables, "scores").to_pylist(), key=lambda row: row["wall_time"])
    return [{name: row[name] for name in ("wall_time", *VALUES)} for row in found]


@pytest.fixture(scope="module")
def whole(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of 40 seconds in one file."""
    folder = tmp_path_factory.mktemp("whole")
    night.score(record(folder / "site", NOON, (0, 40)), folder / "tables")
    return folder / "tables"


@pytest.mark.parametrize("seams", [[10, 20, 30], [1, 8, 9, 29, 33]])
def test_footage_in_pieces_gives_the_rows_of_one_file(
    whole: Path, night: Night, tmp_path: Path, seams: list[int]
) -> None:
    pieces = list(zip([0, *seams], [*seams, 40], strict=True))
    night.score(record(tmp_path / "site", NOON, *pieces), tmp_path / "tables")
    assert frames(tmp_path / "tables") == frames(whole)
    maps = [sorted(row["heatmap"] for row in rows(tables, "heatmaps")) for tables in (whole, tmp_path / "tables")]
    assert maps[0] == maps[1]
    assert len(list((tmp_path / "tables/scores").rglob("*.parquet"))) == 1
    coverage = rows(tmp_path / "tables", "coverage")
    assert [row["status"] for row in coverage] == ["scored"] * len(pieces)
    assert sum(row["seconds"] for row in coverage) == pytest.approx(40.0)


def test_pieces_that_are_named_by_whole_seconds_lose_no_frame_at_their_seams(
    whole: Path, night: Night, tmp_path: Path
) -> None:
    site = tmp_path / "site/gate/2026-03-01"
    for name, begins, ends in (("12-00-00", 0, 13.4), ("12-00-13", 13.4, 21.7), ("12-00-21", 21.7, 40)):
        write_video(site / f"{name}.avi", FILM[round(begins * FPS) : round(ends * FPS)], FPS, "MJPG")
    night.score(tmp_path / "site", tmp_path / "tables")
    scores = read(tmp_path / "tables", "scores")
    assert scores.num_rows == len(frames(whole)) == 396
    assert [row["status"] for row in rows(tmp_path / "tables", "coverage")] == ["scored"] * 3


def test_a_missing_minute_is_a_gap_of_60_seconds(night: Night, tmp_path: Path) -> None:
    record(tmp_path / "site", NOON, (0, 20))
    record(tmp_path / "site", NOON + timedelta(seconds=60), (20, 40))
    night.score(tmp_path / "site", tmp_path / "tables")
    coverage = sorted(rows(tmp_path / "tables", "coverage"), key=lambda row: row["start_time"])
    assert [(row["status"], row["seconds"]) for row in coverage] == [
        ("scored", pytest.approx(20.0)),
        ("gap", pytest.approx(60.0)),
        ("scored", pytest.approx(20.0)),
    ]
    assert (coverage[1]["start_time"], coverage[1]["source"]) == (NOON + timedelta(seconds=20), None)
    assert coverage[1]["end_time"] == NOON + timedelta(seconds=80)
    assert len(frames(tmp_path / "tables")) == 2 * (200 - 4)


def test_an_hour_is_warmed_up_by_the_one_before_it_and_looks_into_the_one_after(
    whole: Path, night: Night, tmp_path: Path
) -> None:
    record(tmp_path / "site", NOON - timedelta(seconds=20), (0, 10), (10, 20), (20, 30), (30, 40))
    night.score(tmp_path / "site", tmp_path / "tables")
    assert len(list((tmp_path / "tables/scores").rglob("*.parquet"))) == 2
    found, expected = frames(tmp_path / "tables"), frames(whole)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one["wall_time"] == other["wall_time"] - timedelta(seconds=20)
        # The server computes segments of other lengths at the full hour.
        assert [one[name] for name in VALUES] == pytest.approx([other[name] for name in VALUES], rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("first", ["2026-03-01", "2026-03-02"])
def test_hours_that_are_scored_apart_give_the_same_bytes(night: Night, tmp_path: Path, first: str) -> None:
    midnight = NOON + timedelta(hours=12)
    record(tmp_path / "site", midnight - timedelta(seconds=20), (0, 10), (10, 20), (20, 30), (30, 40))
    night.score(tmp_path / "site", tmp_path / "together")
    night.score(tmp_path / "site", tmp_path / "apart", date=first)
    night.score(tmp_path / "site", tmp_path / "apart")
    assert bytes_of(tmp_path / "apart") == bytes_of(tmp_path / "together")


@pytest.fixture
def short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warms up with 20 seconds instead of ten minutes, so that the beginning of the warm-up lies within the film."""
    for module in ("stmae.archive.timeline", "stmae.batch.unit_stream"):
        monkeypatch.setattr(f"{module}.WARM_UP", timedelta(seconds=20))


@pytest.mark.usefixtures("short_warm_up")
@pytest.mark.parametrize(
    "pieces",
    [
        [(start, start + 5) for start in range(0, 40, 5)],
        [(0, 30), (30, 40)],
        [(0, 12), (12, 30), (30, 35), (35, 40)],
        # A long recording, and short ones of what it shows too: the long one began before what warms up.
        [(0, 29), (3, 5), (15, 18), (25, 27), (30, 40)],
    ],
)
def test_an_hour_is_the_same_whether_the_one_before_it_was_just_scored_or_not(
    night: Night, tmp_path: Path, pieces: list[tuple[float, float]]
) -> None:
    record(tmp_path / "site", NOON - timedelta(seconds=30), *pieces)
    night.score(tmp_path / "site", tmp_path / "together")
    for hour in ("12-*", "11-*"):
        night.score(tmp_path / "site", tmp_path / "apart", include=hour)
    assert bytes_of(tmp_path / "apart") == bytes_of(tmp_path / "together")


def test_an_hour_that_follows_one_in_the_same_run_needs_no_warming_up(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = record(tmp_path / "site", NOON - timedelta(seconds=20), *((start, start + 10) for start in range(0, 40, 10)))
    asked, stream = Counter[str](), Client.score_stream

    def counted(client: Client, segments: Any) -> Any:
        for raw in stream(client, segments):
            asked[run] += len(raw)
            yield raw

    monkeypatch.setattr(Client, "score_stream", counted)
    run = "together"
    night.score(site, tmp_path / "together")
    run = "apart"
    for hour in ("11-*", "12-*"):
        night.score(site, tmp_path / "apart", include=hour)
    assert asked["together"] <= 400 + 2 * FPS + 16, "the film, what follows an hour's end, and a segment begun"
    assert asked["apart"] > asked["together"] + 150


def test_events_of_stitched_recordings_can_be_rebuilt_from_their_rows(night: Night, tmp_path: Path) -> None:
    film = [np.full_like(image, 250) if 195 <= index < 215 else image for index, image in enumerate(FILM)]
    for begins, ends in ((0, 20), (20, 40)):
        path = tmp_path / f"site/gate/2026-03-01/12-00-{begins:02}.avi"
        write_video(path, film[begins * FPS : ends * FPS], FPS, "MJPG")
    night.score(tmp_path / "site", tmp_path / "tables")
    kept = {name: pq.read_table(*(tmp_path / "tables" / name).rglob("12.parquet"), partitioning=None) for name in UNIT}
    (model,) = (path.name.removeprefix("model=") for path in (tmp_path / "tables/scores").iterdir())
    partition = tables.Partition(model, "gate", "2026-03-01")
    rebuilt = events_table(kept["scores"], kept["heatmaps"], night.calibration(), partition)
    assert rebuilt.to_pylist() == kept["events"].to_pylist()
    assert any(event["start_source"] != event["end_source"] for event in rebuilt.to_pylist())


@pytest.mark.fault("footage that arrives late")
def test_footage_that_arrives_late_is_scored_into_its_hour_and_what_depends_on_it(night: Night, tmp_path: Path) -> None:
    site = record(tmp_path / "site", NOON - timedelta(seconds=20), (0, 10), (10, 20), (20, 30), (30, 40))
    night.score(site, tmp_path / "at once")
    late = site / "gate/2026-03-01/11-59-50.avi"
    shutil.move(late, tmp_path / "late.avi")
    night.score(site, tmp_path / "tables")
    assert [row["seconds"] for row in rows(tmp_path / "tables", "coverage") if row["status"] == "gap"] == [10.0]
    shutil.move(tmp_path / "late.avi", late)
    assert night.score(site, tmp_path / "tables").sources_scored == 4
    assert bytes_of(tmp_path / "tables") == bytes_of(tmp_path / "at once")
    assert night.score(site, tmp_path / "tables").sources_scored == 0


@pytest.mark.fault("two files of one camera that overlap in time")
def test_what_two_files_of_a_camera_cover_is_scored_and_counted_once(whole: Path, night: Night, tmp_path: Path) -> None:
    record(tmp_path / "site", NOON, (0, 25), (15, 40))
    shutil.copytree(tmp_path / "site/gate", tmp_path / "site/gate copy")
    night.score(tmp_path / "site", tmp_path / "tables", include="gate/*")
    assert [row["wall_time"] for row in frames(tmp_path / "tables")] == [row["wall_time"] for row in frames(whole)]
    assert [row["seconds"] for row in covered(tmp_path / "tables")] == pytest.approx([25.0, 15.0])


@pytest.mark.fault("two files of one camera and time")
def test_two_files_of_one_camera_and_time_are_one_recording(night: Night, tmp_path: Path) -> None:
    site = record(tmp_path / "site", NOON, (0, 20))
    shutil.copy(site / "gate/2026-03-01/12-00-00.avi", site / "gate/2026-03-01/12-00-00.mkv")
    night.score(site, tmp_path / "tables")
    one, other = covered(tmp_path / "tables")
    assert (one["status"], one["seconds"], other["status"], other["seconds"]) == ("scored", 20.0, "skipped", 0.0)
    assert other["reason"] == "another recording of the camera covers the same time"


def test_a_recording_that_pauses_has_a_gap_at_its_place(night: Night, tmp_path: Path) -> None:
    from recordings import even
    from recordings import record as recorded

    recorded(tmp_path / "site/gate/2026-03-01/12-00-00.mkv", times=lambda number: even(number) + 30 * (number >= 40))
    night.score(tmp_path / "site", tmp_path / "tables")
    coverage = sorted(rows(tmp_path / "tables", "coverage"), key=lambda row: row["status"])
    assert [(row["status"], row["seconds"]) for row in coverage] == [
        ("gap", pytest.approx(30.0)),
        ("scored", pytest.approx(8.0)),
    ]
    assert coverage[0]["start_time"] == NOON + timedelta(seconds=4)
    assert coverage[1]["frames_scored"] == 80 - 2 * 4


def source(path: str, start: datetime | None) -> Source:
    place = Place("gate", f"{start:%Y-%m-%d}" if start else "undated", start)
    return Source(f"s3://a/{path}", place, "e", 1)


def test_a_day_of_ten_second_files_is_24_units_and_each_file_is_the_own_of_one() -> None:
    day = [source(f"{index:05}.mp4", NOON + timedelta(seconds=10 * index)) for index in range(8640)]
    units = units_of([*day, source("loose.mp4", None)])
    assert len(units) == 25
    assert sorted(each.uri for unit in units for each in unit.own) == sorted(
        [*(each.uri for each in day), "s3://a/loose.mp4"]
    )
    timed = [unit for unit in units if unit.date != "undated"]
    for one, following in itertools.pairwise(timed):
        assert one.after == following.own[0]
        assert following.before == one.own[-60:]  # ten minutes
    assert (timed[0].before, timed[-1].after) == ((), None)
    assert {unit.key for unit in timed} == {f"{hour:02}" for hour in range(24)}
