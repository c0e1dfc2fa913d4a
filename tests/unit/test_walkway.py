"""The synthetic scenes: exact truth, the same frames for the same configuration, and anomalies as documented."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from stmae.config import ConfigError, load
from stmae.datasets.manifest import DatasetError
from stmae.datasets.synthetic import crowd, film
from stmae.datasets.synthetic.actors import Actor
from stmae.datasets.synthetic.anomalies import CLEARANCE, LIES_S, LOITERS_AFTER_S, STAYS_S, with_anomalies
from stmae.datasets.synthetic.config import ANOMALY_KINDS, NORMAL_MOVERS, WalkwayConfig
from stmae.datasets.synthetic.scene import Placed, Scene
from stmae.video.reader import FrameSource

CONFIG = WalkwayConfig(train_clips=2, test_clips=4, frames=120, height=96, width=128)
SLOW = WalkwayConfig(frames=380, one_way=True, anomalies="object,loiterer,wrong-way")
SMALL = WalkwayConfig(train_clips=2, test_clips=1, frames=30, height=48, width=64)
Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("walkway")
    film.film(CONFIG, out)
    return out


@functools.cache
def view(config: WalkwayConfig, number: int = 1) -> Scene:
    return Scene(config.height, config.width, config.seed, number)


def shoot(clip: int, config: WalkwayConfig = CONFIG, frames: int = 20, number: int = 1) -> list[tuple[Bytes, Bytes]]:
    return list(itertools.islice(film.shoot(config, view(config, number), "testing", clip), frames))


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


def test_each_test_clip_has_normal_and_abnormal_intervals_and_matching_pixel_truth(footage: Path) -> None:
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
    film.film(SMALL, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    film.film(SMALL, tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    film.film(dataclasses.replace(SMALL, test_clips=2, train_clips=3), tmp_path)
    assert len(list(tmp_path.glob("training/*.mp4"))) == 3
    assert len(list(tmp_path.glob("labels/*.npy"))) == 2


def test_interrupted_filming_is_completed(tmp_path: Path) -> None:
    film.film(SMALL, tmp_path)
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("*/*.mp4")}
    stamp = tmp_path / film.STAMP
    stamp.write_text(stamp.read_text().replace("true", "false"))
    (tmp_path / "training/02.mp4").unlink()
    film.film(SMALL, tmp_path)
    assert whole == {path.name: path.read_bytes() for path in tmp_path.glob("*/*.mp4")}


@pytest.mark.parametrize("mine", ["training/mine.mp4", "labels/frame_labels.npy", "ped2/testing/frames/01/000.jpg"])
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path, mine: str) -> None:
    (tmp_path / mine).parent.mkdir(parents=True)
    (tmp_path / mine).write_bytes(b"mine")
    with pytest.raises(DatasetError, match="not filmed here; pass an empty one, or none"):
        film.film(CONFIG, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / mine]
    assert (tmp_path / mine).read_bytes() == b"mine"


@pytest.mark.parametrize("frames", [30, 280])
def test_short_and_long_clips_have_both_classes(frames: int) -> None:
    config = WalkwayConfig(frames=frames, height=48, width=64)
    for clip in range(4):
        abnormal = [mask.any() for _, mask in shoot(clip, config, frames)]
        assert 0.1 < np.mean(abnormal) < 0.7


def test_the_camera_shifts_by_part_of_a_pixel_between_recordings(footage: Path) -> None:
    """Nothing is at rest in the background, yet it differs between clips by part of a pixel."""
    still = [np.median([frame.image for frame in FrameSource(video)], axis=0) for video in footage.glob("*/*.mp4")]
    grey = [frame.mean(axis=2).astype(np.float32) for frame in still]
    moved = [abs(np.array(cv2.phaseCorrelate(grey[0].copy(), other.copy())[0])).max() for other in grey[1:]]
    assert 0.05 < max(moved) < 1


def test_the_first_scene_never_changes(footage: Path) -> None:
    """The demo's published figures were measured on this footage."""
    frame = shoot(1, WalkwayConfig(), 1)[0][0].astype(float)
    tiles = frame.reshape(4, 36, 4, 48, 3).mean(axis=(1, 3, 4))
    assert tiles == pytest.approx(np.array(FIRST_FRAME_TILES), abs=0.5)
    for name, intervals in FIRST_INTERVALS.items():
        labels = np.load(footage / f"labels/{name}.npy").astype(int)
        assert np.flatnonzero(np.diff([0, *labels, 0])) == pytest.approx(intervals, abs=1)


FIRST_FRAME_TILES = [
    [109.1, 111.1, 103.7, 99.7],
    [99.8, 115.1, 122.5, 94.6],
    [115.2, 130.7, 122.6, 119.9],
    [111.7, 115.6, 93.7, 98.1],
]
FIRST_INTERVALS = {"01": [62, 102], "02": [48, 109], "03": [44, 79], "04": [47, 91]}


