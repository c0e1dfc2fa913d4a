"""Several scenes under one model: each has a memory pool and statistics of its own, and all share one more pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stmae import config
from stmae.datasets.manifest import Clip, Manifest, scene_index
from stmae.model.location import LocationGaussian
from stmae.model.memory import Memory, queries_of, write


def features(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 6, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_a_batch_of_mixed_scenes_is_recalled_as_each_scene_by_itself() -> None:
    memory, batch, scenes = Memory(3, 4, 6), features(5, 1), torch.tensor([2, 0, 2, 1, 0])
    read, distances = memory(batch, scenes)
    for scene in range(3):
        own_read, own_distances = memory.recall(batch[scenes == scene], scene)
        torch.testing.assert_close(read[scenes == scene], own_read)
        torch.testing.assert_close(distances.view(5, 9, 2)[scenes == scene, :, 0].flatten(), own_distances)


def test_a_scene_writes_to_its_own_pool_and_to_the_shared_one() -> None:
    memory = Memory(3, 4, 6)
    pools, shared = memory.pools.clone(), memory.shared.clone()
    memory.write(features(2, 2), torch.tensor([1, 1]), top_k=2)
    assert torch.equal(memory.pools[[0, 2]], pools[[0, 2]])
    assert not torch.equal(memory.pools[1], pools[1])
    assert not torch.equal(memory.shared, shared)


def test_a_batch_of_mixed_scenes_writes_as_each_scene_by_itself() -> None:
    memory, batch = Memory(2, 4, 6), features(4, 5)
    scenes, pools = torch.tensor([0, 1, 1, 0]), memory.pools.clone()
    memory.write(batch, scenes, top_k=2)
    for scene in range(2):
        alone = write(pools[scene], queries_of(batch[scenes == scene]), 2)
        torch.testing.assert_close(memory.pools[scene], alone)


def test_one_scene_has_no_shared_pool() -> None:
    memory = Memory(1, 4, 6)
    assert len(memory.shared) == 0
    assert torch.equal(memory.items_of(0), memory.pools[0])


def test_pools_begin_from_features_of_their_own_scene() -> None:
    memory, batch = Memory(2, 4, 6), features(4, 3)
    memory.start(batch, torch.tensor([0, 1, 1, 0]))
    first = torch.nn.functional.normalize(batch[[1, 2]].permute(0, 2, 3, 1).flatten(0, 2), dim=1)
    closest = (memory.pools[1] @ first.T).max(dim=1).values
    torch.testing.assert_close(closest, torch.ones(4))


def test_normal_footage_deviates_by_about_one_variance_and_that_of_another_scene_by_far_more() -> None:
    gaussian = LocationGaussian(2, 6, 3)
    normal = features(200, 4) * 0.1 + torch.arange(6.0).view(6, 1, 1)
    gaussian.fit(0, normal.split(64))
    gaussian.fit(1, (-normal).split(64))
    assert gaussian(normal, 0).mean() == pytest.approx(1.0, abs=0.1)
    assert gaussian(normal, 1).mean() > 20


@pytest.fixture
def manifest() -> Manifest:
    clips = [
        Clip(f"{scene}_001", "train", "x", 9, 32, 32, "", "", labelled=False, masked=False, scene=scene)
        for scene in ("03", "07")
    ]
    return Manifest.of(Path("footage"), "two", 32, 10.0, tuple(clips))


def test_scenes_are_numbered_in_the_order_of_their_names(manifest: Manifest) -> None:
    settings = config.load("walkway", ["model.scenes=2"])
    assert [scene_index(settings, manifest, clip) for clip in manifest.clips] == [0, 1]
    assert {scene_index(config.load("walkway"), manifest, clip) for clip in manifest.clips} == {0}


def test_a_model_for_another_number_of_scenes_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match=r"model\.scenes = 4, but footage has 2 \(03, 07\); set model\.scenes=2"):
        scene_index(config.load("walkway", ["model.scenes=4"]), manifest, manifest.clips[0])
    assert np.array_equal(manifest.scenes, ["03", "07"])
