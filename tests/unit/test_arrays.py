"""Streamed arrays, and links to files of the flow cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from stmae.datasets.arrays import write_npy
from stmae.datasets.flow_cache import link_or_copy


@pytest.mark.parametrize("count", [1, 9, 10, 12_345])
def test_streamed_arrays_read_back(tmp_path: Path, count: int) -> None:
    rows = np.arange(count * 3, dtype=np.uint8).reshape(count, 3)
    assert write_npy(tmp_path / "x.npy", rows) == count
    assert np.array_equal(np.load(tmp_path / "x.npy"), rows)


def test_a_stream_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def rows() -> object:
        yield np.zeros(3, np.uint8)
        raise RuntimeError("disk pulled")

    with pytest.raises(RuntimeError, match="disk pulled"):
        write_npy(tmp_path / "x.npy", rows())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_linked_or_on_another_file_system_copied(tmp_path: Path) -> None:
    source = tmp_path / "flow.npy"
    source.write_bytes(b"flow")
    for _ in range(2):
        link_or_copy(source, tmp_path / "run" / "flow.npy")
    assert (tmp_path / "run" / "flow.npy").samefile(source)
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system, /dev/shm")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        link_or_copy(source, Path(folder, "flow.npy"))
        assert Path(folder, "flow.npy").read_bytes() == b"flow"
