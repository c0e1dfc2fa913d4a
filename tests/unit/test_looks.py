"""FeatureBank: histograms of gradients of what moves, and what was seen to move."""

from __future__ import annotations

import math

import cv2
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stmae.model.features import CANDIDATES, CELLS, DIRECTIONS, FeatureBank, histograms
from stmae.model.memory import queries_of
from stmae.scoring.usual import STILL

SIZE = 64
FAST = 100.0
"""Pixels a frame: all that is seen counts."""


def picture(seed: int, count: int = 1) -> Tensor:
    """Smooth textures in [-1, 1], [B,3,S,S]."""
    coarse = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic").clamp(0, 1) * 2 - 1


def stripes(degrees: float, count: int = 1) -> Tensor:
    """Brightness that rises along a direction from the right towards below, again and again, [B,3,S,S]."""
    angle, at = math.radians(degrees), torch.arange(float(SIZE))
    along = at * math.cos(angle) + at.view(-1, 1) * math.sin(angle)
    return (along / 6 % 1 * 2 - 1).expand(count, 3, SIZE, SIZE)


def moving(speed: float = FAST, count: int = 1) -> Tensor:
    flow = torch.zeros(count, 2, SIZE // 2, SIZE // 2)
    flow[:, 0] = speed
    return flow


def by_direction(looks: Tensor) -> Tensor:
    """[16,16,CELLS,CELLS,DIRECTIONS] of [1,C,16,16]."""
    return looks[0, :-1].view(CELLS, CELLS, DIRECTIONS, 16, 16).permute(3, 4, 0, 1, 2)


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_an_edge_counts_for_the_direction_in_which_it_brightens(direction: int) -> None:
    """Stripes rise slowly and fall at once: gently along a direction, steeply against it."""
    degrees = 360 / DIRECTIONS * direction
    seen = by_direction(histograms(stripes(degrees), moving(), SIZE))[4:12, 4:12].mean(dim=(0, 1, 2, 3))
    assert {int(each) for each in seen.topk(2).indices} == {direction, (direction + DIRECTIONS // 2) % DIRECTIONS}


@given(seed=st.integers(0, 99))
def test_a_mirrored_picture_has_mirrored_looks(seed: int) -> None:
    """Tiles and cells change sides, and what brightened to the right does to the left."""
    frames = picture(seed)
    seen = by_direction(histograms(frames, moving(), SIZE))
    mirrored = by_direction(histograms(frames.flip(3), moving(), SIZE)).flip(1).flip(3)
    turned = [(DIRECTIONS // 2 - direction) % DIRECTIONS for direction in range(DIRECTIONS)]
    torch.testing.assert_close(mirrored[..., turned], seen, atol=1e-4, rtol=1e-3)


def test_looks_are_unit_vectors_of_shares() -> None:
    looks = histograms(picture(1, 2), moving(count=2), SIZE)
    assert looks.min() >= 0
    torch.testing.assert_close(looks.norm(dim=1), torch.ones(2, 16, 16))


@pytest.mark.parametrize("size", [320, 384, 512])
def test_larger_frames_are_looked_at_as_smaller_ones(size: int) -> None:
    large = torch.nn.functional.interpolate(picture(2), size=(size, size), mode="bicubic").clamp(-1, 1)
    area = cv2.resize(large[0].permute(1, 2, 0).numpy(), (256, 256), interpolation=cv2.INTER_AREA)
    small = torch.from_numpy(area).permute(2, 0, 1)[None]
    for speed in (FAST, STILL):
        seen = histograms(large, moving(speed * size / 256), size)
        torch.testing.assert_close(seen, histograms(small, moving(speed), 256), atol=1e-4, rtol=0)


def test_the_background_of_what_moves_is_not_seen() -> None:
    walker = picture(3)
    flow = moving()
    flow[..., :16] = 0
    half = torch.zeros(SIZE) + (torch.arange(SIZE) < SIZE // 2 - 4)
    one, other = (histograms(walker * (1 - half) + picture(seed) * half, flow, SIZE) for seed in (4, 5))
    torch.testing.assert_close(one, other)
    assert (histograms(walker, moving(), SIZE) - one).abs().max() > 0.1, "it is, where it moves too"


def test_a_darker_paler_or_slower_picture_looks_alike_and_another_one_does_not() -> None:
    light = picture(6)
    dark, pale, slow = (light + 1) * 0.1 - 1, light * 0.6 + 0.2, moving(1.0)

    def distance(other: Tensor, flow: Tensor) -> float:
        return float((histograms(light, moving(), SIZE) - histograms(other, flow, SIZE)).square().sum(1).mean())

    assert max(distance(dark, moving()), distance(pale, moving()), distance(light, slow)) < 0.03
    assert distance(picture(7), moving()) > 0.5


def test_what_hardly_shows_or_hardly_moves_looks_like_nothing_at_all() -> None:
    nothing = histograms(torch.zeros(1, 3, SIZE, SIZE), moving(), SIZE)
    for faint in (histograms(picture(1) * 0.002, moving(), SIZE), histograms(picture(1), moving(STILL / 100), SIZE)):
        assert (faint - nothing).square().sum(1).max() < 0.2


def test_what_moves_is_near_the_looks_of_its_scene_and_far_from_those_of_another() -> None:
    looks = FeatureBank(3, SIZE)
    for scene, degrees in enumerate((0, 90)):
        looks.fit(scene, queries_of(histograms(stripes(degrees), moving(), SIZE)))
    seen, flow = stripes(0, 2), moving(count=2)
    assert looks(seen, flow, 0).shape == (2, 16, 16)
    assert looks(seen, flow, 0).max() < 1e-3
    assert looks(seen, flow, 1)[:, 1:-1, 1:-1].min() > 1
    assert (looks(seen, flow, 2) == 2).all(), "where nothing was seen to move, all that does is alike"


def test_looks_keep_what_was_rare() -> None:
    """A cart that came last, and once, among thousands of walkers, is known from then on."""
    looks = FeatureBank(1, SIZE)
    cart = queries_of(histograms(picture(1), moving(), SIZE))[100:101]
    walkers = queries_of(histograms(stripes(45), moving(), SIZE)).repeat(CANDIDATES // 256 + 1, 1)
    noise = torch.rand(walkers.shape, generator=torch.Generator().manual_seed(1)) * 0.02
    # In two frames: beyond so many looks every second one is taken.
    looks.fit(0, torch.cat((torch.nn.functional.normalize(walkers + noise, dim=1), cart, cart)))
    assert looks(picture(1), moving(), 0)[0, 6, 4].item() == pytest.approx(0, abs=1e-5)
