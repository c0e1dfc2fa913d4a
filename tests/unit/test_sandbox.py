"""Decoding in a process of its own: the same frames, and nothing that a file does reaches the reader."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from recordings import bomb, record

from stmae.video.limits import Limits
from stmae.video.reader import FrameSource
from stmae.video.sandbox import Sandbox


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("video") / "x.mp4", 40)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_it_gives_what_is_read_without_it(sandbox: Sandbox, video: Path) -> None:
    inside, outside = sandbox.read(video, 32, fps=5.0), FrameSource(video, 32, fps=5.0)
    for one, other in zip(inside, outside, strict=True):
        assert (one.index, one.time_s) == (other.index, other.time_s)
        assert np.array_equal(one.image, other.image)
    assert inside.health == outside.health


def test_it_gives_single_frames_at_full_size(sandbox: Sandbox, video: Path) -> None:
    whole = [frame.image for frame in FrameSource(video)]
    frames = list(sandbox.read(video, only=[3, 17]))
    assert [frame.index for frame in frames] == [3, 17]
    assert all(np.array_equal(frame.image, whole[frame.index]) for frame in frames)


def test_one_process_reads_many_files(sandbox: Sandbox, video: Path) -> None:
    assert sum(1 for _ in sandbox.read(video, 32)) == 40
    first = sandbox.pid
    assert sum(1 for _ in sandbox.read(video, 32)) == 40
    assert sandbox.pid == first is not None


def test_a_file_that_is_left_in_the_middle_does_not_run_into_the_next(sandbox: Sandbox, video: Path) -> None:
    assert len(list(itertools.islice(sandbox.read(video), 2))) == 2
    assert [frame.index for frame in sandbox.read(video, 32)] == list(range(40))


def test_a_reader_that_was_forgotten_does_not_end_the_next(sandbox: Sandbox, video: Path) -> None:
    forgotten = iter(sandbox.read(video))
    next(forgotten)
    frames = iter(sandbox.read(video, 32))
    next(frames)
    del forgotten
    assert sum(1 for _ in frames) == 39


@pytest.mark.fault("kill -9 of a decoder")
def test_a_decoder_that_is_killed_is_the_health_of_its_file_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    long = record(tmp_path / "long.mp4", 400, size=(640, 480))
    source = sandbox.read(long)
    frames = iter(source)
    next(frames)
    assert sandbox.pid is not None
    os.kill(sandbox.pid, signal.SIGKILL)
    read = 1 + sum(1 for _ in frames)
    assert source.health.status == "truncated"
    assert source.health.reason == f"the decoder died (signal 9) after {read} frames"
    assert sum(1 for _ in sandbox.read(long, 32)) == 400


@pytest.mark.fault("a decoder that hangs")
def test_a_decoder_that_says_nothing_is_stopped(video: Path) -> None:
    with Sandbox(Limits(silent_seconds=5.0)) as sandbox:
        while not list(sandbox.read(video, 32)):
            pass  # on a busy machine it starts as slowly as one that hangs
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGSTOP)
        source = sandbox.read(video, 32)
        assert list(source) == []
        assert source.health.status == "undecodable"
        assert "said nothing for 5 s" in str(source.health.reason)


def test_a_decompression_bomb_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    source = sandbox.read(bomb(tmp_path / "bomb.mov", 10_000))
    assert list(source) == []
    assert source.health.status == "undecodable"
    assert "its pictures are 10000x10000: larger than is decoded" in str(source.health.reason)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with Sandbox(Limits(memory_bytes=600 << 20)) as sandbox:  # too little to decode it
        source = sandbox.read(bomb(tmp_path / "bomb.mov", 10_000))
        assert list(source) == []
        assert "larger than is decoded" in str(source.health.reason)


def test_a_picture_that_does_not_fit_the_memory_is_the_health_of_its_file(video: Path, tmp_path: Path) -> None:
    with Sandbox(Limits(memory_bytes=600 << 20)) as sandbox:
        source = sandbox.read(bomb(tmp_path / "bomb.mov", 8000))
        for _ in source:
            pass
        assert source.health.status == "undecodable"
        assert source.health.reason
        assert sum(1 for _ in sandbox.read(video, 32)) == 40
