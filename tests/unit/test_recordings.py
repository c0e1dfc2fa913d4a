"""Files as recorders write them: what is in them is read, at its own time, and what is not is told."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from recordings import FPS, HEIGHT, WIDTH, even, record, spoil_packet

from stmae.video.health import DecodeHealth
from stmae.video.reader import FrameSource


def read(path: Path) -> tuple[list[float], DecodeHealth]:
    source = FrameSource(path)
    times = [frame.time_s for frame in source]
    assert all(b > a for a, b in itertools.pairwise(times))
    assert len(times) == source.health.frames_decoded
    return times, source.health


def assert_whole(path: Path, frames: int = 80) -> DecodeHealth:
    times, health = read(path)
    assert times == pytest.approx([number / FPS for number in range(frames)], abs=0.002)
    assert (health.status, health.frames_reported) == ("scored", frames)
    assert health.seconds_decoded == pytest.approx(frames / FPS, abs=0.002)
    return health


@pytest.mark.parametrize("name", ["x.mp4", "x.mov", "x.mkv", "x.avi", "x.flv", "x.ts", "x.mts", "x.dav"])
def test_containers_of_recorders_are_read_whole(tmp_path: Path, name: str) -> None:
    container = "mpegts" if name.endswith(("ts", "dav")) else None
    assert assert_whole(record(tmp_path / name, container=container)).reason is None


@pytest.mark.parametrize(
    ("codec", "name", "pix_fmt"),
    [
        ("libx265", "x.mp4", "yuv420p10le"),
        ("libsvtav1", "x.mp4", "yuv420p"),
        ("libvpx-vp9", "x.webm", "yuv420p"),
        ("mjpeg", "x.avi", "yuvj420p"),
        ("mpeg4", "x.3gp", "yuv420p"),
        ("wmv2", "x.asf", "yuv420p"),
    ],
)
def test_codecs_of_recorders_are_decoded(tmp_path: Path, codec: str, name: str, pix_fmt: str) -> None:
    path = record(tmp_path / name, 20, codec=codec, pix_fmt=pix_fmt)
    assert assert_whole(path, 20).reason is None
    frame = next(iter(FrameSource(path)))
    red, green, blue = frame.image[52:66, 4:18].reshape(-1, 3).mean(axis=0)
    assert red > 180
    assert max(green, blue) < 90


def test_making_a_film_leaves_the_tests_their_scheduling(tmp_path: Path) -> None:
    """As root, real-time tests would starve all that they start."""
    before = os.sched_getscheduler(0)
    record(tmp_path / "x.mp4", 20, codec="libsvtav1")
    assert os.sched_getscheduler(0) == before


def test_a_raw_stream_has_the_timing_of_its_own(tmp_path: Path) -> None:
    assert assert_whole(record(tmp_path / "x.h264", 30, container="h264"), 30).reason is None
    assert assert_whole(record(tmp_path / "x.mp4", 30, container="h264"), 30).reason is None


def test_one_wild_time_stamp_is_told_and_shifts_nothing(tmp_path: Path) -> None:
    health = assert_whole(record(tmp_path / "x.mp4", times=lambda number: even(number) + 319 * (number == 40)))
    assert health.reason == "time stamps replaced because they disagree with those around them: 1"


def test_time_stamps_that_start_at_an_hour_count_from_0(tmp_path: Path) -> None:
    assert assert_whole(record(tmp_path / "x.mkv", times=lambda number: 3600 + even(number))).reason is None


def test_a_pause_of_the_recording_is_a_gap_and_no_damage(tmp_path: Path) -> None:
    times, health = read(record(tmp_path / "x.mkv", times=lambda number: even(number) + 30 * (number >= 40)))
    assert times[39:41] == pytest.approx([3.9, 34.0])
    assert (health.status, health.reason, health.frames_decoded) == ("scored", None, 80)


@pytest.mark.parametrize(("codec", "pix_fmt"), [("mjpeg", "yuvj420p"), ("mpeg4", "yuv420p"), ("libx264", "yuv420p")])
def test_a_pause_in_an_avi_is_a_gap_though_its_header_counts_frames_that_fill_it(
    tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    path = record(
        tmp_path / "a.avi", codec=codec, pix_fmt=pix_fmt, times=lambda number: number / 10 + 5 * (number >= 40)
    )
    source = FrameSource(path)
    times = [frame.time_s for frame in source]
    assert times == pytest.approx([number / 10 + 5 * (number >= 40) for number in range(80)])
    assert (source.health.status, source.health.frames_reported) == ("scored", 80)


def test_a_variable_rate_is_no_damage(tmp_path: Path) -> None:
    times, health = read(
        record(tmp_path / "x.mkv", 48, times=lambda number: even(number) if number < 40 else 4 + (number - 40) / 2)
    )
    assert times[-3:] == pytest.approx([6.5, 7.0, 7.5])
    assert (health.status, health.reason) == ("scored", None)


def test_audio_that_is_longer_than_the_video_is_no_damage(tmp_path: Path) -> None:
    assert assert_whole(record(tmp_path / "x.ts", container="mpegts", audio_seconds=30)).reason is None
    assert assert_whole(record(tmp_path / "x.mkv", audio_seconds=30)).reason is None


def test_one_bad_packet_costs_its_frames_and_not_the_file(tmp_path: Path) -> None:
    times, health = read(spoil_packet(record(tmp_path / "x.mp4"), 40))
    assert 70 <= len(times) < 80
    assert times[:40] == pytest.approx([number / FPS for number in range(40)])
    assert times[-20:] == pytest.approx([number / FPS for number in range(60, 80)])
    assert health.status == "truncated"
    assert health.reason == f"{len(times)} of 80 frames could be decoded: the file is damaged"


def test_a_stream_that_begins_before_a_key_frame_is_read_from_that_on(tmp_path: Path) -> None:
    times, health = read(record(tmp_path / "x.ts", 160, gop=100, container="mpegts", drop=range(5)))
    assert len(times) == 60
    assert times[0] == pytest.approx(9.5)
    assert (health.status, health.frames_reported) == ("truncated", 155)
    assert "the 95 before the first key frame" in str(health.reason)


def test_a_cut_matroska_file_is_truncated(tmp_path: Path) -> None:
    path = record(tmp_path / "x.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    times, health = read(path)
    assert 0 < len(times) < 80
    assert health.status == "truncated"
    assert "before the end that it states: it is cut" in str(health.reason)


def test_the_largest_track_is_read(tmp_path: Path) -> None:
    import av

    small, large = record(tmp_path / "small.mp4", 10, size=(64, 48)), record(tmp_path / "large.mp4", 20)
    path = tmp_path / "both.mkv"
    with av.open(str(path), "w") as output, av.open(str(small)) as first, av.open(str(large)) as second:
        inputs = [(each, each.streams.video[0]) for each in (first, second)]
        streams = [output.add_stream_from_template(stream) for _, stream in inputs]
        for (container, stream), copy in zip(inputs, streams, strict=True):
            for packet in container.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    output.mux(packet)
    source = FrameSource(path)
    assert sum(1 for _ in source) == 20
    assert source.shape == (HEIGHT, WIDTH)


def test_a_file_with_audio_alone_says_so(tmp_path: Path) -> None:
    import av

    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    times, health = read(path)
    assert (times, health.status, health.reason) == ([], "undecodable", "no video stream")


def test_a_picture_is_turned_as_its_container_says(tmp_path: Path) -> None:
    still = next(iter(FrameSource(record(tmp_path / "still.mp4", 5)))).image
    turned = next(iter(FrameSource(record(tmp_path / "turned.mp4", 5, rotation=90)))).image
    assert turned.shape == (WIDTH, HEIGHT, 3)
    assert np.array_equal(turned, np.rot90(still))


def test_a_resolution_that_changes_is_told(tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{width}.ts", 20, size=(width, 144), container="mpegts") for width in (192, 256)]
    path = tmp_path / "x.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = FrameSource(path, 32)
    images = [frame.image for frame in source]
    assert len(images) == 40
    assert {image.shape for image in images} == {(32, 32, 3)}
    assert source.health.status == "scored"
    assert "frame 20 on is 256x144, the frames before are 192x144" in str(source.health.reason)
