"""Files that recorders write and that are odd: each is scored as far as it goes, and what is odd is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nights import Night, rows
from recordings import even, last_long, record, retouched, sound, spoil_packet, step_back, with_small_track


@dataclasses.dataclass(frozen=True)
class Case:
    """A file of a recorder, and what coverage has to say of it."""

    suffix: str
    write: Callable[[Path], Path]
    decoded: int = 80
    scored: int = 76
    status: str = "scored"
    reason: str | None = None
    gap: float | None = None
    """Seconds of the gap within it."""


REPLACED = "time stamps replaced because they disagree with those around them: 1"
CASES = {
    "plain": Case("mp4", record),
    "spike": Case("mp4", lambda path: record(path, times=lambda n: even(n) + 319 * (n == 40)), reason=REPLACED),
    "back": Case("mkv", lambda path: retouched(path, step_back), reason=REPLACED),
    "longlast": Case("mp4", lambda path: retouched(path, last_long)),
    "offset3600": Case("mkv", lambda path: record(path, times=lambda n: 3600 + even(n))),
    "gap30": Case("mkv", lambda path: record(path, times=lambda n: even(n) + 30 * (n >= 40)), scored=72, gap=30),
    "vfr": Case("mkv", lambda path: record(path, 48, times=lambda n: max(even(n), 4 + (n - 40) / 2)), 48, 44),
    "onebad": Case(
        *("mp4", lambda path: spoil_packet(record(path), 40), 71, 67, "truncated"),
        reason="71 of 80 frames could be decoded: the file is damaged",
    ),
    "audiogap": Case(
        *("mkv", lambda path: record(path, times=lambda n: even(n) + 15 * (n >= 40), audio_seconds=30)),
        *(80, 72, "scored", None, 15),
    ),
    "audiolonger": Case("ts", lambda path: record(path, container="mpegts", audio_seconds=30)),
    "midgop": Case(
        *("ts", lambda path: record(path, 160, gop=100, container="mpegts", drop=range(5)), 60, 56, "truncated"),
        reason="60 of 155 frames could be decoded: the 95 before the first key frame cannot be",
    ),
    "smalltrack": Case("mkv", with_small_track),
    "rawstream": Case("mp4", lambda path: record(path, 30, container="h264"), 30, 26),
    "av1": Case("mp4", lambda path: record(path, codec="libsvtav1")),
    "audioonly": Case("mp4", sound, 0, 0, "undecodable", "no video stream"),
    "mts": Case("mts", lambda path: record(path, container="mpegts")),
    "dav": Case("dav", lambda path: record(path, container="mpegts")),
}


@pytest.fixture(scope="module")
def coverage(night: Night, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Coverage rows by camera; a camera is a case."""
    folder = tmp_path_factory.mktemp("recorders")
    for name, case in CASES.items():
        case.write(folder / f"site/{name}/2026-11-01/08-00-00.{case.suffix}")
    assert night.score(folder / "site", folder / "tables").complete
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CASES}
    for row in rows(folder / "tables", "coverage"):
        found[row["camera"]].append(row)
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.fault(f"a recorder's file: {name}")] if name != "plain" else [])
        for name in CASES
    ],
)
def test_an_odd_file_is_scored_as_far_as_it_goes(coverage: dict[str, list[dict[str, Any]]], name: str) -> None:
    case, gaps = CASES[name], [row["seconds"] for row in coverage[name] if row["status"] == "gap"]
    (row,) = (row for row in coverage[name] if row["status"] != "gap")
    assert (row["status"], row["frames_decoded"], row["frames_scored"]) == (case.status, case.decoded, case.scored)
    assert row["reason"] == case.reason
    assert gaps == ([] if case.gap is None else [pytest.approx(case.gap, abs=0.01)])
