"""One bad video never stops a night: it becomes a coverage row with its reason, and the rest is scored."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from nights import GOOD, Night, bytes_of, covered, film, read, rows

from stmae.batch.plan import make_plan
from stmae.storage import FileStore


@pytest.fixture(scope="module")
def bad_night(
    night: Night, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, dict[str, Any]], Path]:
    """Coverage rows by file name, and the tables, of an archive with every kind of bad video among good ones."""
    site = tmp_path_factory.mktemp("bad") / "site"
    shutil.copytree(archive, site)
    whole = (site / "gate/2026-03-01/08-00-00.mp4").read_bytes()
    movie = (site / "yard 2/2026-03-02/23-59-58.avi").read_bytes()
    (site / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (site / "cut.avi").write_bytes(movie[: len(movie) // 2])
    (site / "codec.avi").write_bytes(movie.replace(b"MJPG", b"ZZZZ"))
    (site / "zero.mp4").write_bytes(b"")
    (site / "text.mp4").write_text("not a video at all\n" * 50)
    film(site / "short.mp4", 4)
    tables = site.parent / "tables"
    summary = night.score(site, tables)
    assert summary.complete
    assert summary.sources_scored == len(GOOD) + 6
    return {row["source"].rsplit("/", 1)[-1]: row for row in covered(tables)}, tables


@pytest.mark.parametrize(
    ("name", "status", "why"),
    [
        pytest.param("cut.mp4", "undecodable", "", marks=pytest.mark.fault("a truncated video without its index")),
        pytest.param("cut.avi", "truncated", "could be decoded", marks=pytest.mark.fault("a truncated video")),
        pytest.param("codec.avi", "undecodable", "", marks=pytest.mark.fault("a video of an unknown codec")),
        pytest.param("zero.mp4", "empty", "", marks=pytest.mark.fault("a 0-byte video")),
        pytest.param("text.mp4", "undecodable", "", marks=pytest.mark.fault("a text in place of a video")),
        pytest.param("short.mp4", "skipped", "4 frames: too short", marks=pytest.mark.fault("a video of 4 frames")),
    ],
)
def test_a_bad_video_becomes_a_coverage_row_with_its_reason(
    bad_night: tuple[dict[str, dict[str, Any]], Path], name: str, status: str, why: str
) -> None:
    row = bad_night[0][name]
    assert row["status"] == status
    assert row["reason"]
    assert why in row["reason"]
    assert (row["frames_scored"] > 0) == (status == "truncated")


def test_the_frames_before_a_cut_are_scored(bad_night: tuple[dict[str, dict[str, Any]], Path]) -> None:
    coverage, tables = bad_night
    row = coverage["cut.avi"]
    assert 5 <= row["frames_decoded"] < row["frames_reported"] == 30
    frames = [score["frame"] for score in rows(tables, "scores") if score["source"] == row["source"]]
    assert sorted(frames) == list(range(4, row["frames_decoded"]))


def test_the_good_videos_are_scored_all_the_same(bad_night: tuple[dict[str, dict[str, Any]], Path]) -> None:
    coverage, tables = bad_night
    assert len(coverage) == len(covered(tables)) == len(GOOD) + 6
    good = [row for row in coverage.values() if row["status"] == "scored"]
    assert sorted(row["frames_scored"] for row in good) == sorted(frames - 4 for frames in GOOD.values())


def test_bad_videos_are_done_too(bad_night: tuple[dict[str, dict[str, Any]], Path], night: Night) -> None:
    _, tables = bad_night
    before = bytes_of(tables, runs=True)
    assert night.score(tables.parent / "site", tables).sources_scored == 0
    assert bytes_of(tables, runs=True) == before


@pytest.mark.fault("a file that vanishes after it was listed")
def test_a_video_that_vanishes_after_the_listing_is_missing_and_is_scored_when_it_is_back(
    night: Night, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, tables = tmp_path / "site", tmp_path / "tables"
    shutil.copytree(archive, site)

    def and_then_it_goes(*arguments: Any, **options: Any) -> Any:
        plan = make_plan(*arguments, **options)
        (site / "flat.mp4").rename(tmp_path / "away.mp4")
        return plan

    with monkeypatch.context() as patch:
        patch.setattr("stmae.batch.survey.make_plan", and_then_it_goes)
        summary = night.score(site, tables)
    assert summary.complete
    assert summary.coverage == {"missing": 1, "scored": len(GOOD) - 1}
    (tmp_path / "away.mp4").rename(site / "flat.mp4")
    assert night.score(site, tables).coverage == {"scored": len(GOOD)}
    assert read(tables, "scores").num_rows == sum(frames - 4 for frames in GOOD.values())


@pytest.mark.fault("a file that cannot be read")
def test_a_video_that_cannot_be_read_is_left_for_the_next_run(
    night: Night, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = FileStore.download

    def fails_for_one(store: FileStore, path: str, target: Path) -> str:
        with store._errors(path):
            if path == "flat.mp4":
                raise OSError(5, "Input/output error")
        return download(store, path, target)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "download", fails_for_one)
        summary = night.score(archive, tmp_path)
    assert not summary.complete
    assert (summary.sources_failed, summary.sources_scored) == (1, len(GOOD) - 1)
    assert "flat.mp4: Input/output error" in summary.message()
    assert night.score(archive, tmp_path).sources_scored == 1


def test_an_archive_that_is_not_there_is_an_error(night: Night, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent: no such folder"):
        night.score(tmp_path / "absent", tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
