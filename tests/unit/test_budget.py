"""The budget of footage: of a long day stretches are kept that are spread over all of it, of a short one everything."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_footage import clip, config, write_images
from recordings import at_intervals, record, spoil_packet

from stmae.config import DataConfig
from stmae.datasets.budget import Kept, spread
from stmae.datasets.flow_cache import FlowCache
from stmae.datasets.manifest import DatasetError, Manifest
from stmae.datasets.prepare import prepare
from stmae.video.writer import write_video

HOUR = 36_000
DAY = 24 * HOUR


def kept(samples: Sequence[int], train: int, calibration: int, fps: float = 10.0) -> list[list[Kept]]:
    found = spread(samples, DataConfig(train_frames=train, calibration_frames=calibration, fps=fps))
    assert found is not None
    return found


def frames(stretches: Sequence[Sequence[Kept]], split: str) -> int:
    return sum(each.after - each.first for own in stretches for each in own if each.split == split)


@pytest.mark.parametrize("samples", [[DAY], [HOUR] * 24, [100] * 8640, [3 * HOUR, 20 * HOUR, HOUR]])
def test_a_day_is_cut_to_its_budget_however_it_lies_in_files(samples: list[int]) -> None:
    stretches = kept(samples, 6000, 9000)
    assert 0.99 * 6000 <= frames(stretches, "train") <= 6000
    assert 0.99 * 9000 <= frames(stretches, "calibration") <= 9000


def test_stretches_are_spread_evenly_lie_within_their_file_and_do_not_overlap() -> None:
    stretches = kept([HOUR] * 24, 6000, 9000)
    trained = [sum(each.split == "train" for each in own) for own in stretches]
    assert max(trained) - min(trained) <= 2
    for own in stretches:
        assert all(0 <= each.first < each.after <= HOUR for each in own)
        assert all(one.after <= other.first for one, other in itertools.pairwise(own))
    day = [each for number, own in enumerate(stretches) for each in own if each.split == "calibration"]
    assert {each.after - each.first for each in day} == {9000 // 8}
    assert len(day) == 8


def test_stretches_are_seconds_and_minutes_long_at_every_rate() -> None:
    (at_five,) = kept([DAY], 6000, 9000, fps=5.0)
    assert {each.after - each.first for each in at_five if each.split == "train"} == {20}
    assert {each.after - each.first for each in at_five if each.split == "calibration"} == {600}


@pytest.mark.parametrize(("train", "calibration", "samples"), [(0, 0, DAY), (6000, 9000, 6800), (6000, 0, 6800)])
def test_footage_within_the_budget_is_kept_whole(train: int, calibration: int, samples: int) -> None:
    assert spread([samples], DataConfig(train_frames=train, calibration_frames=calibration)) is None


def test_without_a_budget_calibration_gets_its_fraction_and_training_all_the_rest() -> None:
    assert frames(kept([DAY], 6000, 0), "calibration") == pytest.approx(0.12 * DAY, rel=0.01)
    assert frames(kept([DAY], 0, 9000), "train") == DAY - 9000


def test_little_more_than_the_budget_is_kept_almost_whole() -> None:
    stretches = kept([7000], 6000, 9000)
    assert frames(stretches, "train") + frames(stretches, "calibration") > 6900
    assert len(stretches[0]) < 8, "stretches that touch are one"


LONG = {"train_frames": 40, "calibration_frames": 40}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with two training films of twenty seconds at ten frames a second, and a test film."""
    root = tmp_path_factory.mktemp("films")
    for name in ("training/a", "training/b", "testing/t"):
        record(root / f"{name}.mp4", 200)
    return root


def test_each_stretch_is_a_clip_with_the_frames_of_that_time(films: Path, tmp_path: Path) -> None:
    whole = prepare(config(), films, tmp_path / "whole")
    some = prepare(config(**LONG), films, tmp_path / "some")
    films_whole = {each.source: whole.frames(each) for each in whole.clips}
    assert [each.name for each in some.split("calibration")] == ["a-at-9.00s", "b-at-9.00s"]
    assert {each.source for each in some.split("train")} == {"training/a.mp4", "training/b.mp4"}
    for each in (*some.split("train"), *some.split("calibration")):
        first = round(float(each.name.partition("-at-")[2].removesuffix("s")) * 10)
        assert np.array_equal(some.frames(each), films_whole[each.source][first : first + each.frames])
    assert some.split("test") == whole.split("test"), "test footage is never cut"


