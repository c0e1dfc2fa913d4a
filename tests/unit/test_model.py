"""The model: shapes, memory rules, prediction error, a flow net that sees motion."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from stmae import config
from stmae.model import memory
from stmae.model.build import (
    FLOW_WEIGHTS,
    build_appearance_proxy,
    build_discriminator,
    build_flow_net,
    build_motion_proxy,
    build_stmae,
)
from stmae.model.stmae import STMAE, RawScoreTensors, moved_tiles, psnr, to_signed, to_unit, windows
from stmae.scoring.raw import STILL_SPEED, RawScores
from stmae.training.flow import at_flow_resolution, end_point_error
from stmae.training.motion import motion_pairs

SMALL = ["model.size=64", "model.width=8", "model.memory_items=6"]
TINY = config.load("walkway", SMALL)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def segment(count: int, size: int = 64) -> torch.Tensor:
    """Returns uint8 frames of noise [T,S,S,3]."""
    return torch.randint(0, 256, (count, size, size, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@torch.no_grad()
def test_shapes_from_frames_to_prediction() -> None:
    model, frames = build_stmae(TINY).eval(), segment(6)
    flow = model.flow(frames)
    assert flow.shape == (5, 2, 32, 32)
    encoding = model.encode(frames, flow)
    assert encoding.features.shape == (2, 4 * 32, 8, 8)
    prediction = model.decode(encoding.features)
    assert prediction.shape == (2, 3, 64, 64)
    assert prediction.abs().max() <= 1
    scores = model(frames, flow)
    assert scores.psnr.shape == (2,)
    assert scores.memory_distance.shape == (2, 2)
    assert scores.error_tiles.shape == scores.location_tiles.shape == scores.feature_tiles.shape == (2, 16, 16)
    assert scores.flow_tiles.shape == (2, 2, 16, 16)


def test_the_model_s_outputs_are_named_as_the_raw_scores_of_scoring() -> None:
    assert RawScoreTensors._fields == tuple(field.name for field in dataclasses.fields(RawScores))


@torch.no_grad()
def test_the_encoders_never_see_the_frame_that_is_predicted() -> None:
    model, frames = build_stmae(TINY).eval(), segment(5)
    other = frames.clone()
    other[4] = 255 - other[4]
    one, two = (model.encode(each, model.flow(each)) for each in (frames, other))
    torch.testing.assert_close(one.features, two.features)
    assert (one.flow_tiles != two.flow_tiles).any()


@torch.no_grad()
def test_appearance_is_measured_of_frames_in_which_something_moves_and_is_0_in_others() -> None:
    model, frames = build_stmae(config.load("walkway", [*SMALL, "model.features=gradients"])).eval(), segment(9)
    model.feature_bank.items.copy_(unit(*model.feature_bank.items.shape))
    flow = torch.zeros(8, 2, 32, 32)
    flow[4:6, 0, 8:12, 8:12] = 2 * STILL_SPEED
    tiles = model.encode(frames, flow).feature_tiles
    everywhere = model.feature_bank(to_signed(frames[4:]), flow[3:], 0)
    assert (everywhere > 0).all()
    torch.testing.assert_close(tiles[1:3], everywhere[1:3])
    assert not tiles[[0, 3, 4]].any()


def test_psnr_of_known_errors() -> None:
    assert psnr(torch.tensor([1.0, 0.1, 0.001, 0.0])).tolist() == pytest.approx([0, 10, 30, 100])


@pytest.mark.parametrize("scale", [1, 3])
def test_error_tiles_lie_where_the_error_is_and_average_to_that_of_psnr(scale: int) -> None:
    frames = segment(6)
    prediction = to_signed(frames[4:])
    prediction[1, :, 8:12, 60:64] *= -1
    large = frames.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    psnr_N, tiles_N = STMAE.prediction_error(large, prediction)
    assert tiles_N.shape == (2, 16, 16)
    assert tiles_N[1].argmax() == 2 * 16 + 15
    assert tiles_N[0].max() < 1e-12
    assert psnr_N[1] == pytest.approx(float(-10 * tiles_N[1].mean().log10()), rel=1e-5)


@pytest.mark.parametrize(
    ("streams", "memories", "parts"),
    [("both", "none", 2), ("both", "appearance", 3), ("appearance", "both", 2), ("motion", "none", 1)],
)
def test_an_ablation_predicts_from_fewer_features(streams: str, memories: str, parts: int) -> None:
    settings = config.load("walkway", ["model.size=64", f"model.streams={streams}", f"model.memories={memories}"])
    model = build_stmae(settings).eval()
    frames = segment(5)
    encoding = model.encode(frames, model.flow(frames))
    assert encoding.features.shape[1] == parts * 4 * settings.model.width
    assert model.decode(encoding.features).shape == (1, 3, 64, 64)
    assert encoding.memory_distance.shape == (1, 2)


def test_without_top_k_all_queries_write() -> None:
    items, queries = unit(3, 4), unit(7, 4, seed=3)
    torch.testing.assert_close(memory.write(items, queries, 0), memory.write(items, queries, 7))


def test_encoders_have_five_convolutions_and_proxy_decoders_six() -> None:
    def convolutions(module: torch.nn.Module) -> int:
        return sum(isinstance(part, torch.nn.Conv2d) for part in module.modules())

    for build in (build_appearance_proxy, build_motion_proxy):
        for shortcuts in (0, 1):
            proxy = build(config.load("walkway", [f"model.shortcuts={'true' if shortcuts else 'false'}"]))
            assert convolutions(proxy["encoder"]) == 5 + shortcuts
            assert convolutions(proxy["decoder"]) == 6 + shortcuts


@pytest.mark.parametrize("stream", ["appearance", "motion"])
def test_a_shortcut_adds_a_linear_map_of_each_patch(stream: str) -> None:
    torch.manual_seed(0)
    build, x = {
        "appearance": (build_appearance_proxy, torch.rand(1, 12, 64, 64)),
        "motion": (build_motion_proxy, torch.rand(1, 6, 32, 32)),
    }[stream]
    encoder = build(TINY).eval()["encoder"]
    changed = x.clone()
    patch = x.shape[-1] // 8
    changed[..., :patch, :patch] = 0
    with torch.no_grad():
        whole, part = encoder(x), encoder(changed)
        encoder.shortcut.weight.zero_()
        encoder.shortcut.bias.zero_()
        added = (whole - encoder(x)) - (part - encoder(changed))
    assert added[..., 0, 0].abs().max() > 0.01
    added[..., 0, 0] = 0
    assert added.abs().max() < 1e-5, "no other patch changed"


@pytest.mark.parametrize("columns", [4, 2, 1])
def test_the_flow_of_a_tile_is_that_of_what_moves_however_little_of_the_tile_it_covers(columns: int) -> None:
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0, 8:12, 20 : 20 + columns], flow[:, 1, 8:12, 20 : 20 + columns] = 3.0, -4.0
    moved = moved_tiles(flow, 64)
    assert moved.shape == (1, 2, 16, 16)
    assert moved[0, :, 2, 5].tolist() == pytest.approx([3.0, -4.0], rel=0.02)
    moved[0, :, 2, 5] = 0
    assert not moved.any()


@pytest.mark.parametrize(("side", "unit_px"), [(64, 1.0), (128, 1.0), (192, 1.5), (256, 2.0)])
def test_flow_tiles_are_in_pixels_of_at_most_256_a_side(side: int, unit_px: float) -> None:
    flow = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, side, side) * unit_px
    moved = moved_tiles(flow, side)
    torch.testing.assert_close(moved[0, :, 5, 5], torch.tensor([3.0, -4.0]), rtol=0.01, atol=0)
    torch.testing.assert_close(moved, moved[..., :1, :1].expand_as(moved))


def test_a_tile_of_faint_noise_stands_still() -> None:
    noise = torch.randn(1, 2, 128, 128, generator=torch.Generator().manual_seed(0)) * 0.01
    assert torch.linalg.vector_norm(moved_tiles(noise, 128), dim=1).max() < 0.01


def test_a_proxy_gives_back_the_shape_of_its_input() -> None:
    for proxy, x in (
        (build_appearance_proxy(TINY), torch.rand(2, 12, 64, 64)),
        (build_motion_proxy(TINY), torch.rand(2, 6, 32, 32)),
    ):
        assert proxy["decoder"](proxy["encoder"](x)).shape == x.shape


def test_the_discriminator_judges_patches() -> None:
    assert build_discriminator(TINY)(torch.rand(2, 3, 64, 64)).shape == (2, 1, 6, 6)


def test_reading_is_a_sharp_softmax_over_cosines() -> None:
    items, queries = unit(4, 5), unit(3, 5, seed=1)
    weights = torch.exp(queries @ items.T / memory.TEMPERATURE)
    expected = F.normalize(weights @ items, dim=1)
    torch.testing.assert_close(memory.read(items, queries), expected)
    assert torch.softmax(items @ items.T / memory.TEMPERATURE, 1).diagonal().min() > 0.9


def test_an_item_moves_to_its_top_k_queries_only() -> None:
    items, queries = unit(1, 3), unit(6, 3, seed=1)
    similarity = (queries @ items[0]).tolist()
    best = sorted(range(6), key=lambda i: -similarity[i])[:2]
    weights = torch.softmax(torch.tensor([similarity[i] for i in best]), 0)
    expected = F.normalize(items[0] + weights[0] * queries[best[0]] + weights[1] * queries[best[1]], dim=0)
    torch.testing.assert_close(memory.write(items, queries, 2)[0], expected)


def test_a_query_writes_to_its_nearest_item_only() -> None:
    items, queries = unit(3, 4), unit(1, 4, seed=1)
    nearest = int((items @ queries[0]).argmax())
    moved = (memory.write(items, queries, 8) != items).any(1)
    assert moved.nonzero().flatten().tolist() == [nearest]


def test_items_do_not_collapse_onto_the_most_frequent_features() -> None:
    kinds = unit(8, 16, seed=2)
    generator = torch.Generator().manual_seed(3)
    items = memory.k_center_greedy(kinds, 8)
    for _ in range(200):  # nine queries in ten are of the first two kinds
        often = torch.rand(64, generator=generator) < 0.9
        which = torch.where(
            often, torch.randint(2, (64,), generator=generator), torch.randint(8, (64,), generator=generator)
        )
        queries = F.normalize(kinds[which] + 0.1 * torch.randn(64, 16, generator=generator), dim=1)
        items = memory.write(items, queries, 8)
    assert memory.distinct(items) == 8
    assert memory.nearest_distance(items, kinds).max() < memory.SAME


def test_items_that_nothing_chose_start_anew_from_what_the_pool_explains_worst() -> None:
    pool, scenes = memory.Memory(1, 2, 8), torch.zeros(1, dtype=torch.int64)
    corners = torch.eye(8)
    pool.pools = torch.stack((corners[0], corners[7])).unsqueeze(0)
    seen = torch.stack((corners[0], corners[0], F.normalize(corners[0] + 0.5 * corners[1], dim=0), corners[1]))
    features = seen.T.reshape(1, 8, 2, 2)
    pool.write(features[:, :, :1], scenes, 8)  # of the first kind only: nothing is nearest to the other item
    pool.restart(features, scenes)
    torch.testing.assert_close(pool.items_of(0)[1], corners[1])
    assert not pool.chosen.any()


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(2, 8), st.integers(1, 12))
def test_written_items_stay_unit_vectors_and_the_old_ones_are_untouched(queries: int, items: int, top_k: int) -> None:
    before = unit(items, 4)
    kept = before.clone()
    after = memory.write(before, unit(queries, 4, seed=2), top_k)
    torch.testing.assert_close(after.norm(dim=1), torch.ones(items))
    torch.testing.assert_close(before, kept, rtol=0, atol=0)


def test_distances_are_those_to_the_nearest_and_the_second_nearest_item() -> None:
    items, queries = unit(5, 4), unit(7, 4, seed=3)
    expected = (queries[:, None] - items[None]).pow(2).sum(-1).sort(1).values[:, :2]
    torch.testing.assert_close(memory.nearest_distances(items, queries), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(memory.nearest_distance(items, queries), expected[:, 0], atol=1e-5, rtol=1e-4)


def test_a_copy_of_the_nearest_item_is_not_the_second_nearest() -> None:
    items, queries = unit(5, 4), unit(7, 4, seed=3)
    assert memory.distinct(items) == memory.distinct(torch.cat((items, items))) == 5
    doubled = memory.nearest_distances(torch.cat((items, items)), queries)
    torch.testing.assert_close(doubled, memory.nearest_distances(items, queries))
    (alone,) = memory.nearest_distances(items[:1].repeat(3, 1), queries[:1]).tolist()
    assert alone[1] == 4


def test_the_decoder_sees_unit_vectors() -> None:
    model = build_stmae(TINY)
    z_a, z_m = (scale * torch.randn(2, 32, 8, 8) for scale in (5, 0.1))
    features, *_ = model.read_memories(z_a, z_m, torch.zeros(2, dtype=torch.int64))
    for part in features.chunk(4, dim=1):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(2, 8, 8))


def test_a_pool_starts_from_distinct_features_and_writes_without_touching_the_graph() -> None:
    pool, scenes = memory.Memory(1, 4, 8), torch.zeros(2, dtype=torch.int64)
    features = torch.randn(2, 8, 4, 4, requires_grad=True)
    pool.start(features, scenes)
    assert len(torch.unique(pool.items_of(0), dim=0)) == 4
    read, distances = pool(features, scenes)
    (read.sum() + distances.sum()).backward()
    place = pool.pools.data_ptr()
    pool.write(features, scenes, 2)
    pool.restart(features, scenes)
    assert pool.pools.data_ptr() == place
    assert features.grad is not None


def test_windows_cut_inside_a_segment_are_those_cut_one_by_one() -> None:
    frames = torch.rand(9, 3, 4, 4)
    cut = windows(frames, 4, 5)
    for i in range(5):
        torch.testing.assert_close(cut[i], frames[i : i + 4].flatten(0, 1), rtol=0, atol=0)


def test_pixels_go_to_signed_and_unit_range() -> None:
    frames = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 2, 2, 3)
    assert to_signed(frames).shape == (2, 3, 2, 2)
    assert to_signed(frames).unique().tolist() == [-1, 1]
    assert to_unit(to_signed(frames)).unique().tolist() == [0, 1]


def test_the_shipped_flow_net_sees_motion_and_stillness() -> None:
    net = build_flow_net()
    first, second, truth = motion_pairs(16, 96, torch.Generator().manual_seed(20_000))
    with torch.no_grad():
        error = end_point_error(net(first, second), at_flow_resolution(truth))
        still = net(first, first)
    no_motion = end_point_error(torch.zeros_like(still), at_flow_resolution(truth))
    assert error < 0.75 * no_motion
    assert still.abs().mean() < 0.15


def test_the_shipped_flow_net_is_small() -> None:
    assert FLOW_WEIGHTS.stat().st_size < 12 * 2**20


def test_flow_is_differentiable_with_respect_to_the_second_frame() -> None:
    net = build_flow_net()
    second = torch.rand(1, 1, 32, 32, requires_grad=True)
    net(torch.rand(1, 1, 32, 32), second).abs().sum().backward()
    assert second.grad is not None
    assert second.grad.abs().sum() > 0
    assert all(not parameter.requires_grad for parameter in net.parameters())


def test_synthetic_flow_explains_the_second_frame() -> None:
    """Looking the second frame up along the true flow gives the first, but for occlusion, light and noise."""
    first, second, flow = motion_pairs(8, 64, torch.Generator().manual_seed(3))
    axis = torch.arange(64.0)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    at = torch.stack((x + flow[:, 0], y + flow[:, 1]), -1) * 2 / 63 - 1
    warped = F.grid_sample(second, at, align_corners=True, padding_mode="border")
    moving = flow.norm(dim=1) > 1
    along, in_place = (warped - first).abs().mean(1)[moving], (second - first).abs().mean(1)[moving]
    assert along.mean() < 0.6 * in_place.mean()


def test_flow_resolution_averages_the_true_flow() -> None:
    truth = torch.arange(16.0).view(1, 1, 4, 4).repeat(1, 2, 1, 1)
    assert at_flow_resolution(truth)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert float(end_point_error(torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 3.0))) == pytest.approx(18**0.5)
