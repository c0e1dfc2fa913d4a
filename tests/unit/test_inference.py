"""Inference over clips: each frame from the fifth on is scored once, whatever the length of segments and batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import moving_blobs

from stmae import config
from stmae.datasets.flow_cache import compute_flow
from stmae.evaluation import inference
from stmae.evaluation.inference import flow_tiles, iter_raw_scores, raw_scores, segments
from stmae.model.build import build_stmae
from stmae.model.stmae import STMAE
from stmae.scoring.raw import CLIP_FRAMES, RawScores

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> STMAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_stmae(config.load("walkway", ["model.size=32", "model.width=4", "model.memory_items=4"])).eval()
        model.decoder.output.weight.data *= 20  # an untrained decoder would predict plain grey
    return model


def test_a_clip_has_the_same_scores_in_one_segment_and_in_many(model: STMAE, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = moving_blobs(23, 32)
    flows = np.concatenate(list(compute_flow(model.flow_net, frames, CPU)))
    whole = raw_scores(model, 0, frames, flows, CPU)
    assert len(whole) == 19
    monkeypatch.setattr(inference, "SEGMENT_FRAMES", 7)
    parts = list(iter_raw_scores(model, 0, frames, flows, CPU))
    assert [len(part) for part in parts] == [3] * 6 + [1]
    joined = RawScores.join(parts)
    for field in dataclasses.fields(RawScores):
        ours, theirs = getattr(joined, field.name), getattr(whole, field.name)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5, err_msg=field.name)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_clip_of_fewer_than_five_frames_has_no_scores(model: STMAE, count: int) -> None:
    flows = np.zeros((max(count - 1, 0), 2, 16, 16), np.float16)
    assert len(raw_scores(model, 0, moving_blobs(5, 32)[:count], flows, CPU)) == 0


def test_psnr_is_that_of_the_mean_of_the_error_tiles(model: STMAE) -> None:
    frames = moving_blobs(9, 32)
    flows = np.concatenate(list(compute_flow(model.flow_net, frames, CPU)))
    scores = raw_scores(model, 0, frames, flows, CPU)
    np.testing.assert_allclose(scores.psnr, -10 * np.log10(scores.error_tiles.mean(axis=(1, 2))), rtol=1e-5)


def test_flow_tiles_do_not_depend_on_the_size_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = np.random.default_rng(0).normal(0, 2, (11, 2, 16, 16)).astype(np.float16)
    whole = flow_tiles(flow)
    assert whole.shape == (11, 2, 16, 16)
    monkeypatch.setattr(inference, "FLOW_BATCH", 4)
    np.testing.assert_array_equal(flow_tiles(flow), whole)


@given(frames=st.integers(0, 500), length=st.integers(CLIP_FRAMES + 1, 80))
def test_segments_predict_each_frame_from_the_fifth_on_exactly_once(frames: int, length: int) -> None:
    ranges = list(segments(frames, length))
    predicted = [frame for start, stop in ranges for frame in range(start + CLIP_FRAMES, stop)]
    assert predicted == list(range(CLIP_FRAMES, frames))
    assert all(CLIP_FRAMES < stop - start <= length for start, stop in ranges)


def test_a_segment_must_hold_a_clip_and_its_next_frame() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        list(segments(10, CLIP_FRAMES))
