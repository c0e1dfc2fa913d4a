"""Damage that a decoder meets in the middle of a night: each video has its row, and the others are as without it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from nights import Night, bytes_of, covered, film, rows
from recordings import bomb, changing_size, flip_bits, record

FLIPPED = [f"{name}{seed}" for name in ("mp4", "mkv", "ts", "avi") for seed in range(3)]
"""Cameras with videos of which bits were flipped."""
AT = "2026-03-01/08-00-00"


@dataclasses.dataclass(frozen=True)
class Damaged:
    site: Path
    tables: Path
    coverage: dict[str, dict[str, Any]]
    """Rows by camera."""


@pytest.fixture(scope="module")
def damaged(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """The tables of an archive with damaged videos of many cameras and a good one."""
    folder = tmp_path_factory.mktemp("damaged")
    site, tables = folder / "site", folder / "tables"
    film(site / f"gate/{AT}.mp4", 30)
    for camera in FLIPPED:
        suffix = camera[:-1]
        codec, pix_fmt = ("mjpeg", "yuvj420p") if suffix == "avi" else ("libx264", "yuv420p")
        path = record(site / f"{camera}/{AT}.{suffix}", 40, codec=codec, pix_fmt=pix_fmt)
        flip_bits(path, int(camera[-1]))
    bomb(site / f"bomb/{AT}.mov", 10_000)
    changing_size(site / f"larger/{AT}.ts", (192, 144), (256, 144))
    assert night.score(site, tables).complete
    return Damaged(site, tables, {row["camera"]: row for row in covered(tables)})


@pytest.mark.fault("a bit-flipped video")
def test_flipped_bits_cost_frames_and_are_told(damaged: Damaged) -> None:
    scores = rows(damaged.tables, "scores")
    for camera in FLIPPED:
        row, frames = damaged.coverage[camera], [each["frame"] for each in scores if each["camera"] == camera]
        assert row["status"] in ("scored", "truncated", "undecodable", "empty"), camera
        assert row["reason"] or row["frames_scored"] == 36, camera
        assert row["frames_scored"] == len(frames) == len(set(frames)) <= 36, camera


@pytest.mark.fault("a bit-flipped video")
def test_videos_beside_damaged_ones_are_scored_as_without_them(damaged: Damaged, night: Night, tmp_path: Path) -> None:
    assert night.score(damaged.site, tmp_path, include="gate/*").complete
    alone = bytes_of(tmp_path)
    beside = bytes_of(damaged.tables)
    assert {path: beside[path] for path in alone} == alone


@pytest.mark.fault("a bit-flipped video")
def test_damaged_videos_give_the_same_rows_again(damaged: Damaged, night: Night, tmp_path: Path) -> None:
    assert night.score(damaged.site, tmp_path).complete
    assert bytes_of(tmp_path) == bytes_of(damaged.tables)


@pytest.mark.fault("a decompression bomb")
def test_a_decompression_bomb_is_a_row_with_a_reason(damaged: Damaged) -> None:
    row = damaged.coverage["bomb"]
    assert (row["status"], row["frames_scored"]) == ("undecodable", 0)
    assert "its pictures are 10000x10000: larger than is decoded" in row["reason"]


@pytest.mark.fault("a video whose resolution changes")
def test_a_resolution_that_changes_is_told_and_both_parts_are_scored(damaged: Damaged) -> None:
    row = damaged.coverage["larger"]
    assert (row["status"], row["frames_scored"]) == ("scored", 36)
    assert "frame 20 on is 256x144, the frames before are 192x144" in row["reason"]