# Slow anomalies: nothing about them is faster, bigger or more colourful than a walker.


def abnormal_actors(kind: str, seed: int, config: WalkwayConfig = SLOW, number: int = 1) -> list[Actor]:
    scene, rng = view(config, number), np.random.default_rng(seed)
    return [actor for actor in with_anomalies(config, scene, [], kind, rng) if actor.abnormal_s[1] > 0]


def positions(actor: Actor, config: WalkwayConfig, number: int = 1, every_s: float = 0.1) -> list[tuple[float, Placed]]:
    """Returns the times at which the actor is in view, with its position at each."""
    scene = view(config, number)
    moments = np.arange(actor.enters_s, actor.enters_s + 60, every_s)
    return [(float(t), placed) for t in moments if (placed := actor.place(scene, float(t))) is not None]


def metres(config: WalkwayConfig, a: Placed, b: Placed, number: int = 1) -> float:
    return abs(b.x - a.x) / view(config, number).pixels_per_metre(a.y)


@pytest.mark.parametrize("kind", ["object", "loiterer", "wrong-way"])
def test_slow_anomalies_are_no_faster_than_a_walker(kind: str) -> None:
    for actor in [actor for seed in range(5) for actor in abnormal_actors(kind, seed)]:
        for (_, before), (_, after) in itertools.pairwise(positions(actor, SLOW)):
            walked = metres(SLOW, before, after) + abs(after.lift - before.lift)
            assert walked <= 0.1 * crowd.WALKING_M_S[1] + 1e-6


def test_an_object_lies_still_for_long_and_then_disappears() -> None:
    for seed in range(5):
        (thing,) = abnormal_actors("object", seed)
        times, placed = zip(*positions(thing, SLOW), strict=True)
        assert LIES_S[0] - 0.2 <= times[-1] - times[0] <= LIES_S[1] + 0.2
        assert all(place.anomaly for place in placed)
        assert len({(place.x, place.y) for place in placed}) == 1
        assert all(place.lift == 0 for place in placed[7:])


def test_a_loiterer_is_abnormal_once_it_stays_longer_than_anybody_pauses_and_until_it_walks_on() -> None:
    assert crowd.PAUSE_S[1] == LOITERS_AFTER_S
    for actor in [actor for seed in range(5) for actor in abnormal_actors("loiterer", seed)]:
        seen = positions(actor, SLOW)
        abnormal = [i for i, (_, place) in enumerate(seen) if place.anomaly]
        spot = seen[abnormal[0]][1]
        near = [i for i, (_, place) in enumerate(seen) if metres(SLOW, spot, place) < 1.0]
        came, went = seen[near[0]][0], seen[near[-1]][0]
        assert abnormal == list(range(abnormal[0], abnormal[-1] + 1))
        assert set(abnormal) <= set(near)
        assert LOITERS_AFTER_S <= seen[abnormal[0]][0] - came <= LOITERS_AFTER_S + 3
        assert went - seen[abnormal[-1]][0] <= 3
        assert STAYS_S[0] <= went - came <= STAYS_S[1] + 6
        assert len({round(place.facing, 2) for _, place in seen}) > 5  # it turns


def test_on_a_one_way_pavement_only_the_wrong_way_goes_against_the_lanes() -> None:
    scene = view(SLOW)
    low, high = (row * scene.height for row in scene.view.walked)
    walkers = crowd.crowd(SLOW, scene, np.random.default_rng(0))
    assert len(walkers) > 8
    for actor in walkers:
        for _, place in positions(actor, SLOW, every_s=1.0):
            assert low - 1 <= place.y <= high + 1
            assert actor.direction == (-1 if place.y < (low + high) / 2 else 1)
    for seed in range(8):
        for actor in abnormal_actors("wrong-way", seed):
            assert actor.direction == (1 if actor.y < (low + high) / 2 else -1)


@pytest.mark.parametrize("kind", ["object", "loiterer"])
def test_nobody_walks_through_an_object_or_a_loiterer(kind: str) -> None:
    scene = view(SLOW)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        walkers = crowd.crowd(SLOW, scene, rng)
        actors = with_anomalies(SLOW, scene, walkers, kind, rng)
        stays = [actor for actor in actors if actor.abnormal_s[1] > 0]
        spots = [next(place for _, place in positions(actor, SLOW) if place.anomaly) for actor in stays]
        for actor in actors[: len(walkers)]:
            for spot, (_, place) in itertools.product(spots, positions(actor, SLOW, every_s=0.3)):
                if abs(place.x - spot.x) < 5:
                    assert abs(place.y - spot.y) > 0.9 * CLEARANCE * scene.height


