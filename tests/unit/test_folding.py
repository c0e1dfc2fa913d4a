"""Folding the memories into the decoder: the same scores, of fewer channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import TINY, moving_blobs

from stmae import config as configs
from stmae.export.folding import folded
from stmae.model.build import build_stmae


@pytest.mark.parametrize(
    ("settings", "scene"),
    [
        ((), 0),
        (("model.shortcuts=true",), 0),
        (("model.scenes=3",), 1),
        (("model.memories=motion",), 0),
        (("model.memories=none",), 0),
        (("model.streams=appearance", "model.memories=appearance"), 0),
    ],
)
def test_a_folded_model_has_the_scores_of_the_model(settings: tuple[str, ...], scene: int) -> None:
    config = configs.load("walkway", [*TINY, *settings])
    torch.manual_seed(3)
    model = build_stmae(config).eval().requires_grad_(False)
    lean = folded(model, scene)
    frames = torch.from_numpy(moving_blobs(9, 64))
    flow = model.flow(frames)
    for one, other in zip(model(frames, flow, scene), lean(frames, flow, scene), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    features = lean.encode(frames, flow, scene).features
    assert features.shape[1] == config.model.handed_over
    assert model.encode(frames, flow, scene).features.shape[1] == 4 * 8 * (
        len(config.model.used) + len(config.model.remembered)
    )


def test_folding_leaves_the_model_as_it_was() -> None:
    model = build_stmae(configs.load("walkway", TINY)).eval().requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded(model, 0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
