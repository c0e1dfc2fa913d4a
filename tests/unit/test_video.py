"""Reading footage: every frame once, in order, and an account of what could not be read."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from stmae.video.health import DecodeHealth
from stmae.video.images import natural_key, resize
from stmae.video.reader import Frame, FrameSource
from stmae.video.writer import write_video

FRAMES = 40


def moving_square(frames: int = FRAMES, height: int = 48, width: int = 64) -> list[npt.NDArray[np.uint8]]:
    """Textured frames in which a red square moves to the right."""
    texture = np.random.default_rng(0).integers(60, 120, (height, width, 3), dtype=np.uint8)
    images = []
    for i in range(frames):
        image = texture.copy()
        image[10:26, i : i + 16] = (220, 30, 30)
        images.append(image)
    return images


def read(path: Path, size: int | None = None) -> tuple[list[Frame], DecodeHealth]:
    source = FrameSource(path, size)
    frames = list(source)
    return frames, source.health


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    assert write_video(path, moving_square(), 10.0) == FRAMES
    return path


def index_first(mp4: bytes) -> bytes:
    """The same MP4 with its index (moov) before the data, as cameras that stream write it."""
    boxes, position = {}, 0
    while position < len(mp4):
        length, kind = struct.unpack_from(">I4s", mp4, position)
        boxes[kind] = mp4[position : position + length]
        position += length
    moov = bytearray(boxes[b"moov"])
    table = moov.find(b"stco")
    for i in range(struct.unpack_from(">I", moov, table + 8)[0]):
        at = table + 12 + 4 * i
        struct.pack_into(">I", moov, at, struct.unpack_from(">I", moov, at)[0] + len(moov))
    rest = b"".join(box for kind, box in boxes.items() if kind not in (b"ftyp", b"moov"))
    return boxes[b"ftyp"] + bytes(moov) + rest


def test_a_complete_video_gives_every_frame_in_order_with_container_times(video: Path) -> None:
    frames, health = read(video)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(FRAMES)])
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert health == DecodeHealth("scored", None, FRAMES, FRAMES, 4.0, pytest.approx(4.0), 10.0)


def test_frames_are_rgb(video: Path) -> None:
    frames, _ = read(video)
    red, green, blue = frames[0].image[14:22, 4:12].reshape(-1, 3).mean(axis=0)
    assert red > 180
    assert green < 80
    assert blue < 80


def test_a_size_resizes_every_frame_as_resize_does(video: Path) -> None:
    small, _ = read(video, size=32)
    full, _ = read(video)
    assert all(np.array_equal(a.image, resize(b.image, 32)) for a, b in zip(small, full, strict=True))


def test_a_second_iteration_reads_from_the_start_again(video: Path) -> None:
    source = FrameSource(video)
    first = list(itertools.islice(source, 3))
    with pytest.raises(RuntimeError, match="health is known once all frames were read"):
        _ = source.health
    assert [frame.index for frame in source] == list(range(FRAMES))
    assert first[0].index == 0


def test_an_absent_file_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4: no such video"):
        FrameSource(tmp_path / "gone.mp4")


def test_an_mp4_cut_before_its_index_is_undecodable_and_says_why(video: Path) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    frames, health = read(video)
    assert frames == []
    assert (health.status, health.frames_reported, health.frames_decoded) == ("undecodable", None, 0)
    assert "index (moov) is missing" in str(health.reason)


def test_an_mp4_cut_after_its_index_is_truncated_and_keeps_the_frames_before_the_cut(video: Path) -> None:
    data = index_first(video.read_bytes())
    video.write_bytes(data)
    assert read(video)[1].status == "scored"
    video.write_bytes(data[: len(data) * 6 // 10])
    frames, health = read(video)
    assert health.status == "truncated"
    assert 0 < len(frames) == health.frames_decoded < FRAMES == health.frames_reported
    assert health.seconds_decoded == pytest.approx(len(frames) / 10)
    assert f"{len(frames)} of {FRAMES} frames" in str(health.reason)


def test_damage_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, moving_square(height=144, width=192), 10.0)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    frames, health = read(path)
    assert health.status == "truncated"
    assert 0 < len(frames) < FRAMES


def test_a_cut_avi_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    write_video(path, moving_square(), 10.0, fourcc="XVID")
    assert read(path)[1].status == "scored"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert read(path)[1].status == "truncated"


def test_a_complete_file_whose_container_only_estimates_its_frames_is_not_truncated(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_video(path, moving_square(), 10.0)
    assert read(path)[1].status == "scored"


def test_frames_that_an_edit_list_hides_are_not_missing(video: Path) -> None:
    data = bytearray(video.read_bytes())
    edit = data.find(b"elst") + 12
    # Start at 0.5 s of the media; the movie's clock ticks in ms, the track's 10240 times a second.
    struct.pack_into(">Ii", data, edit, 3500, 5120)
    video.write_bytes(data)
    frames, health = read(video)
    assert (len(frames), health.status, health.frames_reported) == (FRAMES - 5, "scored", FRAMES - 5)
    cut = index_first(bytes(data))
    video.write_bytes(cut[: len(cut) * 6 // 10])
    assert read(video)[1].status == "truncated"


def test_a_zero_byte_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "zero.mp4"
    path.touch()
    frames, health = read(path)
    assert frames == []
    assert (health.status, health.reason) == ("empty", "the file has 0 bytes")


def test_a_video_without_frames_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48)).release()
    assert path.stat().st_size > 0
    assert read(path)[1].status == "empty"


def test_a_text_file_named_mp4_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("The camera was cleaned today.\n" * 50)
    health = read(path)[1]
    assert health.status == "undecodable"
    assert "not a video" in str(health.reason)


def test_an_unknown_codec_is_undecodable_and_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    write_video(path, moving_square(), 10.0, fourcc="XVID")
    path.write_bytes(path.read_bytes().replace(b"XVID", b"zzzz"))
    frames, health = read(path)
    assert frames == []
    assert health.status == "undecodable"
    assert health.reason == "no decoder for its codec 'zzzz'"


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_makes_reading_raise(video: Path, seed: int) -> None:
    data = bytearray(video.read_bytes())
    rng = np.random.default_rng(seed)
    region = len(data) - data.find(b"moov") - 4 if seed % 2 else len(data)  # half of the time the index alone
    for position in rng.integers(len(data) - region, len(data), 8):
        data[position] = rng.integers(256)
    video.write_bytes(data[: rng.integers(1, len(data))] if seed % 3 == 0 else data)
    frames, health = read(video)
    assert len(frames) == health.frames_decoded
    assert (health.reason is None) == (health.status == "scored")


def test_bad_files_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(400))
    read(path)
    assert capfd.readouterr() == ("", "")


def test_a_video_is_not_mistaken_for_the_first_of_numbered_images(tmp_path: Path) -> None:
    for i, image in enumerate(moving_square(3)):
        cv2.imwrite(str(tmp_path / f"0{i}.png"), image)
    assert read(tmp_path / "00.png")[1].frames_decoded <= 1


def write_images(folder: Path, images: list[npt.NDArray[np.uint8]], suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i}{suffix}"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg", ".webp"])
def test_a_frame_folder_reads_in_natural_order(tmp_path: Path, suffix: str) -> None:
    images = moving_square(12)
    write_images(tmp_path / "clip", images, suffix)
    frames, health = read(tmp_path / "clip")
    assert health == DecodeHealth("scored", None, 12, 12, pytest.approx(1.2), pytest.approx(1.2), 10.0)
    if suffix not in (".jpg", ".webp"):
        assert all(np.array_equal(frame.image, image) for frame, image in zip(frames, images, strict=True))


def test_hidden_files_are_no_frames(tmp_path: Path) -> None:
    write_images(tmp_path / "clip", moving_square(6))
    (tmp_path / "clip/._0.png").write_bytes(b"Mac OS X resource fork")
    assert read(tmp_path / "clip")[1].frames_decoded == 6


def test_frames_of_mixed_sizes_are_undecodable_and_the_file_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "clip", [*moving_square(6), np.zeros((40, 64, 3), np.uint8)])
    health = read(tmp_path / "clip")[1]
    assert health.status == "undecodable"
    assert health.reason == "mixed frame sizes: 6.png is 64x40, 0.png is 64x48"


def test_a_broken_image_ends_the_folder_and_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "clip", moving_square(6))
    (tmp_path / "clip/3.png").write_bytes(b"")
    frames, health = read(tmp_path / "clip")
    assert len(frames) == 3
    assert health.status == "truncated"
    assert "3.png is not a readable image" in str(health.reason)


def test_an_empty_folder_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path)[1].status == "empty"


def test_natural_order_puts_2_before_10() -> None:
    names = ["10.jpg", "2.jpg", "a1.jpg", "01.jpg"]
    assert [path.name for path in sorted(map(Path, names), key=natural_key)] == ["01.jpg", "2.jpg", "10.jpg", "a1.jpg"]


def test_a_video_that_cannot_be_finished_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"clip\.mp4: frame 2 is 64x40, the first is 64x48"):
        write_video(tmp_path / "clip.mp4", [*moving_square(2), np.zeros((40, 64, 3), np.uint8)], 10.0)
    with pytest.raises(ValueError, match="no frames to write"):
        write_video(tmp_path / "clip.mp4", [], 10.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["03-08.mp4", pytest.param("03-11.mp4", marks=pytest.mark.slow)])
def test_real_archived_hours_decode_completely(name: str, shared_data: Path) -> None:
    path = shared_data / "upcam-sample" / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    source = FrameSource(path, size=32)
    times = [frame.time_s for frame in source]
    assert source.health.status == "scored"
    assert source.health.frames_decoded == source.health.frames_reported == len(times) > 17_900
    assert all(b > a for a, b in itertools.pairwise(times))
    assert source.health.seconds_decoded == pytest.approx(len(times) / 5, abs=0.01)