def test_slow_anomalies_look_like_the_crowd() -> None:
    scene, rng = view(SLOW), np.random.default_rng(3)
    clothes = [part.colour for actor in crowd.crowd(SLOW, scene, rng) for part in actor.pose(0.0, 1.0)]
    for kind, seed in itertools.product(("object", "loiterer", "wrong-way"), range(5)):
        for actor in abnormal_actors(kind, seed):
            parts = actor.pose(0.0, 1.0)
            assert max(part.points[:, 1].max() for part in parts) < 2.0
            assert max(np.ptp(part.colour) for part in parts) <= max(np.ptp(colour) for colour in clothes) + 8
            assert max(max(part.colour) for part in parts) <= max(max(colour) for colour in clothes) + 8


# Scenes: what is normal in one is an anomaly in another.


def test_normal_movers_appear_in_their_scene_and_are_never_labelled() -> None:
    config = dataclasses.replace(SMALL, frames=240)
    for number in range(1, 5):
        actors = crowd.normal_movers(config, view(config, number), np.random.default_rng(1))
        assert bool(actors) == bool(NORMAL_MOVERS[number - 1])
        assert not any(place.anomaly for actor in actors for _, place in positions(actor, config, number))
        assert all(actor.speed > 2 for actor in actors)
    assert not any(mask.any() for _, mask in film.shoot(SMALL, view(SMALL, 2), "training", 0))


def test_test_clips_show_only_kinds_that_are_not_normal_in_their_scene() -> None:
    config = WalkwayConfig(scenes=4, anomalies="cyclist,cart,runner")
    assert [config.anomalies_in(scene) for scene in config.scene_numbers()] == [
        ("cyclist", "cart", "runner"),
        ("cyclist", "runner"),
        ("cyclist", "cart"),
        ("cart", "runner"),
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_each_kind_is_visible_in_each_scene(number: int) -> None:
    kinds = [kind for kind in ANOMALY_KINDS if kind != NORMAL_MOVERS[number - 1]]
    # Two frames a second: a long clip that is soon filmed.
    config = WalkwayConfig(
        frames=50, fps=2.0, height=72, width=96, one_way=True, anomalies=",".join(kinds), first_scene=number
    )
    for clip, kind in enumerate(kinds):
        abnormal = np.array([mask.any() for _, mask in shoot(clip, config, config.frames, number)])
        assert 0.15 < abnormal.mean() < 0.7, kind
        assert not abnormal[0], kind


def test_scenes_are_different_pictures() -> None:
    grounds = [view(CONFIG, number).backdrop.ground for number in range(1, 5)]
    for one, other in itertools.combinations(grounds, 2):
        assert np.abs(one - other).mean() > 20


def test_a_scene_has_the_same_frames_alone_and_among_others(tmp_path: Path) -> None:
    film.film(dataclasses.replace(SMALL, scenes=4), tmp_path / "all")
    film.film(dataclasses.replace(SMALL, first_scene=3), tmp_path / "one")
    names = sorted(path.name for path in (tmp_path / "all").glob("training/*"))
    assert names == [f"0{scene}_00{clip}.mp4" for scene in range(1, 5) for clip in (1, 2)]
    for mine, theirs in (("testing/01.mp4", "testing/03_001.mp4"), ("labels/01.npy", "labels/03_001.npy")):
        assert (tmp_path / "one" / mine).read_bytes() == (tmp_path / "all" / theirs).read_bytes()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("walkway.anomalies=runner,loiter", r"walkway\.anomalies = 'runner,loiter': .*did you mean 'loiterer'"),
        ("walkway.anomalies=wrong-way", r"without wrong-way unless walkway\.one_way = true"),
        ("walkway.anomalies=''", r"a kind that is not normal in scene 1"),
        ("walkway.scenes=5", r"walkway\.scenes = 5: must be 1 to 4"),
        ("walkway.first_scene=5", r"walkway\.first_scene = 5: must be 1 to 4"),
        ("walkway.height=49", r"walkway\.height = 49: must be even"),
    ],
)
def test_a_configuration_that_cannot_be_filmed_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WalkwayConfig.of(load("walkway", [override]))


def test_a_scene_without_any_anomaly_is_refused() -> None:
    with pytest.raises(ConfigError, match="a kind that is not normal in scene 2"):
        WalkwayConfig.of(load("walkway", ["walkway.scenes=2", "walkway.anomalies=cart"]))


@pytest.mark.parametrize("name", ["walkway", "walkway-slow", "walkway-scenes"])
def test_the_shipped_configurations_show_every_kind_they_name(name: str) -> None:
    config = WalkwayConfig.of(load(name))
    for scene in config.scene_numbers():
        assert config.test_clips >= len(config.anomalies_in(scene))
