"""An archive that changes while it is listed or read: the next run settles it, and nothing is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from depots import FIRST, SECOND, THIRD, Depot
from nights import Night, bytes_of, covered
from proxy import Exchange, at_once
from recordings import record


def fresh(night: Night, archive: Path | str, tables: Path) -> dict[str, bytes]:
    """Returns what tables hold that are written without a fault."""
    assert night.score(archive, tables).complete
    return bytes_of(tables)


@pytest.mark.fault("a listing of S3 that changes between two pages")
def test_what_comes_and_goes_between_two_pages_of_a_listing_is_neither_lost_nor_doubled(
    night: Night, own_depot: Depot, films: tuple[Path, ...], tmp_path: Path
) -> None:
    paths = [f"gate/2026-03-01/10-{minute:02}-00.avi" for minute in range(9)]
    for path in paths:
        own_depot.put(path, films[0])
    if not own_depot.client.list_objects_v2(Bucket=own_depot.bucket)["IsTruncated"]:
        pytest.skip("this server lists an archive of the tests in one page")

    def change() -> None:
        for path in (FIRST, THIRD):  # one was listed, the other was not yet
            own_depot.delete(path)
        own_depot.put("gate/2026-03-01/08-59-50.avi", films[3])
        own_depot.put("zone/2026-03-01/10-00-00.avi", films[3])

    own_depot.proxy.spoil("continuation-token", at_once(change), times=1)
    summary = night.score(own_depot.site, tmp_path / "tables")
    assert summary.coverage == {"missing": 1, "scored": 11}
    assert night.score(own_depot.site, tmp_path / "tables").coverage == {"scored": 12}
    assert bytes_of(tmp_path / "tables") == fresh(night, own_depot.site, tmp_path / "fresh")


@pytest.mark.fault("an object that is deleted after it was listed")
def test_an_object_that_is_deleted_after_the_listing_is_missing_and_is_scored_when_it_is_back(
    night: Night, own_depot: Depot, films: tuple[Path, ...], tmp_path: Path
) -> None:
    own_depot.proxy.spoil(f"GET /.*{FIRST}", at_once(lambda: own_depot.delete(SECOND)), times=1)
    assert night.score(own_depot.site, tmp_path / "tables").coverage == {"missing": 1, "scored": 2}
    (row,) = (row for row in covered(tmp_path / "tables") if row["status"] == "missing")
    assert row["source"] == f"{own_depot.site}/{SECOND}"
    assert row["reason"] == "the object vanished between listing and reading"
    own_depot.put(SECOND, films[1])
    assert night.score(own_depot.site, tmp_path / "tables").coverage == {"scored": 3}
    assert bytes_of(tmp_path / "tables") == fresh(night, own_depot.site, tmp_path / "fresh")


def broken_off(action: Callable[[], object]) -> Callable[[Exchange], None]:
    """Does something after half of an answer, which then ends."""

    def fault(exchange: Exchange) -> None:
        exchange.reply_half()
        action()

    return fault


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        pytest.param(FIRST, at_once, marks=pytest.mark.fault("an object that is replaced after it was listed")),
        pytest.param(SECOND, broken_off, marks=pytest.mark.fault("an object that is replaced while it is read")),
    ],
)
def test_of_an_object_that_is_replaced_the_coverage_names_the_bytes_that_were_read(
    night: Night,
    own_depot: Depot,
    films: tuple[Path, ...],
    tmp_path: Path,
    spoilt: str,
    fault: Callable[[Callable[[], object]], Callable[[Exchange], None]],
) -> None:
    own_depot.proxy.spoil(f"GET /.*{spoilt}", fault(lambda: own_depot.put(SECOND, films[3])), times=1)
    assert night.score(own_depot.site, tmp_path / "tables").complete
    (row,) = (row for row in covered(tmp_path / "tables") if row["source"].endswith(SECOND))
    listed = own_depot.client.head_object(Bucket=own_depot.bucket, Key=f"site/{SECOND}")
    assert row["etag"] == listed["ETag"].strip('"')
    assert night.score(own_depot.site, tmp_path / "tables").complete
    assert bytes_of(tmp_path / "tables") == fresh(night, own_depot.site, tmp_path / "fresh")


@pytest.mark.fault("a video that grows while it is read")
def test_a_video_that_grows_is_scored_as_far_as_it_goes_and_again_when_it_is_whole(
    night: Night, tmp_path: Path
) -> None:
    growing = tmp_path / "site/gate/2026-03-01/08-00-00.ts"
    whole = record(tmp_path / "whole.ts", 80, container="mpegts").read_bytes()
    record(tmp_path / "site/gate/2026-03-01/08-00-30.ts", 20, container="mpegts")
    half, scored = len(whole) // 2, threading.Event()
    growing.write_bytes(whole[:half])

    def grow() -> None:
        with growing.open("ab", buffering=0) as file:
            for at in range(half, len(whole) - 20, 20):
                if scored.wait(0.002):
                    return
                file.write(whole[at : at + 20])

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        summary = night.score(tmp_path / "site", tmp_path / "tables")
    finally:
        scored.set()
        writer.join()
    assert summary.coverage["scored"] >= 1
    (row, _) = covered(tmp_path / "tables")
    assert 16 < row["frames_scored"] <= 76
    growing.write_bytes(whole)
    assert night.score(tmp_path / "site", tmp_path / "tables").coverage == {"scored": 2}
    assert bytes_of(tmp_path / "tables") == fresh(night, tmp_path / "site", tmp_path / "fresh")
