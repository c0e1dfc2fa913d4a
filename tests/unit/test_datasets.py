"""Preparation: every layout becomes the same arrays, nothing is done twice, what does not fit is refused by name."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy.io import savemat

from stmae.config import Config, DataConfig, ModelConfig, WalkwayConfig
from stmae.datasets.arrays import link_or_copy, write_npy
from stmae.datasets.prepare import DatasetError, Manifest, prepare, read_footage
from stmae.video.reader import image_files, write_video

SIZE = 32
Reader = Literal["walkway", "ped2", "avenue", "shanghaitech", "folder"]
Bytes = npt.NDArray[np.uint8]


def config(reader: Reader = "folder", **data: object) -> Config:
    settings = dataclasses.replace(DataConfig(reader=reader), **data)  # type: ignore[arg-type]
    return Config(name="test", data=settings, model=ModelConfig(size=SIZE))


def clip(frames: int, seed: int = 0, height: int = 40, width: int = 60) -> list[Bytes]:
    texture = np.random.default_rng(seed).integers(0, 200, (height, width, 3), dtype=np.uint8)
    return [np.roll(texture, i, axis=1) for i in range(frames)]


def images(folder: Path, frames: int, seed: int = 0, suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(clip(frames, seed), start=1):
        cv2.imwrite(str(folder / f"{i:03}{suffix}"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def mask_images(folder: Path, abnormal: Sequence[int], suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for i, odd in enumerate(abnormal, start=1):
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 20:40] = 255 * odd
        cv2.imwrite(str(folder / f"{i:03}{suffix}"), mask)


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """Three normal videos, a labelled test video and an unlabelled test folder of images."""
    root = tmp_path / "cameras"
    for i in range(3):
        write_video(root / f"training/{i}.mp4", clip(12, i), 8.0)
    write_video(root / "testing/a.mp4", clip(10, 5), 8.0)
    images(root / "testing/b", 7)
    (root / "training/README.txt").write_text("notes")
    (root / "labels").mkdir()
    np.save(root / "labels/a.npy", np.array([0] * 6 + [1] * 4))
    (root / "masks").mkdir()
    masks = np.zeros((10, 40, 60), np.uint8)
    masks[6:, 10:20, 30:40] = 1
    np.savez_compressed(root / "masks/a.npz", masks=masks)
    return root


def arrays(manifest: Manifest) -> dict[str, Bytes]:
    return {f"{clip.split}/{clip.name}": np.array(manifest.frames(clip)) for clip in manifest.clips}


def test_ones_own_cameras_are_prepared(cameras: Path, tmp_path: Path) -> None:
    manifest = prepare(config(), cameras, tmp_path / "out")
    assert [(c.split, c.name, c.frames, c.fps) for c in manifest.clips] == [
        ("train", "0", 12, 8.0),
        ("calibration", "1", 12, 8.0),
        ("train", "2", 12, 8.0),
        ("test", "a", 10, 8.0),
        ("test", "b", 7, 10.0),
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


def test_a_manifest_reads_back_and_its_digest_covers_the_content(cameras: Path, tmp_path: Path) -> None:
    manifest = prepare(config(), cameras, tmp_path / "out")
    assert Manifest.load(tmp_path / "out") == manifest
    elsewhere = prepare(config(), cameras, tmp_path / "elsewhere")
    assert elsewhere.digest == manifest.digest
    np.save(cameras / "labels/a.npy", np.array([0] * 5 + [1] * 5))
    assert prepare(config(), cameras, tmp_path / "out").digest != manifest.digest


def test_a_second_preparation_writes_no_clip_again(cameras: Path, tmp_path: Path) -> None:
    prepare(config(), cameras, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}
    prepare(config(), cameras, tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}


def test_a_changed_source_a_new_size_and_a_lost_array_are_prepared_again(cameras: Path, tmp_path: Path) -> None:
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


def test_clips_that_left_the_source_leave_the_prepared_dataset(cameras: Path, tmp_path: Path) -> None:
    prepare(config(), cameras, tmp_path / "out")
    (cameras / "testing/a.mp4").unlink()
    manifest = prepare(config(), cameras, tmp_path / "out")
    assert [c.name for c in manifest.split("test")] == ["b"]
    assert sorted(p.name for p in (tmp_path / "out").glob("*/test/*")) == ["b.json", "b.npy"]


def test_globs_choose_the_footage(cameras: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(("clips", "heldout"), [(2, 1), (8, 1), (9, 2), (16, 2), (25, 3)])
def test_at_least_one_and_at_least_the_fraction_of_the_clips_is_held_out(
    tmp_path: Path, clips: int, heldout: int
) -> None:
    write_video(tmp_path / "in/training/1.mp4", clip(6), 8.0)
    for i in range(2, clips + 1):
        os.link(tmp_path / "in/training/1.mp4", tmp_path / f"in/training/{i}.mp4")
    manifest = prepare(config(), tmp_path / "in", tmp_path / "out")
    assert len(manifest.split("calibration")) == heldout
    assert len(manifest.split("train")) == clips - heldout


def test_the_end_of_a_single_training_video_is_held_out(tmp_path: Path) -> None:
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


def ped2_circulated(root: Path) -> None:
    for i in (1, 2):
        images(root / f"training/frames/0{i}", 8, i, ".jpg")
        images(root / f"testing/frames/0{i}", 8, i, ".jpg")
        mask_images(root / f"testing/masks/0{i}", [0] * 4 + [1] * 4)


def ped2_official(root: Path) -> None:
    for i in (1, 2):
        images(root / f"Train/Train00{i}", 8, i, ".tif")
        images(root / f"Test/Test00{i}", 8, i, ".tif")
        mask_images(root / f"Test/Test00{i}_gt", [0] * 4 + [1] * 4, ".bmp")
    (root / "Test/UCSDped2.m").write_text("TestVideoFile{end+1}.gt_frame = [5:8];\n" * 2)
    (root / "Test/Test001/._001.tif").write_bytes(b"resource fork")


@pytest.mark.parametrize("layout", [ped2_circulated, ped2_official])
@pytest.mark.parametrize("place", ["", "ped2", "UCSDped2"])
def test_ped2_reads_in_both_layouts_from_its_folder_or_the_one_above(
    tmp_path: Path, layout: object, place: str
) -> None:
    layout(tmp_path / "in" / place)  # type: ignore[operator]
    manifest = prepare(config("ped2"), tmp_path / "in", tmp_path / "out")
    assert [len(manifest.split(s)) for s in ("train", "calibration", "test")] == [1, 1, 2]  # type: ignore[arg-type]
    for item in manifest.split("test"):
        labels, masks = manifest.labels(item), manifest.masks(item)
        assert labels is not None
        assert masks is not None
        assert labels.tolist() == [0] * 4 + [1] * 4 == masks.any(axis=(1, 2)).astype(int).tolist()
        assert item.fps == 10.0


def avenue(root: Path, masks: int = 10) -> None:
    for i in (1, 2, 3):
        write_video(root / f"training_videos/0{i}.avi", clip(8, i), 25.0, fourcc="XVID")
    write_video(root / "testing_videos/01.avi", clip(10), 25.0, fourcc="XVID")
    cells = np.empty((1, masks), dtype=object)
    for i in range(masks):
        cells[0, i] = np.zeros((40, 60), np.uint8)
        cells[0, i][5:15, 5:15] = i >= 7
    (root / "ground_truth_demo/testing_label_mask").mkdir(parents=True)
    savemat(root / "ground_truth_demo/testing_label_mask/1_label.mat", {"volLabel": cells})


def test_avenue_reads_in_its_official_layout(tmp_path: Path) -> None:
    avenue(tmp_path / "in/Avenue Dataset")
    manifest = prepare(config("avenue"), tmp_path / "in", tmp_path / "out")
    (test,) = manifest.split("test")
    labels = manifest.labels(test)
    assert labels is not None
    assert labels.tolist() == [0] * 7 + [1] * 3
    assert (test.fps, test.masked) == (25.0, True)


def shanghaitech(root: Path, train: str = "videos") -> None:
    """Scene 01 with three training clips, scene 02 with one."""
    for i, name in enumerate(("01_001", "01_002", "01_003", "02_001")):
        if train == "videos":
            write_video(root / f"training/videos/{name}.avi", clip(12, i), 24.0, fourcc="XVID")
        else:
            images(root / f"training/frames/{name}", 12, i, ".jpg")
    for name in ("01_0014", "02_0128"):
        images(root / f"testing/frames/{name}", 6, suffix=".jpg")
    for kind in ("test_frame_mask", "test_pixel_mask"):
        (root / "testing" / kind).mkdir()
    pixels = np.zeros((6, 40, 60), np.uint8)
    pixels[2:4, :20] = 1
    for name in ("01_0014", "02_0128"):
        np.save(root / f"testing/test_frame_mask/{name}.npy", np.array([0, 0, 1, 1, 0, 0], np.int8))
        np.save(root / f"testing/test_pixel_mask/{name}.npy", pixels)


@pytest.mark.parametrize("train", ["videos", "frames"])
@pytest.mark.parametrize("place", ["", "shanghaitech", "SHANGHAI"])
def test_shanghaitech_reads_in_its_official_layout(tmp_path: Path, train: str, place: str) -> None:
    shanghaitech(tmp_path / "in" / place, train)
    manifest = prepare(config("shanghaitech"), tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.name, c.scene, c.frames, c.fps) for c in manifest.clips] == [
        ("train", "01_001", "01", 12, 24.0),
        ("calibration", "01_002", "01", 12, 24.0),
        ("train", "01_003", "01", 12, 24.0),
        ("train", "02_001", "02", 6, 24.0),
        ("calibration", "02_001-end", "02", 6, 24.0),
        ("test", "01_0014", "01", 6, 24.0),
        ("test", "02_0128", "02", 6, 24.0),
    ]
    for test in manifest.split("test"):
        labels, masks = manifest.labels(test), manifest.masks(test)
        assert labels is not None
        assert masks is not None
        assert labels.tolist() == [0, 0, 1, 1, 0, 0]
        assert masks[2, :16].all()


# Scenes: each is a camera with statistics of its own.


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    """Two cameras: four training clips of the north gate, two of the south gate, a test clip of each."""
    for name in ("north_1", "north_2", "north_3", "north_4", "south_1", "south_2"):
        write_video(tmp_path / f"gates/training/{name}.mp4", clip(8), 8.0)
    for name in ("north_9", "south_9"):
        write_video(tmp_path / f"gates/testing/{name}.mp4", clip(8), 8.0)
    return tmp_path / "gates"


def test_each_scene_has_clips_to_train_on_and_clips_held_out(gates: Path, tmp_path: Path) -> None:
    manifest = prepare(config(scenes=True, calibration_fraction=0.4), gates, tmp_path / "out")
    assert [(c.scene, c.split, c.name) for c in sorted(manifest.clips, key=lambda c: (c.scene, c.split))] == [
        ("north", "calibration", "north_2"),
        ("north", "calibration", "north_4"),
        ("north", "test", "north_9"),
        ("north", "train", "north_1"),
        ("north", "train", "north_3"),
        ("south", "calibration", "south_2"),
        ("south", "test", "south_9"),
        ("south", "train", "south_1"),
    ]
    assert Manifest.load(tmp_path / "out") == manifest


def test_without_scenes_the_same_clips_are_of_one_camera(gates: Path, tmp_path: Path) -> None:
    apart = prepare(config(scenes=True), gates, tmp_path / "out")
    manifest = prepare(config(), gates, tmp_path / "out")
    assert {c.scene for c in manifest.clips} == {""}
    assert len(manifest.split("calibration")) == 1
    assert manifest.digest != apart.digest


@pytest.mark.parametrize("name", ["North_5.mp4", "straße_1.mp4", "n.e._1.mp4"])
def test_a_scene_that_cannot_name_a_deployment_is_refused(gates: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(gates / "training/north_1.mp4", gates / "training" / name)
    with pytest.raises(DatasetError, match=rf"{name}: scene .*: must be lower-case letters, digits and dashes.*rename"):
        prepare(config(scenes=True), gates, tmp_path / "out")


def test_a_scene_without_normal_footage_is_refused(gates: Path, tmp_path: Path) -> None:
    shutil.copy(gates / "testing/north_9.mp4", gates / "testing/nroth_8.mp4")
    with pytest.raises(
        DatasetError, match=r"nroth_8\.mp4: scene 'nroth' has no training clip \(there are north, south\)"
    ):
        prepare(config(scenes=True), gates, tmp_path / "out")


@pytest.mark.parametrize("name", ["gate.mp4", "_1.mp4", "north_.mp4"])
def test_a_clip_of_no_scene_is_refused(gates: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(gates / "training/north_1.mp4", gates / "training" / name)
    with pytest.raises(DatasetError, match=rf"{name}: its name has no scene; .* SCENE_CLIP; .*data\.scenes = false"):
        prepare(config(scenes=True), gates, tmp_path / "out")


def test_a_shanghaitech_clip_of_no_scene_is_refused(tmp_path: Path) -> None:
    shanghaitech(tmp_path / "in")
    (tmp_path / "in/training/videos/01_001.avi").rename(tmp_path / "in/training/videos/first.avi")
    with pytest.raises(DatasetError, match=r"first\.avi: its name has no scene; .*restore the official name"):
        prepare(config("shanghaitech"), tmp_path / "in", tmp_path / "out")


def test_walkways_scenes_are_the_manifests_scenes(tmp_path: Path) -> None:
    scenes = WalkwayConfig(scenes=2, train_clips=2, test_clips=1, frames=30, height=48, width=64)
    settings = dataclasses.replace(config("walkway", scenes=True), walkway=scenes)
    manifest = prepare(settings, tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.name, c.scene) for c in manifest.clips] == [
        (split, f"{scene}_00{i}", scene)
        for clips in ([("train", 1), ("calibration", 2)], [("test", 1)])
        for scene in ("01", "02")
        for split, i in clips
    ]


def test_walkway_is_filmed_where_it_is_missing(tmp_path: Path) -> None:
    scene = WalkwayConfig(train_clips=2, test_clips=1, frames=40, height=48, width=64)
    settings = dataclasses.replace(config("walkway"), walkway=scene)
    manifest = prepare(settings, tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.frames, c.labelled, c.masked) for c in manifest.clips] == [
        ("train", 40, False, False),
        ("calibration", 40, False, False),
        ("test", 40, True, True),
    ]


# What does not fit is refused, and the message names the file, what is wrong and the mend.


@pytest.mark.parametrize("reader", ["walkway", "ped2", "avenue", "shanghaitech", "folder"])
def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "in.mp4").touch()
    with pytest.raises(DatasetError, match=r"DATA_ROOT=.*in\.mp4: is a file; pass the folder"):
        prepare(config(reader), tmp_path / "in.mp4", tmp_path / "out")
    with pytest.raises(DatasetError, match=r"in\.mp4: is a file; the prepared dataset needs a folder"):
        prepare(config(reader), tmp_path, tmp_path / "in.mp4")


@pytest.mark.parametrize("reader", ["ped2", "avenue", "shanghaitech", "folder"])
def test_a_missing_dataset_folder_is_refused(tmp_path: Path, reader: Reader) -> None:
    with pytest.raises(DatasetError, match=r"DATA_ROOT=.*gone: no such folder.*pass the folder that holds"):
        prepare(config(reader), tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("reader", ["ped2", "avenue", "shanghaitech"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, reader: Reader) -> None:
    with pytest.raises(DatasetError, match=f"DATA_ROOT=.*data.reader = '{reader}'"):
        prepare(config(reader), tmp_path, tmp_path / "out")


def test_a_glob_without_a_match_is_refused(cameras: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"data\.train_glob = 'night/\*' matches no video"):
        prepare(config(train_glob="night/*"), cameras, tmp_path / "out")


@pytest.mark.parametrize("folder", ["", "training"])
def test_an_empty_folder_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "in" / folder).mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"data\.train_glob = 'training/\*' matches no video and no frame folder"):
        prepare(config(), tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("key", ["train_glob", "test_glob"])
def test_a_glob_from_the_root_is_refused(cameras: Path, tmp_path: Path, key: str) -> None:
    with pytest.raises(DatasetError, match=rf"data\.{key} = '{cameras}/\*': .*relative to DATA_ROOT"):
        prepare(config(**{key: f"{cameras}/*"}), cameras, tmp_path / "out")


@pytest.mark.parametrize("split", ["training", "testing"])
def test_an_incomplete_dataset_is_refused(tmp_path: Path, split: str) -> None:
    ped2_circulated(tmp_path / "ped2")
    shutil.rmtree(tmp_path / "ped2" / split / "frames/01")
    shutil.rmtree(tmp_path / "ped2" / split / "frames/02")
    with pytest.raises(DatasetError, match=rf"{split}/frames: holds no frame folders; .*incomplete, restore it"):
        prepare(config("ped2"), tmp_path / "ped2", tmp_path / "out")
    avenue(tmp_path / "avenue")
    shutil.rmtree(tmp_path / "avenue/testing_videos")
    with pytest.raises(DatasetError, match=r"testing_videos: missing; the dataset is incomplete"):
        prepare(config("avenue"), tmp_path / "avenue", tmp_path / "out")


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    avenue(tmp_path / "in")
    shutil.copy(tmp_path / "in/training_videos/01.avi", tmp_path / "in/training_videos/01.mp4")
    with pytest.raises(DatasetError, match=r"01\.\w{3}: same clip name as .*01\.\w{3}; rename one"):
        prepare(config("avenue"), tmp_path / "in", tmp_path / "out")


def test_a_link_to_nowhere_is_refused(cameras: Path, tmp_path: Path) -> None:
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


def test_held_out_clips_that_no_calibration_can_be_fitted_on_are_refused(cameras: Path, tmp_path: Path) -> None:
    write_video(cameras / "training/1.mp4", clip(5), 8.0)
    with pytest.raises(
        DatasetError, match=r"training/1\.mp4: held out for calibration, with 1 frames that have a score"
    ):
        prepare(config(), cameras, tmp_path / "out")


@pytest.mark.parametrize(
    ("height", "width", "fps", "said"),
    [(40, 60, 20.0, "8 and 20 frames a second"), (40, 40, 8.0, "60 x 40 and 40 x 40 pixels")],
)
def test_footage_of_one_camera_that_differs_is_said_so(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, height: int, width: int, fps: float, said: str
) -> None:
    shutil.rmtree(cameras / "testing/b")
    prepare(config(), cameras, tmp_path / "alike")
    assert "frames a second" not in caplog.text
    write_video(cameras / "training/2.mp4", clip(12, 2, height, width), fps)
    prepare(config(), cameras, tmp_path / "mixed")
    assert f"training/0.mp4 and training/2.mp4: {said}" in caplog.text


def test_test_clips_without_truth_beside_others_that_have_it_are_said_so(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(config(), cameras, tmp_path / "out")
    assert "no labels and no masks for b: scored, and left out of all figures" in caplog.text
    caplog.clear()
    shutil.rmtree(cameras / "labels")
    shutil.rmtree(cameras / "masks")
    prepare(config(), cameras, tmp_path / "out")
    assert "no labels" not in caplog.text


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_truth_that_was_lost_is_prepared_again(cameras: Path, tmp_path: Path, kind: Literal["labels", "masks"]) -> None:
    lost = prepare(config(), cameras, tmp_path / "out").path(kind, "test", "a")
    before = lost.read_bytes()
    lost.unlink()
    prepare(config(), cameras, tmp_path / "out")
    assert lost.read_bytes() == before


def test_a_folder_of_videos_where_clips_are_wanted_is_refused(cameras: Path, tmp_path: Path) -> None:
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
    for odd in (2, 0.5, np.nan):
        np.save(cameras / "labels/a.npy", np.array([0.0] * 9 + [odd]))
        with pytest.raises(DatasetError, match=r"labels/a\.npy: labels other than 0 \(normal\) and 1"):
            prepare(config(), cameras, tmp_path / "out")


def test_truth_that_belongs_to_no_clip_is_said_so(
    cameras: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cameras / "labels/a.npy").rename(cameras / "labels/A.npy")
    images(cameras / "masks/b", 7)
    prepare(config(), cameras, tmp_path / "out")
    assert "labels/A.npy: not used: no test clip has that name" in caplog.text
    assert "masks/b: not used" in caplog.text


def test_avenue_masks_that_do_not_match_the_frames_are_refused(tmp_path: Path) -> None:
    avenue(tmp_path / "in", masks=9)
    with pytest.raises(DatasetError, match=r"1_label\.mat: 9 masks for a clip of 10 frames"):
        prepare(config("avenue"), tmp_path / "in", tmp_path / "out")


def test_missing_ground_truth_of_a_benchmark_is_refused(tmp_path: Path) -> None:
    avenue(tmp_path / "in")
    shutil.rmtree(tmp_path / "in/ground_truth_demo")
    with pytest.raises(DatasetError, match=r"1_label\.mat: missing, the ground truth of 01\.avi"):
        prepare(config("avenue"), tmp_path / "in", tmp_path / "out")
    ped2_circulated(tmp_path / "ped2")
    shutil.rmtree(tmp_path / "ped2/testing/masks")
    with pytest.raises(DatasetError, match=r"masks/01: missing, and no UCSDped2\.m or ped2\.mat"):
        prepare(config("ped2"), tmp_path / "ped2", tmp_path / "out")


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


def test_a_cut_training_video_is_used_up_to_the_cut_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(2):
        write_video(tmp_path / f"in/training/{i}.avi", clip(30, i), 8.0, fourcc="XVID")
    path = tmp_path / "in/training/0.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    manifest = prepare(config(), tmp_path / "in", tmp_path / "out")
    cut = next(c for c in manifest.clips if c.name == "0")
    assert 5 <= cut.frames < 30
    assert f"0.avi: {cut.frames} of 30 reported frames could be decoded" in caplog.text


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


def test_real_ped2_is_complete_and_its_labels_are_the_circulated_ones(shared_data: Path) -> None:
    _, footage = read_footage(config("ped2"), shared_data)
    train = [len(image_files(item.path)) for item in footage if item.split == "train"]
    tests = [item for item in footage if item.split == "test"]
    assert (len(train), sum(train), len(tests)) == (16, 2550, 12)
    labels = [item.truth.labels(len(image_files(item.path))) for item in tests if item.truth and item.truth.labels]
    circulated = np.load(shared_data / "labels/frame_labels_ped2.npy").reshape(-1)
    assert np.array_equal(np.concatenate(labels), circulated)


def test_real_ped2_clips_are_prepared(shared_data: Path, tmp_path: Path) -> None:
    source, root = shared_data / "ped2", tmp_path / "in/ped2"
    for folder in ("training/frames/01", "training/frames/05", "testing/frames/03", "testing/masks/03"):
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
        (root / folder).symlink_to(source / folder)
    shutil.copy(source / "UCSDped2.m", root)
    manifest = prepare(config("ped2"), tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.name, c.frames, c.height, c.width) for c in manifest.clips] == [
        ("train", "01", 120, 240, 360),
        ("calibration", "05", 180, 240, 360),
        ("test", "03", 150, 240, 360),
    ]
    labels, masks = manifest.labels(manifest.clips[2]), manifest.masks(manifest.clips[2])
    assert labels is not None
    assert masks is not None
    assert labels.tolist() == [1] * 146 + [0] * 4
    assert np.array_equal(masks.any(axis=(1, 2)), labels)


def test_real_avenue_clips_are_prepared(shared_data: Path, tmp_path: Path) -> None:
    source, root = shared_data / "avenue-sample", tmp_path / "in/avenue"
    for video in ("training_videos/12.avi", "testing_videos/08.avi", "testing_videos/21.avi"):
        (root / video).parent.mkdir(parents=True, exist_ok=True)
        (root / video).symlink_to(source / video)
    (root / "ground_truth_demo").symlink_to(source / "ground_truth_demo")
    manifest = prepare(config("avenue"), root, tmp_path / "out")
    assert [(c.split, c.name, c.frames) for c in manifest.clips] == [
        ("train", "12", 127),
        ("calibration", "12-end", 18),
        ("test", "08", 36),
        ("test", "21", 76),
    ]
    everything = np.load(shared_data / "labels/frame_labels_avenue.npy").reshape(-1)
    labels = manifest.labels(manifest.clips[3])
    assert labels is not None
    assert np.array_equal(labels, everything[-76:])


def test_a_file_gets_a_second_name_or_between_file_systems_a_copy(tmp_path: Path) -> None:
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
