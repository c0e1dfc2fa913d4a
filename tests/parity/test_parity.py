"""Torch, onnxruntime and the real Triton compute the same scores."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from tiny import TINY, export_tiny, moving_blobs

from stmae import config as configs
from stmae.datasets.flow_cache import FlowCache, extract_flow
from stmae.datasets.manifest import Clip, Manifest
from stmae.evaluation.inference import clip_raw_scores
from stmae.export.graphs import reference
from stmae.model.stmae import SPEED_FLOOR
from stmae.scoring.raw import MOTION_FRAME_SIZE
from stmae.serving import parity, tensors
from stmae.serving.client import Client
from stmae.serving.repository import write_repository
from stmae.serving.triton.launcher import EmbeddedTriton

SHARP = ["name=sharp", "model.size=128", "model.flow_scale=3"]
DEEP = ["name=deep", "model.size=96", "model.features=efficientnet-lite0"]


@pytest.fixture(scope="module")
def sharp_export(tmp_path_factory):
    """A model of 384 x 384 frames: its auto-encoders see a third of the resolution, its feature bank two thirds."""
    return export_tiny(configs.load("walkway", [*TINY, *SHARP]), tmp_path_factory.mktemp("sharp"))


@pytest.fixture(scope="module")
def deep_export(tmp_path_factory):
    """A model whose feature bank holds features of a pretrained net."""
    return export_tiny(configs.load("walkway", [*TINY, *DEEP]), tmp_path_factory.mktemp("deep"))


@pytest.fixture(params=["tiny", "sharp", "deep"])
def exported(request, tiny_export, sharp_export, deep_export):
    return {"tiny": tiny_export, "sharp": sharp_export, "deep": deep_export}[request.param]


@pytest.fixture(scope="module")
def served(triton_runtime, tiny_export, sharp_export, deep_export, tmp_path_factory):
    """One Triton that serves all models."""
    repository = tmp_path_factory.mktemp("served")
    for export in (tiny_export, sharp_export, deep_export):
        write_repository(export.folder, repository)
    with EmbeddedTriton(repository, runtime=triton_runtime) as server:
        yield server


def as_outputs(scores):
    return {output.name: getattr(scores, output.name.lower()) for output in tensors.ENSEMBLE.outputs}


def test_onnxruntime_computes_what_torch_computes(exported):
    differences = parity.check(exported.folder)

    assert differences.keys() == {output.name for output in tensors.ENSEMBLE.outputs}
    assert differences["PSNR"] <= 0.01
    assert differences["MEMORY_DISTANCE"] <= 1e-4


@pytest.mark.parametrize("still", [[4], [6, 9], [4, 5, 6, 7, 8, 9]])
def test_frames_in_which_nothing_moves_are_scored_as_by_torch(exported, served, still):
    size = exported.config.model.frame_size
    film = moving_blobs(10, size)
    frames = np.stack([film[index] for index in np.cumsum([index not in still for index in range(10)]) - 1])
    truth = reference(exported.model, frames)

    with Client(served.grpc_url, exported.config.name) as client:
        scores = as_outputs(client.score_segment(frames))

    parity.compare("Triton", scores, truth)
    assert [index + 4 for index, tiles in enumerate(scores["FEATURE_TILES"]) if not tiles.any()] == still


def test_triton_computes_what_torch_computes(exported, served):
    golden = parity.load_golden(exported.folder)

    with Client(served.grpc_url, exported.config.name) as client:
        assert client.describe().size == exported.config.model.frame_size
        scores = client.score_segment(golden["FRAMES"])

    parity.compare("Triton", as_outputs(scores), golden)


def test_what_is_to_be_computed_in_bf16_is_served_on_cores_with_and_without_it(tiny_export, triton_runtime, tmp_path):
    golden = parity.load_golden(tiny_export.folder)
    write_repository(tiny_export.folder, tmp_path, "openvino", "bf16")

    with EmbeddedTriton(tmp_path, runtime=triton_runtime) as server, Client(server.grpc_url, "tiny") as client:
        scores = client.score_segment(golden["FRAMES"]).check()

    np.testing.assert_allclose(scores.psnr, golden["PSNR"], atol=0.5)


def test_evaluation_computes_what_is_served(exported, tmp_path):
    golden = parity.load_golden(exported.folder)
    frames = golden["FRAMES"]
    size = exported.config.model.frame_size
    clip = Clip("walk", "test", "walk.mp4", len(frames), size, size, "0", "", labelled=False, masked=False)
    manifest = Manifest.of(tmp_path, "blobs", size, 10.0, (clip,))
    path = manifest.path("frames", "test", "walk")
    path.parent.mkdir(parents=True)
    np.save(path, frames)
    extract_flow(exported.config, manifest, tmp_path)

    flow = FlowCache.of(tmp_path, manifest)
    scores = clip_raw_scores(exported.config, exported.model, manifest, clip, flow, torch.device("cpu"))

    parity.compare("evaluation", as_outputs(scores), golden)
    part = clip_raw_scores(exported.config, exported.model, manifest, clip, flow, torch.device("cpu"), first=7)
    assert len(part) == 3
    np.testing.assert_allclose(part.flow_tiles, scores.flow_tiles[:3], atol=1e-5)
    np.testing.assert_allclose(part.psnr, scores.psnr[:3], atol=1e-3)


def test_golden_psnr_and_error_tiles_are_those_of_the_prediction(exported):
    golden = parity.load_golden(exported.folder)
    prediction = (golden["PREDICTION"].astype(np.float64) + 1) / 2
    scale, size = exported.config.model.flow_scale, exported.config.model.size
    target = golden["FRAMES"][4:].transpose(0, 3, 1, 2) / 255.0
    target = target.reshape(*target.shape[:2], size, scale, size, scale).mean((3, 5))

    error = ((prediction - target) ** 2).mean(1)
    tiles = error.reshape(len(error), 16, size // 16, 16, size // 16).mean((2, 4))

    np.testing.assert_allclose(golden["ERROR_TILES"], tiles, atol=1e-6)
    np.testing.assert_allclose(golden["PSNR"], -10 * np.log10(error.mean((1, 2))), atol=1e-4)


def test_flow_tiles_are_the_flow_that_leads_to_each_scored_frame_weighted_by_its_speed(exported):
    golden = parity.load_golden(exported.folder)

    flow = golden["FLOW"][3:] * min(1.0, MOTION_FRAME_SIZE / exported.config.model.frame_size)
    speed = np.hypot(flow[:, :1], flow[:, 1:])
    cut = (-1, 16, flow.shape[2] // 16, 16, flow.shape[3] // 16)
    weighted, total = (field.reshape(len(field), *cut).mean((3, 5)) for field in (flow * speed, speed))

    np.testing.assert_allclose(golden["FLOW_TILES"], weighted / (total + SPEED_FLOOR), atol=1e-5)


def test_the_table_of_tensors_has_the_shapes_that_the_graphs_have(exported):
    model = exported.config.model
    golden = parity.load_golden(exported.folder)

    for spec in tensors.STEPS:
        for tensor in (*spec.inputs, *spec.outputs):
            dims = tensors.dims(spec, tensor, size=model.size, flow_scale=model.flow_scale, channels=model.handed_over)
            array = golden[tensor.name]
            assert array.ndim == len(dims)
            assert all(dim in (-1, size) for dim, size in zip(dims, array.shape, strict=True)), tensor.name


def test_the_golden_segment_is_computed_in_single_precision(exported):
    """What half precision between the steps loses is an error that the gate sees."""
    golden = parity.load_golden(exported.folder)

    assert {str(array.dtype) for name, array in golden.items() if name != "FRAMES"} == {"float32"}


def test_graphs_name_and_type_their_tensors_as_the_table_does(tiny_export):
    for name, spec in zip(("flow", "encode", "decode", "psnr"), tensors.STEPS, strict=True):
        graph = onnx.load(tiny_export.folder / f"{name}.onnx").graph

        for values, side in ((graph.input, spec.inputs), (graph.output, spec.outputs)):
            types = [helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in values]
            assert [value.name for value in values] == [tensor.name for tensor in side]
            assert [str(dtype) for dtype in types] == [tensor.dtype for tensor in side]


def test_clients_get_single_precision():
    assert {output.dtype for output in tensors.ENSEMBLE.outputs} == {"float32"}


def test_convolutions_have_taken_up_the_batch_norm_after_them(exported):
    for spec in tensors.STEPS:
        graph = onnx.load(exported.folder / f"{spec.file}.onnx").graph
        assert "BatchNormalization" not in {node.op_type for node in graph.node}


def test_shared_graphs_are_the_same_bytes_whatever_deployment_exports_them(
    tiny_export, sharp_export, deep_export, tmp_path
):
    ablation = [*TINY, "name=ablation", "model.shortcuts=true", "model.streams=motion", "model.scenes=2"]
    exports = (tiny_export, sharp_export, deep_export, export_tiny(configs.load("walkway", ablation), tmp_path))

    for spec in tensors.STEPS:
        if spec.shared:
            assert len({(each.folder / f"{spec.file}.onnx").read_bytes() for each in exports}) == 1


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
