"""A disk that is full or must not be written: a clear end, nothing lost, and a rerun completes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nights import GOOD, Night, bytes_of, covered

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


def test_a_read_only_file_system_is_refused_before_any_work(
    mount: Callable[[str], Path], night: Night, archive: Path
) -> None:
    folder = mount("size=1m,ro")
    with pytest.raises(StoreError, match=r"mounted.*not permitted.*choose another folder"):
        night.score(archive, folder)
    with pytest.raises(StoreError, match=r"tables: not permitted.*choose another folder"):
        night.score(archive, folder / "tables")


def test_a_file_in_the_place_of_the_tables_is_named(night: Night, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("in the way")
    with pytest.raises(StoreError, match=r"tables.*a file is where a folder must be"):
        night.score(archive, tmp_path / "tables")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "scores").write_text("in the way")
    summary = night.score(archive, tmp_path / "half")
    assert (summary.sources_scored, summary.complete) == (0, False)
    assert "a file is where a folder must be" in summary.message()
