"""docs/serving.md: the bytes between the steps are those of the table of tensors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stmae import config as configs
from stmae.serving import tensors

PAGE = (Path(__file__).resolve().parents[2] / "docs/serving.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## What travels between the steps")[2].partition("\n## ")[0]
ROWS = {
    name: [cell.strip() for cell in cells.split("|")]
    for name, cells in re.findall(r"^\| `([A-Z]+)` \|(.*)\|$", SECTION, re.M)
}
STEPS = {"flow": tensors.FLOW_MODEL, "encode": tensors.ENCODE, "decode": tensors.DECODE, "psnr": tensors.PSNR_MODEL}
TRAVELLING = list(dict.fromkeys(tensor for spec in tensors.STEPS for tensor in spec.inputs))
"""What the request, or one step, gives another."""


def test_the_page_has_every_tensor_that_travels_with_its_type_and_where_it_goes() -> None:
    assert list(ROWS) == [tensor.name for tensor in TRAVELLING]
    for tensor in TRAVELLING:
        what, source, targets, *_ = ROWS[tensor.name]
        assert what == f"{tensor.dtype.replace('float', 'fp')} {tensor.meaning.split()[0]}"
        givers = [f"`{name}`" for name, spec in STEPS.items() if tensor in spec.outputs] or ["the request"]
        assert source == ", ".join(givers)
        assert targets == ", ".join(f"`{name}`" for name, spec in STEPS.items() if tensor in spec.inputs)


@pytest.mark.parametrize(("name", "column"), [("ped2", 3), ("ped2-cpu", 5)])
def test_the_bytes_are_those_of_the_table_of_tensors(name: str, column: int) -> None:
    model = configs.load(name).model
    assert f"`{name}`, S = {model.frame_size} | in fp32" in SECTION
    for tensor in TRAVELLING:
        served, single = (
            tensors.bytes_per_frame(each, size=model.size, flow_scale=model.flow_scale, channels=model.handed_over)
            for each in (tensor, tensor._replace(dtype="float32"))
        )
        told = f"{single:,}" if tensor.dtype == "float16" else ""
        assert ROWS[tensor.name][column : column + 2] == [f"{served:,}", told], tensor.name