def test_a_plan_is_the_same_each_time_and_rewrites_nothing(films: Path, tmp_path: Path) -> None:
    first = prepare(config(**LONG), films, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}
    assert prepare(config(**LONG), films, tmp_path / "out") == first
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}
    assert prepare(config(**LONG), films, tmp_path / "elsewhere").digest == first.digest


def test_another_plan_or_other_bytes_are_other_clips_and_leave_nothing_behind(films: Path, tmp_path: Path) -> None:
    first = prepare(config(**LONG), films, tmp_path / "out")
    other = prepare(config(**LONG | {"train_frames": 60}), films, tmp_path / "out")
    assert {each.sha256 for each in first.split("train")}.isdisjoint(each.sha256 for each in other.split("train"))
    listed = {f"{each.split}/{each.name}.npy" for each in other.clips}
    folder = tmp_path / "out/frames"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.npy")} == listed
    cache = FlowCache.of(tmp_path / "flow", other)
    assert len({cache.path(each) for each in other.clips}) == len(other.clips)


def test_footage_within_the_budget_gives_the_manifest_that_it_gives_without_one(films: Path, tmp_path: Path) -> None:
    roomy = config(train_frames=1000, calibration_frames=1000)
    one, other = (prepare(settings, films, tmp_path / f"{number}") for number, settings in enumerate((roomy, config())))
    assert dataclasses.replace(one, root=other.root) == other


def test_a_recorder_that_waits_for_motion_is_cut_by_what_it_filmed(tmp_path: Path) -> None:
    film = at_intervals(tmp_path / "in/training/day.mkv", bursts=6, every_seconds=1000.0)
    manifest = prepare(config(**LONG | {"train_frames": 120}), tmp_path / "in", tmp_path / "out")
    assert film.exists()
    begins = sorted(float(each.name.partition("-at-")[2].removesuffix("s")) for each in manifest.clips)
    assert {round(begin / 1000) for begin in begins} == {0, 1, 2, 3, 4, 5}
    assert sum(each.frames for each in manifest.clips) == 160


def test_each_scene_has_its_own_budget(tmp_path: Path) -> None:
    for name in ("gate_1", "gate_2", "hall_1", "hall_2"):
        frames_of = 200 if name.startswith("gate") else 20
        write_video(tmp_path / f"in/training/{name}.mp4", clip(frames_of), 10.0)
    manifest = prepare(config(scenes=True, **LONG), tmp_path / "in", tmp_path / "out")
    assert [each.name for each in manifest.clips if each.scene == "hall"] == ["hall_1", "hall_2"]
    gate = sum(each.frames for each in manifest.clips if each.scene == "gate")
    assert gate == pytest.approx(80, abs=4)


def test_image_folders_are_cut_without_reading_the_rest(tmp_path: Path) -> None:
    write_images(tmp_path / "in/training/a", 200)
    manifest = prepare(config(**LONG), tmp_path / "in", tmp_path / "out")
    chosen = sum(each.frames for each in manifest.clips)
    assert chosen == 80
    broken = tmp_path / "in/training/a/001.png"
    broken.write_bytes(b"not an image")
    assert sum(each.frames for each in prepare(config(**LONG), tmp_path / "in", tmp_path / "out").clips) == chosen


def test_a_broken_video_of_a_long_day_is_told_and_leaves_nothing_behind(films: Path, tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("a", "b"):
        (root / "training").mkdir(parents=True, exist_ok=True)
        (root / f"training/{name}.mp4").write_bytes((films / f"training/{name}.mp4").read_bytes())
    (root / "training/c.mp4").write_text("not a video")
    with pytest.raises(DatasetError, match=r"c\.mp4: undecodable: .*; repair it or remove it from the training data"):
        prepare(config(**LONG), root, tmp_path / "out")
    with pytest.raises(DatasetError):
        Manifest.load(tmp_path / "out")


def test_damage_costs_the_stretch_in_which_it_lies(
    films: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sound = prepare(config(**LONG), films, tmp_path / "sound")
    root = tmp_path / "in"
    shutil.copytree(films, root)
    for packet in range(80, 90):
        spoil_packet(root / "training/a.mp4", packet)
    found = prepare(config(**LONG), root, tmp_path / "out")
    assert "training/a.mp4: 40 of 50 frames could be decoded: the file is damaged; the rest is used" in caplog.text
    assert len(found.clips) == len(sound.clips) - 1
