"""Training windows: footage on the device gives the same tensors as footage in files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_blocks import SETTINGS, write_dataset

from stmae import config
from stmae.datasets.flow_cache import extract_flow
from stmae.training.windows import Windows

CPU = torch.device("cpu")


@pytest.mark.parametrize("scale", [1, 2])
def test_footage_in_memory_gives_the_tensors_of_footage_in_files(tmp_path: Path, scale: int) -> None:
    settings = config.load("walkway", [*SETTINGS, f"model.flow_scale={scale}", "data.frame_stride=3"])
    manifest = write_dataset(tmp_path / "dataset", scale)
    flow = extract_flow(settings, manifest, tmp_path / "flow")
    files, memory = (
        Windows(settings, manifest, "train", CPU, flow=flow, resident=resident) for resident in (False, True)
    )
    assert len(files) == len(memory)
    for index in range(6):
        order = files.order(index, 4, seed=2)
        assert torch.equal(order, memory.order(index, 4, seed=2))
        for read in (Windows.frames, Windows.flows, Windows.scenes):
            assert torch.equal(read(files, order), read(memory, order))
        for one, other in zip(files.targets(order), memory.targets(order), strict=True):
            assert torch.equal(one, other)
    assert torch.equal(files.of_scene(0, 5), memory.of_scene(0, 5))
    assert torch.equal(files.evenly_spaced(3), memory.evenly_spaced(3))
