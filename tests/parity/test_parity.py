"""Torch, onnxruntime and the real Triton compute the same scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from stmae import score, tensors
from stmae.export import parity
from stmae.serving.client import Client

Film = Callable[..., np.ndarray]


def test_onnxruntime_computes_what_torch_computes(tiny_export):
    differences = parity.check(tiny_export.folder)

    assert differences["PSNR"] <= 0.01
    assert differences["MEMORY_DISTANCE"] <= 1e-4


def test_triton_computes_what_torch_computes(tiny_export, triton_server):
    golden = parity.load_golden(tiny_export.folder)

    with Client(triton_server.grpc_url, "tiny") as client:
        scores = client.score_segment(golden["FRAMES"])

    computed = {
        "PSNR": scores.psnr,
        "MEMORY_DISTANCE": scores.memory_distance,
        "ERROR_TILES": scores.error_tiles,
    }
    parity.compare("Triton", computed, golden)


def test_golden_values_are_those_of_the_scoring_functions(tiny_export):
    golden = parity.load_golden(tiny_export.folder)
    prediction = (golden["PREDICTION"].astype(np.float64) + 1) / 2
    target = golden["FRAMES"][4:].transpose(0, 3, 1, 2) / 255.0

    tiles = score.error_tiles(prediction, target)

    np.testing.assert_allclose(golden["ERROR_TILES"], tiles, atol=1e-6)
    np.testing.assert_allclose(golden["PSNR"], score.psnr(tiles.mean(axis=(1, 2))), atol=1e-4)


def test_the_table_of_tensors_has_the_shapes_that_the_graphs_have(tiny_export):
    model = tiny_export.config.model
    golden = parity.load_golden(tiny_export.folder)

    for spec in tensors.STEPS:
        for tensor in (*spec.inputs, *spec.outputs):
            dims = tensors.dims(spec, tensor, size=model.size, width=model.width)
            array = golden[tensor.name]
            assert array.ndim == len(dims)
            assert all(dim in (-1, size) for dim, size in zip(dims, array.shape, strict=True)), tensor.name
            assert str(array.dtype) == tensor.dtype


def test_graphs_name_their_tensors_as_the_table_does(tiny_export):
    for name, spec in zip(("flow", "encode", "decode", "psnr"), tensors.STEPS, strict=True):
        graph = onnx.load(tiny_export.folder / f"{name}.onnx").graph

        assert [value.name for value in graph.input] == [tensor.name for tensor in spec.inputs]
        assert [value.name for value in graph.output] == [tensor.name for tensor in spec.outputs]


def test_a_perturbed_graph_does_not_pass(tiny_export, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(tiny_export.folder, folder)
    perturb(folder / "decode.onnx")

    with pytest.raises(parity.ParityError, match=r"PSNR differs from torch by .* tolerance 0.01"):
        parity.check(folder)


def test_nan_does_not_pass():
    nan = np.full(3, np.nan, np.float32)

    with pytest.raises(parity.ParityError, match="PSNR"):
        parity.compare("x", {"PSNR": nan}, {"PSNR": np.zeros(3)})


def perturb(path: Path) -> None:
    """Scale a model's weights by 1.2."""
    model = onnx.load(path)
    for weight in model.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(1.2 * numpy_helper.to_array(weight), weight.name))
    onnx.save(model, path)
