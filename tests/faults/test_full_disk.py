"""A disk that is full or must not be written: a clear end, nothing lost, and a rerun completes."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from depots import Depot
from nights import GOOD, Night, bytes_of, covered
from proxy import refuse

from stmae.storage.base import StoreError


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs with the given options on a folder of the test's own."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = []

    def mount_it(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a tmpfs needs root and the right to mount")
        mounted.append(folder)
        return folder

    yield mount_it
    for each in mounted:
        subprocess.run(["umount", str(each)], check=True)


@pytest.mark.fault("a full disk")
def test_a_full_disk_ends_the_run_clearly_and_a_rerun_completes_it(
    mount: Callable[[str], Path], night: Night, archive: Path, scored: Path
) -> None:
    folder = mount("size=1m")
    ballast, tables = folder / "ballast", folder / "tables"
    ballast.write_bytes(bytes((1 << 20) - 72 * 1024))
    summary = night.score(archive, tables)
    assert not summary.complete
    assert 0 < summary.sources_scored < len(GOOD)
    assert "no space left on the device" in summary.message()
    assert "left for the next run" in summary.message()
    assert len(covered(tables)) == summary.sources_scored
    ballast.unlink()
    again = night.score(archive, tables)
    assert again.complete
    assert again.sources_done_before == summary.sources_scored
    assert bytes_of(tables) == bytes_of(scored)


@pytest.mark.fault("a read-only file system")
def test_a_read_only_file_system_is_refused_before_any_work(
    mount: Callable[[str], Path], night: Night, archive: Path
) -> None:
    folder = mount("size=1m,ro")
    with pytest.raises(StoreError, match=r"mounted.*not permitted.*choose another folder"):
        night.score(archive, folder)
    with pytest.raises(StoreError, match=r"tables: not permitted.*choose another folder"):
        night.score(archive, folder / "tables")


@pytest.mark.fault("a full disk for local copies")
def test_a_full_disk_for_local_copies_is_named_with_what_to_do_and_a_rerun_completes(
    mount: Callable[[str], Path],
    night: Night,
    archive: Path,
    scored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(mount("size=16k")))
        summary = night.score(archive, tmp_path / "tables")
    assert not summary.complete
    assert summary.coverage["missing"] > 0
    assert re.search(r"no space left on the device.*TMPDIR names another folder", summary.message())
    assert night.score(archive, tmp_path / "tables").complete
    assert bytes_of(tmp_path / "tables") == bytes_of(scored)


@pytest.mark.fault("a full bucket")
def test_a_full_bucket_ends_the_run_clearly_and_a_rerun_completes_it(
    night: Night, depot: Depot, undisturbed: dict[str, bytes]
) -> None:
    tables = depot.tables("full")
    depot.proxy.spoil_from("PUT /.*09.parquet", refuse(507, "QuotaExceeded"))
    summary = night.score(depot.site, tables)
    assert (summary.sources_scored, summary.sources_failed) == (1, 2)
    assert "the store is full (QuotaExceeded); free space or raise the quota" in summary.message()
    depot.proxy.heal()
    assert night.score(depot.site, tables).complete
    assert depot.bytes_of(tables) == undisturbed


def test_a_file_in_the_place_of_the_tables_is_named(night: Night, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("in the way")
    with pytest.raises(StoreError, match=r"tables.*a file is where a folder must be"):
        night.score(archive, tmp_path / "tables")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "scores").write_text("in the way")
    summary = night.score(archive, tmp_path / "half")
    assert (summary.sources_scored, summary.complete) == (0, False)
    assert "a file is where a folder must be" in summary.message()
