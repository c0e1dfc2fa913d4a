"""Preparation: footage becomes arrays, nothing is done twice, and the calibration split is as configured."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from made_footage import SIZE, Bytes, clip, config

from stmae.config import ModelConfig
from stmae.datasets.manifest import DatasetError, Manifest
from stmae.datasets.prepare import prepare
from stmae.video.writer import write_video


def arrays(manifest: Manifest) -> dict[str, Bytes]:
    return {f"{clip.split}/{clip.name}": np.array(manifest.frames(clip)) for clip in manifest.clips}


def test_footage_is_sampled_at_a_fixed_rate_and_its_truth_with_it(tmp_path: Path) -> None:
    for name in ("training/1", "training/2", "testing/a"):
        write_video(tmp_path / f"in/{name}.mp4", clip(30, height=40, width=60), 25.0)
    labels = np.array([0, 0, 1] * 10)
    (tmp_path / "in/labels").mkdir()
    (tmp_path / "in/masks").mkdir()
    np.save(tmp_path / "in/labels/a.npy", labels)
    np.savez(tmp_path / "in/masks/a.npz", masks=np.repeat(labels, 40 * 60).reshape(30, 40, 60))
    whole = prepare(config(fps=25.0), tmp_path / "in", tmp_path / "whole")
    sampled = prepare(config(fps=10.0), tmp_path / "in", tmp_path / "sampled")
    taken = [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]  # 0.0, 0.08, 0.2, 0.28 s and so on
    assert (whole.fps, sampled.fps) == (25.0, 10.0)
    for every, some in zip(whole.clips, sampled.clips, strict=True):
        assert np.array_equal(sampled.frames(some), whole.frames(every)[taken])
    (test,) = sampled.split("test")
    found, masks = sampled.labels(test), sampled.masks(test)
    assert found is not None
    assert masks is not None
    assert found.tolist() == labels[taken].tolist() == masks.any(axis=(1, 2)).astype(int).tolist()


def test_footage_with_fewer_frames_than_are_sampled_is_used_as_it_is_and_told(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(config(fps=8.0), cameras, tmp_path / "out")
    assert "frames/s" not in caplog.text
    prepare(config(fps=12.5), cameras, tmp_path / "out")
    assert "training/0.mp4: has 8 frames/s, fewer than data.fps = 12.5; set data.fps" in caplog.text


def test_a_folder_of_videos_and_images_is_prepared(cameras: Path, tmp_path: Path) -> None:
    manifest = prepare(config(), cameras, tmp_path / "out")
    assert [(c.split, c.name, c.frames) for c in manifest.clips] == [
        ("train", "0", 12),
        ("calibration", "1", 12),
        ("train", "2", 12),
        ("test", "a", 10),
        ("test", "b", 7),
    ]
    for item in manifest.clips:
        frames = manifest.frames(item)
        assert frames.shape == (item.frames, SIZE, SIZE, 3)
        assert frames.dtype == np.uint8
        assert (item.height, item.width) == (40, 60)
    a, b = manifest.split("test")
    labels, masks = manifest.labels(a), manifest.masks(a)
    assert labels is not None
    assert masks is not None
    assert labels.tolist() == [0] * 6 + [1] * 4
    assert masks.shape == (10, SIZE, SIZE)
    assert np.array_equal(masks.any(axis=(1, 2)), labels)
    assert manifest.labels(b) is None
    assert manifest.masks(b) is None


def test_a_manifest_reads_back_and_its_digest_changes_with_the_content(cameras: Path, tmp_path: Path) -> None:
    manifest = prepare(config(), cameras, tmp_path / "out")
    assert Manifest.load(tmp_path / "out") == manifest
    elsewhere = prepare(config(), cameras, tmp_path / "elsewhere")
    assert elsewhere.digest == manifest.digest
    np.save(cameras / "labels/a.npy", np.array([0] * 5 + [1] * 5))
    assert prepare(config(), cameras, tmp_path / "out").digest != manifest.digest


def test_a_second_preparation_rewrites_no_array(cameras: Path, tmp_path: Path) -> None:
    prepare(config(), cameras, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}
    prepare(config(), cameras, tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}


def test_a_changed_source_a_deleted_array_and_a_new_size_are_prepared_again(cameras: Path, tmp_path: Path) -> None:
    first = prepare(config(), cameras, tmp_path / "out")
    kept = arrays(first)
    write_video(cameras / "training/2.mp4", clip(14, 9), 8.0)
    (tmp_path / "out/frames/train/0.npy").unlink()
    second = prepare(config(), cameras, tmp_path / "out")
    assert [c.frames for c in second.split("train")] == [12, 14]
    assert np.array_equal(arrays(second)["train/0"], kept["train/0"])
    bigger = dataclasses.replace(config(), model=ModelConfig(size=64))
    assert all(
        frames.shape[1:] == (64, 64, 3) for frames in arrays(prepare(bigger, cameras, tmp_path / "out")).values()
    )


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_deleted_truth_is_prepared_again(cameras: Path, tmp_path: Path, kind: Literal["labels", "masks"]) -> None:
    lost = prepare(config(), cameras, tmp_path / "out").path(kind, "test", "a")
    before = lost.read_bytes()
    lost.unlink()
    prepare(config(), cameras, tmp_path / "out")
    assert lost.read_bytes() == before


def test_clips_whose_source_was_removed_leave_the_prepared_dataset(cameras: Path, tmp_path: Path) -> None:
    prepare(config(), cameras, tmp_path / "out")
    (cameras / "testing/a.mp4").unlink()
    manifest = prepare(config(), cameras, tmp_path / "out")
    assert [c.name for c in manifest.split("test")] == ["b"]
    assert sorted(p.name for p in (tmp_path / "out").glob("*/test/*")) == ["b.json", "b.npy"]


def test_globs_select_the_footage(cameras: Path, tmp_path: Path) -> None:
    chosen = config(train_glob="training/0.mp4, training/1.mp4", test_glob="training/2.mp4")
    manifest = prepare(chosen, cameras, tmp_path / "out")
    assert sorted(c.source for c in manifest.clips) == ["training/0.mp4", "training/1.mp4", "training/2.mp4"]
    with pytest.raises(DatasetError, match=r"0\.mp4: matched by data\.train_glob and data\.test_glob"):
        prepare(config(test_glob="training/0*"), cameras, tmp_path / "out")


def test_two_cameras_may_use_the_same_file_names(tmp_path: Path) -> None:
    for camera in ("north", "south"):
        write_video(tmp_path / f"in/{camera}/0800.mp4", clip(8), 8.0)
    manifest = prepare(config(train_glob="*/*.mp4", test_glob=""), tmp_path / "in", tmp_path / "out")
    assert sorted(c.name for c in manifest.clips) == ["north__0800.mp4", "south__0800.mp4"]


@pytest.mark.parametrize(("clips", "calibration"), [(2, 1), (8, 1), (9, 2), (16, 2), (25, 3)])
def test_the_calibration_split_is_the_fraction_rounded_up(tmp_path: Path, clips: int, calibration: int) -> None:
    write_video(tmp_path / "in/training/1.mp4", clip(6), 8.0)
    for i in range(2, clips + 1):
        os.link(tmp_path / "in/training/1.mp4", tmp_path / f"in/training/{i}.mp4")
    manifest = prepare(config(), tmp_path / "in", tmp_path / "out")
    assert len(manifest.split("calibration")) == calibration
    assert len(manifest.split("train")) == clips - calibration


def test_the_end_of_a_single_training_video_is_the_calibration_split(tmp_path: Path) -> None:
    write_video(tmp_path / "in/training/day.mp4", clip(60), 8.0)
    for _ in range(2):  # the second time from what is there
        manifest = prepare(config(), tmp_path / "in", tmp_path / "out")
        assert [(c.split, c.name, c.frames) for c in manifest.clips] == [
            ("train", "day", 52),
            ("calibration", "day-end", 8),
        ]
    whole = prepare(config(train_glob="x/*,training/*"), tmp_path / "in", tmp_path / "again")
    assert whole.digest == manifest.digest
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_missing_or_broken_manifest_says_what_to_do(cameras: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.json: no prepared dataset there; run `stmae prepare`"):
        Manifest.load(tmp_path / "out")
    manifest = prepare(config(), cameras, tmp_path / "out")
    path = tmp_path / "out/manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"frames": 12', '"frames": 13'))
    with pytest.raises(DatasetError, match="field digest does not match"):
        Manifest.load(tmp_path / "out")
    path.write_text(text[:100])
    with pytest.raises(DatasetError, match="not a manifest"):
        Manifest.load(tmp_path / "out")
    manifest.path("frames", "test", "a").unlink()
    with pytest.raises(DatasetError, match=r"frames/test/a\.npy: listed in the manifest but unreadable"):
        manifest.frames(manifest.split("test")[0])
