"""Readers: each dataset is found in its layouts, and what is missing is named."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_footage import avenue, config, ped2_circulated, ped2_official, shanghaitech

from stmae.config import ConfigError, DataConfig, from_json, load
from stmae.datasets.manifest import SPLITS, DatasetError, Manifest
from stmae.datasets.prepare import prepare
from stmae.datasets.readers import READERS, default_data_root, read_footage, resolve
from stmae.datasets.synthetic.config import WalkwayConfig
from stmae.video.images import image_files

SMALL_WALKWAY = {"train_clips": 2, "test_clips": 1, "frames": 30, "height": 48, "width": 64}


@pytest.mark.parametrize("layout", [ped2_circulated, ped2_official])
@pytest.mark.parametrize("place", ["", "ped2", "UCSDped2"])
def test_ped2_reads_in_both_layouts_from_its_folder_or_the_one_above(
    tmp_path: Path, layout: object, place: str
) -> None:
    layout(tmp_path / "in" / place)  # type: ignore[operator]
    manifest = prepare(config("ped2"), tmp_path / "in", tmp_path / "out")
    assert [len(manifest.split(split)) for split in SPLITS] == [1, 1, 2]
    for item in manifest.split("test"):
        labels, masks = manifest.labels(item), manifest.masks(item)
        assert labels is not None
        assert masks is not None
        assert labels.tolist() == [0] * 4 + [1] * 4 == masks.any(axis=(1, 2)).astype(int).tolist()


def test_avenue_reads_in_its_official_layout(tmp_path: Path) -> None:
    avenue(tmp_path / "in/Avenue Dataset")
    manifest = prepare(config("avenue"), tmp_path / "in", tmp_path / "out")
    (test,) = manifest.split("test")
    labels = manifest.labels(test)
    assert labels is not None
    assert labels.tolist() == [0] * 7 + [1] * 3
    assert test.masked


@pytest.mark.parametrize("train", ["videos", "frames"])
@pytest.mark.parametrize("place", ["", "shanghaitech", "SHANGHAI"])
def test_shanghaitech_reads_in_its_official_layout(tmp_path: Path, train: str, place: str) -> None:
    shanghaitech(tmp_path / "in" / place, train)
    manifest = prepare(config("shanghaitech"), tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.name, c.scene, c.frames) for c in manifest.clips] == [
        ("train", "01_001", "01", 12),
        ("calibration", "01_002", "01", 12),
        ("train", "01_003", "01", 12),
        ("train", "02_001", "02", 6),
        ("calibration", "02_001-end", "02", 6),
        ("test", "01_0014", "01", 6),
        ("test", "02_0128", "02", 6),
    ]
    for test in manifest.split("test"):
        labels, masks = manifest.labels(test), manifest.masks(test)
        assert labels is not None
        assert masks is not None
        assert labels.tolist() == [0, 0, 1, 1, 0, 0]
        assert masks[2, :16].all()


def test_each_scene_has_training_and_calibration_clips(gates: Path, tmp_path: Path) -> None:
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


def test_without_scenes_the_same_clips_belong_to_one_camera(gates: Path, tmp_path: Path) -> None:
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
def test_a_clip_without_a_scene_in_its_name_is_refused(gates: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(gates / "training/north_1.mp4", gates / "training" / name)
    with pytest.raises(DatasetError, match=rf"{name}: its name has no scene; .* SCENE_CLIP; .*data\.scenes = false"):
        prepare(config(scenes=True), gates, tmp_path / "out")


def test_a_shanghaitech_clip_without_a_scene_in_its_name_is_refused(tmp_path: Path) -> None:
    shanghaitech(tmp_path / "in")
    (tmp_path / "in/training/videos/01_001.avi").rename(tmp_path / "in/training/videos/first.avi")
    with pytest.raises(DatasetError, match=r"first\.avi: its name has no scene; .*restore the official name"):
        prepare(config("shanghaitech"), tmp_path / "in", tmp_path / "out")


def test_walkway_clips_carry_their_scene(tmp_path: Path) -> None:
    settings = dataclasses.replace(config("walkway"), walkway=SMALL_WALKWAY | {"scenes": 2})
    manifest = prepare(settings, tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.name, c.scene) for c in manifest.clips] == [
        (split, f"{scene}_00{i}", scene)
        for clips in ([("train", 1), ("calibration", 2)], [("test", 1)])
        for scene in ("01", "02")
        for split, i in clips
    ]


def test_walkway_is_filmed_on_first_use(tmp_path: Path) -> None:
    settings = dataclasses.replace(config("walkway"), walkway=SMALL_WALKWAY)
    manifest = prepare(settings, tmp_path / "in", tmp_path / "out")
    assert [(c.split, c.frames, c.labelled, c.masked) for c in manifest.clips] == [
        ("train", 30, False, False),
        ("calibration", 30, False, False),
        ("test", 30, True, True),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"walkway": {"sede": 1}}, r"unknown key 'walkway\.sede' \(did you mean 'seed'\?\)"),
        ({"walkway": {"seed": "x"}}, r"walkway\.seed = 'x': must be int"),
        ({"data": DataConfig(reader="pad2")}, r"data\.reader = 'pad2' \(did you mean 'ped2'\?\); one of avenue, "),
    ],
)
def test_a_mistake_in_the_configuration_is_refused_when_it_is_resolved_and_when_it_is_used(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    settings = dataclasses.replace(config("walkway"), **changes)
    with pytest.raises(ConfigError, match=message):
        resolve(settings)
    with pytest.raises(ConfigError, match=message):
        prepare(settings, tmp_path / "in", tmp_path / "out")


def test_a_resolved_configuration_has_every_value_of_walkway() -> None:
    resolved = resolve(load("walkway", ["walkway.seed=11"]))
    assert resolved.walkway == dataclasses.asdict(WalkwayConfig(train_clips=10, seed=11))
    assert from_json(resolved.to_json()) == resolved == resolve(resolved)


def test_configurations_of_a_downloaded_dataset_share_a_folder_and_those_of_walkway_do_not() -> None:
    roots = {name: default_data_root(load(name), Path("work")) for name in ("ped2", "ped2-cpu", "walkway-slow")}
    assert roots == {
        "ped2": Path("work/datasets/ped2"),
        "ped2-cpu": Path("work/datasets/ped2"),
        "walkway-slow": Path("work/datasets/walkway-slow"),
    }
    with pytest.raises(ConfigError, match="did you mean 'ped2'"):
        default_data_root(load("ped2", ["data.reader=pad2"]), Path("work"))


@pytest.mark.parametrize("reader", READERS)
def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path, reader: str) -> None:
    (tmp_path / "in.mp4").touch()
    with pytest.raises(DatasetError, match=r"DATA_ROOT=.*in\.mp4: is a file; pass the folder"):
        prepare(config(reader), tmp_path / "in.mp4", tmp_path / "out")
    with pytest.raises(DatasetError, match=r"in\.mp4: is a file; the prepared dataset needs a folder"):
        prepare(config(reader), tmp_path, tmp_path / "in.mp4")


@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"walkway"}))
def test_a_missing_dataset_folder_is_refused(tmp_path: Path, reader: str) -> None:
    with pytest.raises(DatasetError, match=r"DATA_ROOT=.*gone: no such folder.*pass the folder that holds"):
        prepare(config(reader), tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"walkway", "folder"}))
def test_a_folder_without_the_dataset_is_refused(tmp_path: Path, reader: str) -> None:
    with pytest.raises(DatasetError, match=f"DATA_ROOT=.*data.reader = '{reader}'"):
        prepare(config(reader), tmp_path, tmp_path / "out")


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


def test_missing_ground_truth_of_a_benchmark_is_refused(tmp_path: Path) -> None:
    avenue(tmp_path / "in")
    shutil.rmtree(tmp_path / "in/ground_truth_demo")
    with pytest.raises(DatasetError, match=r"1_label\.mat: missing, the ground truth of 01\.avi"):
        prepare(config("avenue"), tmp_path / "in", tmp_path / "out")
    ped2_circulated(tmp_path / "ped2")
    shutil.rmtree(tmp_path / "ped2/testing/masks")
    with pytest.raises(DatasetError, match=r"masks/01: missing, and no UCSDped2\.m or ped2\.mat"):
        prepare(config("ped2"), tmp_path / "ped2", tmp_path / "out")


def test_avenue_masks_that_do_not_match_the_frames_are_refused(tmp_path: Path) -> None:
    avenue(tmp_path / "in", masks=9)
    with pytest.raises(DatasetError, match=r"1_label\.mat: 9 masks for a clip of 10 frames"):
        prepare(config("avenue"), tmp_path / "in", tmp_path / "out")


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
