"""The atomic write: whole files only, no leftovers, safe beside other writers where that is asked for."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stmae.storage.atomic import atomic_path, write_atomically


def test_a_file_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.json"
    write_atomically(path, b"old")
    with atomic_path(path) as aside:
        aside.write_bytes(b"half")
        assert path.read_bytes() == b"old"
        aside.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert [file.name for file in path.parent.iterdir()] == ["x.json"]


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, b"old")

    def write_half() -> None:
        with atomic_path(path) as aside:
            aside.write_bytes(b"half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_half()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_the_bytes_are_on_disk_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    existed_at_flush = []
    monkeypatch.setattr(os, "fsync", lambda _: existed_at_flush.append(path.exists()))
    write_atomically(path, b"bytes")
    assert existed_at_flush == [False]


def test_the_path_to_write_to_is_hidden_and_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "clip.mp4") as aside:
        assert aside.parent == tmp_path
        assert aside.name.startswith(".")
        assert aside.suffix == ".mp4"
        aside.touch()


def test_what_a_killed_writer_left_is_taken_up_by_the_next_one(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "x.json") as left_behind:
        raise RuntimeError("killed")
    left_behind.write_bytes(b"more bytes than the next writer has")
    write_atomically(tmp_path / "x.json", b"whole")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"x.json": b"whole"}


def test_two_writers_of_a_shared_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "flow.npy"
    with atomic_path(path, shared=True) as first, atomic_path(path, shared=True) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert [file.name for file in tmp_path.iterdir()] == ["flow.npy"]
    assert path.read_bytes() == b"first"


def test_writers_that_clean_up_after_others_leave_those_that_begin_alone(tmp_path: Path) -> None:
    """A writer that has made its file and not locked it yet looks to the others like one that was killed."""
    path = tmp_path / "status.json"
    with ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(write_atomically, path, b"whole", shared=True) for _ in range(400)]
    assert not [write.exception() for write in writes if write.exception()]
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("status.json", b"whole")]
