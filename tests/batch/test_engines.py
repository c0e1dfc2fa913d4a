"""Engines: wherever sources are scored, the tables are the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from nights import GOOD, Night, bytes_of, rows

from stmae.batch import engines


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A real Ray of two CPUs on loopback."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_ray_writes_the_tables_of_the_local_engine_byte_for_byte(
    night: Night, archive: Path, scored: Path, tmp_path: Path
) -> None:
    summary = night.score(archive, tmp_path, engine="ray")
    assert summary.complete
    assert summary.sources_scored == len(GOOD)
    assert bytes_of(tmp_path) == bytes_of(scored)


@pytest.mark.usefixtures("cluster")
def test_a_video_that_cannot_be_read_is_a_row_with_a_reason_to_ray_too(night: Night, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "broken.mp4").write_bytes(b"not a video")
    summary = night.score(tmp_path / "archive", tmp_path / "tables", engine="ray")
    assert summary.complete
    (row,) = rows(tmp_path / "tables", "coverage")
    assert row["status"] == "undecodable"
    assert row["reason"]


def test_an_engine_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(engines.EngineError, match=r"pip install 'stmae\[ray\]'"):
        next(engines.engine("ray")(None, []))  # type: ignore[arg-type]


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(engines.EngineError, match="one of local, ray"):
        engines.engine("spark")
