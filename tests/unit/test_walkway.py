"""The synthetic scene: exact truth, repeatable, and odd where it says so."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stmae.config import WalkwayConfig
from stmae.data import walkway
from stmae.data.manifest import DatasetError
from stmae.data.scene import Scene
from stmae.data.video import FrameSource

CONFIG = WalkwayConfig(train_clips=2, test_clips=4, frames=120, height=96, width=128)
Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("walkway")
    walkway.film(CONFIG, out)
    return out


def shoot(clip: int, config: WalkwayConfig = CONFIG, frames: int = 20) -> list[tuple[Bytes, Bytes]]:
    scene = Scene(config.height, config.width, config.seed)
    return list(itertools.islice(walkway.shoot(config, scene, "testing", clip), frames))


def test_every_filmed_frame_is_in_the_videos(footage: Path) -> None:
    videos = sorted(footage.glob("*/*.mp4"))
    assert [f"{video.parent.name}/{video.name}" for video in videos] == [
        *(f"testing/0{i}.mp4" for i in range(1, 5)),
        *(f"training/0{i}.mp4" for i in range(1, 3)),
    ]
    for video in videos:
        source = FrameSource(video)
        assert {frame.image.shape for frame in source} == {(96, 128, 3)}
        assert source.health.status == "scored"
        assert source.health.frames_decoded == CONFIG.frames
        assert source.health.fps == CONFIG.fps


def test_each_test_clip_has_normal_and_abnormal_spells_and_matching_pixel_truth(footage: Path) -> None:
    for name in ("01", "02", "03", "04"):
        labels = np.load(footage / f"labels/{name}.npy")
        masks = np.load(footage / f"masks/{name}.npz")["masks"]
        assert labels.shape == (CONFIG.frames,)
        assert masks.shape == (CONFIG.frames, CONFIG.height, CONFIG.width)
        assert np.array_equal(labels, masks.any(axis=(1, 2)))
        assert 0.2 < labels.mean() < 0.65
        assert not labels[:10].any()


def test_anomalies_change_the_picture_more_than_walkers_do(footage: Path) -> None:
    for name in ("01", "02", "03", "04"):
        frames = np.stack([frame.image for frame in FrameSource(footage / f"testing/{name}.mp4", 96)])
        change = np.diff(frames.astype(np.float32), axis=0)
        change = (change**2).mean(axis=(1, 2, 3))
        abnormal = np.load(footage / f"labels/{name}.npy")[1:].astype(bool)
        assert np.median(change[abnormal]) > 1.5 * np.median(change[~abnormal])


def test_the_same_seed_gives_the_same_frames_and_another_seed_others() -> None:
    for (frame, mask), (again, mask_again) in zip(shoot(1), shoot(1), strict=True):
        assert np.array_equal(frame, again)
        assert np.array_equal(mask, mask_again)
    other = shoot(1, dataclasses.replace(CONFIG, seed=8))
    assert not np.array_equal(shoot(1)[0][0], other[0][0])


def test_clips_differ_and_the_camera_stays() -> None:
    one, two = shoot(0)[0][0].astype(float), shoot(1)[0][0].astype(float)
    assert np.abs(one - two).mean() > 2
    # The wall is the same; light and noise differ.
    assert np.corrcoef(one[:20].ravel(), two[:20].ravel())[0, 1] > 0.97


def test_filming_again_does_nothing_and_a_changed_config_films_anew(tmp_path: Path) -> None:
    small = WalkwayConfig(train_clips=2, test_clips=1, frames=30, height=48, width=64)
    walkway.film(small, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    walkway.film(small, tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    walkway.film(dataclasses.replace(small, test_clips=2, train_clips=3), tmp_path)
    assert len(list(tmp_path.glob("training/*.mp4"))) == 3
    assert len(list(tmp_path.glob("labels/*.npy"))) == 2


def test_an_interrupted_film_is_made_whole(tmp_path: Path) -> None:
    small = WalkwayConfig(train_clips=2, test_clips=1, frames=30, height=48, width=64)
    walkway.film(small, tmp_path)
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("*/*.mp4")}
    stamp = tmp_path / walkway.STAMP
    stamp.write_text(stamp.read_text().replace("true", "false"))
    (tmp_path / "training/02.mp4").unlink()
    walkway.film(small, tmp_path)
    assert whole == {path.name: path.read_bytes() for path in tmp_path.glob("*/*.mp4")}


def test_footage_of_ones_own_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training/mine.mp4").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="not filmed here; pass another DATA_ROOT"):
        walkway.film(CONFIG, tmp_path)
    assert (tmp_path / "training/mine.mp4").read_bytes() == b"mine"


@pytest.mark.parametrize("frames", [30, 280])
def test_short_and_long_clips_have_both_classes(frames: int) -> None:
    config = WalkwayConfig(frames=frames, height=48, width=64)
    for clip in range(4):
        abnormal = [mask.any() for _, mask in shoot(clip, config, frames)]
        assert 0.1 < np.mean(abnormal) < 0.7
