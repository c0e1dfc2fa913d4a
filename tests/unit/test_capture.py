"""Updates that a CUDA graph can stand for: they work in place, and the CPU reads nothing of what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_blocks import SETTINGS, write_dataset
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from stmae import config
from stmae.config import Config
from stmae.datasets.flow_cache import FlowCache, extract_flow
from stmae.datasets.manifest import Manifest
from stmae.model.build import build_appearance_proxy, build_motion_proxy
from stmae.model.checkpoint import load_training, save_training
from stmae.training.adversarial import AdversarialStage
from stmae.training.capture import fastest
from stmae.training.flow import FlowRecipe, FlowStage
from stmae.training.optimizers import set_learning_rate
from stmae.training.pretrain import AppearanceStage, MotionStage
from stmae.training.stage import Stage, step
from stmae.training.windows import Windows

CPU = torch.device("cpu")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that captures and replays a step")


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, FlowCache]:
    root = tmp_path_factory.mktemp("blocks")
    manifest = write_dataset(root / "dataset", 1)
    return manifest, extract_flow(config.load("walkway", SETTINGS), manifest, root / "flow")


def stage_of(kind: str, optimizer: str, footage: tuple[Manifest, FlowCache], device: torch.device) -> Stage:
    settings: Config = config.load("walkway", [*SETTINGS, f"train.optimizer={optimizer}", "train.bf16=false"])
    torch.manual_seed(settings.seed)
    windows = Windows(settings, footage[0], "train", device, flow=footage[1])
    builders: dict[str, Callable[[], Stage]] = {
        "appearance": lambda: AppearanceStage(settings, windows, build_appearance_proxy(settings)),
        "motion": lambda: MotionStage(settings, windows, build_motion_proxy(settings)),
        "adversarial": lambda: AdversarialStage(settings, windows, windows),
        "flow": lambda: FlowStage(FlowRecipe(batch=2, size=32), device),
    }
    return builders[kind]()


STAGES = [
    ("appearance", "adam"),
    ("motion", "muon"),
    ("adversarial", "adam"),
    ("adversarial", "muon"),
    ("flow", "adam"),
]


def lasting(stage: Stage) -> Iterator[tuple[str, Tensor]]:
    """Yields all tensors that outlive a step, by name."""
    for name, module in stage.modules.items():
        for key, value in module.state_dict(keep_vars=True).items():
            yield f"{name}.{key}", value
    for name, optimizer in stage.optimizers.items():
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for number, parameter in enumerate(parameters):
            for key, value in optimizer.state[parameter].items():
                yield f"{name}.{number}.{key}", value


@pytest.mark.parametrize(("kind", "optimizer"), STAGES)
def test_an_update_keeps_weights_buffers_and_optimizers_where_they_are(
    kind: str, optimizer: str, footage: tuple[Manifest, FlowCache]
) -> None:
    stage = stage_of(kind, optimizer, footage, CPU)
    step(stage, 0)
    places = {name: value.data_ptr() for name, value in lasting(stage)}
    values = {name: value.detach().clone() for name, value in lasting(stage)}
    step(stage, 1)
    assert places == {name: value.data_ptr() for name, value in lasting(stage)}
    assert any(not torch.equal(values[name], value) for name, value in lasting(stage))


ATEN = torch.ops.aten
READS = (ATEN._local_scalar_dense, ATEN.nonzero, ATEN.lift_fresh, ATEN.masked_select)


class NoReads(TorchDispatchMode):
    """Raises where the CPU reads a value, or copies one of its own to the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket not in READS, f"{func} waits for the device"
        if func.overloadpacket is ATEN.index:
            assert all(each is None or each.dtype != torch.bool for each in args[1]), "the count of a mask is read"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("kind", "optimizer"), STAGES)
def test_the_cpu_reads_nothing_in_an_update(kind: str, optimizer: str, footage: tuple[Manifest, FlowCache]) -> None:
    stage = stage_of(kind, optimizer, footage, CPU)
    for each in stage.optimizers.values():  # the form that they have on a GPU
        for group in each.param_groups:
            group["lr"] = torch.tensor(group["lr"])
            group["fused"] = isinstance(each, torch.optim.Adam)
    step(stage, 0)
    set_learning_rate(stage.optimizers, 0.5)
    batch = stage.batch(1)
    with NoReads():
        stage.update(*batch)


def test_the_schedule_fills_learning_rates_that_are_tensors() -> None:
    kernel = torch.nn.Parameter(torch.ones(2))
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([{"params": [kernel], "lr": rate, "initial_lr": 0.1}])
    set_learning_rate({"one": optimizer}, 0.25)
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.025)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_checkpoint_restores_optimizers_in_the_layout_of_the_weights(
    optimizer: str, footage: tuple[Manifest, FlowCache], tmp_path: Path
) -> None:
    stage, other = (stage_of("adversarial", optimizer, footage, CPU) for _ in range(2))
    step(stage, 0)
    save_training(tmp_path / "c.safetensors", stage.modules, stage.optimizers, 1, "digest")
    load_training(tmp_path / "c.safetensors", other.modules, other.optimizers, "digest")
    strides = {name: value.stride() for name, value in lasting(stage)}
    assert strides == {name: value.stride() for name, value in lasting(other)}
    assert any(value.dim() == 4 and not value.is_contiguous() for _, value in lasting(other))


@on_gpu
@pytest.mark.parametrize(("kind", "optimizer"), STAGES)
def test_replayed_steps_have_the_losses_of_eager_steps(
    kind: str, optimizer: str, footage: tuple[Manifest, FlowCache]
) -> None:
    losses = []
    for captured in (False, True):
        stage = stage_of(kind, optimizer, footage, torch.device("cuda"))
        update = fastest(stage) if captured else stage.update
        losses.append(torch.stack([torch.stack(list(step(stage, index, update).values())) for index in range(50)]))
    torch.testing.assert_close(*losses, rtol=0.01, atol=1e-5)


@on_gpu
def test_a_continued_training_replays_from_the_checkpoint(footage: tuple[Manifest, FlowCache], tmp_path: Path) -> None:
    first, second = (stage_of("adversarial", "adam", footage, torch.device("cuda")) for _ in range(2))
    update = fastest(first)
    for index in range(5):
        step(first, index, update)
    save_training(tmp_path / "c.safetensors", first.modules, first.optimizers, 5, "digest")
    load_training(tmp_path / "c.safetensors", second.modules, second.optimizers, "digest")
    again = fastest(second)
    for index in range(5, 15):
        expected = {name: value.clone() for name, value in step(first, index, update).items()}
        torch.testing.assert_close(step(second, index, again), expected, rtol=0.01, atol=1e-5)
