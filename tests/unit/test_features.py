"""The feature bank: gradient histograms of what moves, and the distance to those of normal footage."""

from __future__ import annotations

import math

import cv2
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stmae.model.features import FeatureBank
from stmae.model.gradients import (
    BLOCK_CELLS,
    MAX_CANDIDATES,
    ORIENTATIONS,
    GradientHistograms,
    gradient_histograms,
)
from stmae.model.memory import queries_of
from stmae.scoring.raw import STILL_SPEED

SIZE = 64
FAST = 100.0
"""Pixels a frame: every pixel's gradient counts fully."""


def picture(seed: int, count: int = 1) -> Tensor:
    """Returns smooth textures in [-1, 1], [B,3,S,S]."""
    coarse = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic").clamp(0, 1) * 2 - 1


def stripes(degrees: float, count: int = 1) -> Tensor:
    """Returns a sawtooth of brightness along a direction, clockwise from the right, [B,3,S,S]."""
    angle, at = math.radians(degrees), torch.arange(float(SIZE))
    along = at * math.cos(angle) + at.view(-1, 1) * math.sin(angle)
    return (along / 6 % 1 * 2 - 1).expand(count, 3, SIZE, SIZE)


def moving(speed: float = FAST, count: int = 1) -> Tensor:
    """Returns flow to the right everywhere, [B,2,S/2,S/2]."""
    flow = torch.zeros(count, 2, SIZE // 2, SIZE // 2)
    flow[:, 0] = speed
    return flow


def histograms(frames: Tensor, flow: Tensor, size: int = SIZE) -> Tensor:
    return gradient_histograms(frames, flow, size)


def by_orientation(descriptors: Tensor) -> Tensor:
    """Returns descriptors [1,C,16,16] as [16,16,BLOCK_CELLS,BLOCK_CELLS,ORIENTATIONS]."""
    return descriptors[0, :-1].view(BLOCK_CELLS, BLOCK_CELLS, ORIENTATIONS, 16, 16).permute(3, 4, 0, 1, 2)


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_an_edge_counts_for_the_orientation_in_which_it_brightens(orientation: int) -> None:
    """A sawtooth rises gently along its direction and falls steeply against it."""
    stripe = stripes(360 / ORIENTATIONS * orientation)
    found = by_orientation(histograms(stripe, moving()))[4:12, 4:12].mean(dim=(0, 1, 2, 3))
    opposite = (orientation + ORIENTATIONS // 2) % ORIENTATIONS
    assert {int(each) for each in found.topk(2).indices} == {orientation, opposite}


@given(seed=st.integers(0, 99))
def test_a_mirrored_picture_has_mirrored_histograms(seed: int) -> None:
    """Tiles and cells change sides, and what brightened to the right brightens to the left."""
    frames = picture(seed)
    found = by_orientation(histograms(frames, moving()))
    mirrored = by_orientation(histograms(frames.flip(3), moving())).flip(1).flip(3)
    turned = [(ORIENTATIONS // 2 - orientation) % ORIENTATIONS for orientation in range(ORIENTATIONS)]
    torch.testing.assert_close(mirrored[..., turned], found, atol=1e-4, rtol=1e-3)


def test_descriptors_are_unit_vectors_without_negative_values() -> None:
    descriptors = histograms(picture(1, 2), moving(count=2))
    assert descriptors.min() >= 0
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(2, 16, 16))


@pytest.mark.parametrize("size", [320, 384, 512])
def test_frames_larger_than_256_are_described_as_if_reduced_by_area(size: int) -> None:
    large = torch.nn.functional.interpolate(picture(2), size=(size, size), mode="bicubic").clamp(-1, 1)
    area = cv2.resize(large[0].permute(1, 2, 0).numpy(), (256, 256), interpolation=cv2.INTER_AREA)
    small = torch.from_numpy(area).permute(2, 0, 1)[None]
    for speed in (FAST, STILL_SPEED):
        found = histograms(large, moving(speed * size / 256), size)
        torch.testing.assert_close(found, histograms(small, moving(speed), 256), atol=1e-4, rtol=0)


def test_a_still_background_does_not_change_the_descriptor_of_what_moves_before_it() -> None:
    walker = picture(3)
    flow = moving()
    flow[..., :16] = 0
    half = torch.zeros(SIZE) + (torch.arange(SIZE) < SIZE // 2 - 4)
    one, other = (histograms(walker * (1 - half) + picture(seed) * half, flow) for seed in (4, 5))
    torch.testing.assert_close(one, other)
    assert (histograms(walker, moving()) - one).abs().max() > 0.1, "a moving background does"


def test_a_darker_paler_or_slower_picture_is_near_and_another_picture_is_far() -> None:
    light = picture(6)
    dark, pale, slow = (light + 1) * 0.1 - 1, light * 0.6 + 0.2, moving(1.0)

    def distance(other: Tensor, flow: Tensor) -> float:
        return float((histograms(light, moving()) - histograms(other, flow)).square().sum(1).mean())

    assert max(distance(dark, moving()), distance(pale, moving()), distance(light, slow)) < 0.03
    assert distance(picture(7), moving()) > 0.5


def test_faint_gradients_and_slow_motion_give_nearly_the_descriptor_of_an_empty_tile() -> None:
    empty = histograms(torch.zeros(1, 3, SIZE, SIZE), moving())
    for faint in (histograms(picture(1) * 0.002, moving()), histograms(picture(1), moving(STILL_SPEED / 100))):
        assert (faint - empty).square().sum(1).max() < 0.2


def test_what_moves_is_near_the_bank_of_its_scene_and_far_from_that_of_another() -> None:
    bank = FeatureBank(3, GradientHistograms(SIZE))
    for scene, degrees in enumerate((0, 90)):
        bank.fit(scene, queries_of(histograms(stripes(degrees), moving())))
    frames, flow = stripes(0, 2), moving(count=2)
    assert bank(frames, flow, 0).shape == (2, 16, 16)
    assert bank(frames, flow, 0).max() < 1e-3
    assert bank(frames, flow, 1)[:, 1:-1, 1:-1].min() > 1
    assert (bank(frames, flow, 2) == 2).all(), "a scene in which nothing moved is equally far from everything"


def test_the_bank_keeps_what_was_rare() -> None:
    """A cart that came last, and once, among thousands of walkers, is known from then on."""
    bank = FeatureBank(1, GradientHistograms(SIZE))
    cart = queries_of(histograms(picture(1), moving()))[100:101]
    walkers = queries_of(histograms(stripes(45), moving())).repeat(MAX_CANDIDATES // 256 + 1, 1)
    noise = torch.rand(walkers.shape, generator=torch.Generator().manual_seed(1)) * 0.02
    # The cart is in two frames: beyond MAX_CANDIDATES descriptors only every second one is a candidate.
    bank.fit(0, torch.cat((torch.nn.functional.normalize(walkers + noise, dim=1), cart, cart)))
    assert bank(picture(1), moving(), 0)[0, 6, 4].item() == pytest.approx(0, abs=1e-5)
