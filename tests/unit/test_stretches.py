"""Stretches of long footage: their frames are those of a full decode, and what lies between them is not decoded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from recordings import record, retouched, spoil_packet, step_back

from stmae.video.reader import Frame, FrameSource
from stmae.video.survey import survey

FPS, GOP, FRAMES = 25, 25, 300
BOUNDS = ((1.3, 2.9), (6.01, 6.5), (8.0, 8.4), (11.0, 12.0))


def film(path: Path, *, codec: str = "libx264", b_frames: int = 3, **options: str) -> Path:
    """Films twelve seconds of a ground that moves, in groups of a second, with frames that refer to later ones."""
    ground = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = GOP, b_frames
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, 3 * number, 1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def same(one: list[Frame], other: list[Frame]) -> bool:
    return [(frame.index, frame.time_s) for frame in one] == [(frame.index, frame.time_s) for frame in other] and all(
        np.array_equal(a.image, b.image) for a, b in zip(one, other, strict=True)
    )


def in_bounds(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if any(start <= frame.time_s < stop for start, stop in BOUNDS)]


OPEN = "open-gop=1:keyint=24:min-keyint=2:scenecut=0:bframes=3:b-adapt=0"


@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("b-frames.mp4", {}, 150),
        ("b-frames.ts", {}, 150),
        ("b-frames.mkv", {}, 150),
        ("open-groups.mp4", {"x264-params": OPEN}, 250),
        ("open-groups.ts", {"codec": "mpeg2video"}, 250),
        ("one-group.mp4", {"x264-params": "keyint=infinite:scenecut=0"}, FRAMES),
        ("intra-refresh.mp4", {"x264-params": "intra-refresh=1:keyint=25:bframes=0"}, FRAMES),
        ("counted.avi", {"codec": "mpeg4", "b_frames": 0}, FRAMES),
    ],
)
@pytest.mark.parametrize("fps", [10.0, None])
def test_the_frames_of_a_stretch_are_those_of_a_full_decode(
    name: str, options: dict[str, Any], most: int, fps: float | None, tmp_path: Path
) -> None:
    path = film(tmp_path / name, **options)
    stretches = survey(path, 1.0).stretches(BOUNDS)
    source = FrameSource(path, fps=fps, stretches=stretches)
    assert same(list(source), in_bounds(list(FrameSource(path, fps=fps))))
    assert source.health.status == "scored"
    assert source.health.frames_reported == FRAMES
    assert source.health.frames_decoded <= most


def test_pictures_of_open_groups_refer_to_the_group_before(tmp_path: Path) -> None:
    found = survey(film(tmp_path / "open.mp4", **{"x264-params": OPEN}), 1.0)
    assert found.order is not None
    assert found.order.opens[1:].all()


@pytest.mark.parametrize("container", ["mp4", "avi", "ts", "mkv", "h264"])
def test_a_survey_tells_the_times_of_all_frames(container: str, tmp_path: Path) -> None:
    codec = "mpeg4" if container == "avi" else "libx264"
    path = record(tmp_path / f"film.{container}", 80, codec=codec)
    times = [frame.time_s for frame in FrameSource(path)]
    np.testing.assert_allclose(survey(path, 1.0).times, times, atol=1e-9)


def test_a_file_whose_time_stamps_run_back_is_decoded_as_a_whole(tmp_path: Path) -> None:
    path = retouched(tmp_path / "odd.mkv", step_back)
    source = FrameSource(path, stretches=survey(path, 1.0).stretches(BOUNDS))
    assert same(list(source), in_bounds(list(FrameSource(path))))
    assert source.health.frames_decoded == 80


@pytest.mark.parametrize(("spoilt", "status", "decoded"), [(16, "truncated", 19), (35, "scored", 20)])
def test_damage_within_a_stretch_is_told_and_damage_elsewhere_is_not_met(
    spoilt: int, status: str, decoded: int, tmp_path: Path
) -> None:
    path = spoil_packet(record(tmp_path / "film.mp4", 80, codec="mjpeg", pix_fmt="yuvj420p", gop=1), spoilt)
    source = FrameSource(path, stretches=survey(path, 1.0).stretches([(1.0, 3.0)]))
    assert len(list(source)) == decoded
    assert (source.health.status, source.health.frames_decoded) == (status, decoded)


def test_images_outside_of_stretches_are_not_read(tmp_path: Path) -> None:
    for number in range(30):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "05.png").write_bytes(b"not an image")
    source = FrameSource(tmp_path, fps=5.0, folder_fps=10.0, stretches=survey(tmp_path, 10.0).stretches([(1.0, 2.0)]))
    assert [frame.index for frame in source] == [10, 12, 14, 16, 18]
    assert source.health.status == "scored"


def test_what_is_no_video_has_no_frames(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    assert len(survey(tmp_path / "text.mp4", 1.0).times) == 0
