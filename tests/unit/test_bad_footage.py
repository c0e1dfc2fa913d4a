"""Footage that cannot be used is refused; the message names the file, what is wrong and the mend."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_footage import clip, config, write_images

from stmae.datasets.manifest import DatasetError
from stmae.datasets.prepare import prepare
from stmae.video.writer import write_video


def test_a_glob_without_a_match_is_refused(cameras: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"data\.train_glob = 'night/\*' matches no video"):
        prepare(config(train_glob="night/*"), cameras, tmp_path / "out")


@pytest.mark.parametrize("folder", ["", "training"])
def test_an_empty_folder_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "in" / folder).mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"data\.train_glob = 'training/\*' matches no video and no frame folder"):
        prepare(config(), tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("key", ["train_glob", "test_glob"])
def test_an_absolute_glob_is_refused(cameras: Path, tmp_path: Path, key: str) -> None:
    with pytest.raises(DatasetError, match=rf"data\.{key} = '{cameras}/\*': .*relative to DATA_ROOT"):
        prepare(config(**{key: f"{cameras}/*"}), cameras, tmp_path / "out")


def test_a_broken_link_is_refused(cameras: Path, tmp_path: Path) -> None:
    (cameras / "testing/b/009.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DatasetError, match=r"b/009\.png: cannot be read: No such file.*restore or remove it"):
        prepare(config(), cameras, tmp_path / "out")


def test_an_empty_clip_is_refused(cameras: Path, tmp_path: Path) -> None:
    (cameras / "training/empty").mkdir()
    with pytest.raises(DatasetError, match=r"training/empty: empty: the folder holds no images; .*training data"):
        prepare(config(), cameras, tmp_path / "out")
    (cameras / "training/empty").rmdir()
    (cameras / "training/zero.mp4").touch()
    with pytest.raises(DatasetError, match=r"zero\.mp4: empty: the file has 0 bytes"):
        prepare(config(), cameras, tmp_path / "out")
    (cameras / "training/zero.mp4").unlink()
    path = cameras / "training/none.mp4"
    cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48)).release()
    with pytest.raises(DatasetError, match=r"none\.mp4: empty: .*remove it from the training data"):
        prepare(config(), cameras, tmp_path / "out")


def test_a_clip_shorter_than_five_frames_is_refused(cameras: Path, tmp_path: Path) -> None:
    write_video(cameras / "training/short.mp4", clip(4), 8.0)
    with pytest.raises(DatasetError, match=r"short\.mp4: 4 frames; a clip needs at least 5"):
        prepare(config(), cameras, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*short*"))


def test_a_single_training_video_needs_frames_for_both_parts(tmp_path: Path) -> None:
    write_video(tmp_path / "in/training/1.mp4", clip(9), 8.0)
    with pytest.raises(DatasetError, match=r"1\.mp4: 9 frames are too few for the only training video"):
        prepare(config(), tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("count", [9, 11])
def test_labels_that_do_not_match_the_frames_are_refused(cameras: Path, tmp_path: Path, count: int) -> None:
    np.save(cameras / "labels/a.npy", np.zeros(count))
    with pytest.raises(DatasetError, match=rf"labels/a\.npy: {count} labels for a clip of 10 frames"):
        prepare(config(), cameras, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("count", [9, 11])
def test_masks_that_do_not_match_the_frames_are_refused(cameras: Path, tmp_path: Path, count: int) -> None:
    np.savez(cameras / "masks/a.npz", masks=np.zeros((count, 40, 60), np.uint8))
    with pytest.raises(DatasetError, match=rf"masks/a\.npz: {count} masks for a clip of 10 frames"):
        prepare(config(), cameras, tmp_path / "out")


def test_masks_of_another_size_than_the_frames_are_refused(cameras: Path, tmp_path: Path) -> None:
    np.savez(cameras / "masks/a.npz", masks=np.zeros((10, 60, 40), np.uint8))
    with pytest.raises(DatasetError, match=r"masks/a\.npz: masks of shape \(60, 40\) .* height 40 and width 60"):
        prepare(config(), cameras, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()


def test_calibration_clips_with_too_few_scored_frames_are_refused(cameras: Path, tmp_path: Path) -> None:
    write_video(cameras / "training/1.mp4", clip(5), 8.0)
    with pytest.raises(
        DatasetError, match=r"training/1\.mp4: the calibration split has 1 frames that get a score and needs 2"
    ):
        prepare(config(), cameras, tmp_path / "out")


def test_clips_of_one_camera_that_differ_in_shape_are_warned_of(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(config(fps=8.0), cameras, tmp_path / "alike")
    assert "pixels" not in caplog.text
    write_video(cameras / "training/2.mp4", clip(12, 2, 40, 40), 8.0)
    prepare(config(fps=8.0), cameras, tmp_path / "mixed")
    assert "training/0.mp4 and training/2.mp4: 60 x 40 and 40 x 40 pixels" in caplog.text


def test_test_clips_without_truth_beside_others_with_truth_are_warned_of(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(config(), cameras, tmp_path / "out")
    assert "no labels and no masks for b: scored, and left out of all figures" in caplog.text
    caplog.clear()
    shutil.rmtree(cameras / "labels")
    shutil.rmtree(cameras / "masks")
    prepare(config(), cameras, tmp_path / "out")
    assert "no labels" not in caplog.text


def test_a_folder_of_videos_instead_of_images_is_refused(cameras: Path, tmp_path: Path) -> None:
    (cameras / "training/day").mkdir()
    shutil.move(cameras / "training/0.mp4", cameras / "training/day/0.mp4")
    with pytest.raises(
        DatasetError, match=r"training/day: matched by data\.train_glob.*e\.g\. data\.train_glob='training/\*/\*'"
    ):
        prepare(config(), cameras, tmp_path / "out")


def test_a_name_that_is_not_utf_8_is_refused(cameras: Path, tmp_path: Path) -> None:
    """FFmpeg, as OpenCV calls it, would end the process."""
    (cameras / "training/0.mp4").rename(cameras / "training" / os.fsdecode(b"Stra\xdfe.mp4"))
    with pytest.raises(DatasetError, match=r"training/Stra.*e\.mp4: its name is not UTF-8; rename it"):
        prepare(config(), cameras, tmp_path / "out")


def test_labels_other_than_0_and_1_are_refused(cameras: Path, tmp_path: Path) -> None:
    for value in (2, 0.5, np.nan):
        np.save(cameras / "labels/a.npy", np.array([0.0] * 9 + [value]))
        with pytest.raises(DatasetError, match=r"labels/a\.npy: labels other than 0 \(normal\) and 1"):
            prepare(config(), cameras, tmp_path / "out")


def test_truth_that_belongs_to_no_clip_is_warned_of(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cameras / "labels/a.npy").rename(cameras / "labels/A.npy")
    write_images(cameras / "masks/b", 7)
    prepare(config(), cameras, tmp_path / "out")
    assert "labels/A.npy: not used: no test clip has that name" in caplog.text
    assert "masks/b: not used" in caplog.text


def test_frames_of_mixed_sizes_are_refused(cameras: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(cameras / "testing/b/004.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"testing/b: undecodable: mixed frame sizes: 004\.png is 20x20"):
        prepare(config(), cameras, tmp_path / "out")


def test_unreadable_footage_is_refused(cameras: Path, tmp_path: Path) -> None:
    (cameras / "training/0.mp4").write_text("no video at all")
    with pytest.raises(DatasetError, match=r"0\.mp4: undecodable: not a video.*repair it or remove it"):
        prepare(config(), cameras, tmp_path / "out")
    (cameras / "training/0.mp4").unlink()
    (cameras / "testing/b/004.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"testing/b: truncated: 004\.png is not a readable image"):
        prepare(config(), cameras, tmp_path / "out")


def test_a_cut_training_video_is_used_up_to_the_cut_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(2):
        write_video(tmp_path / f"in/training/{i}.avi", clip(30, i), 8.0, fourcc="XVID")
    path = tmp_path / "in/training/0.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    manifest = prepare(config(), tmp_path / "in", tmp_path / "out")
    cut = next(c for c in manifest.clips if c.name == "0")
    assert 5 <= cut.frames < 30
    assert f"0.avi: {cut.frames} of 30 frames could be decoded" in caplog.text
