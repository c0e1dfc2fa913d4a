"""What the runtime and the precision change on UCSD Ped2: PSNR frame by frame and the final AUC, against torch in fp32.

Each way is served by the embedded Triton, and fitted and evaluated on what it measures itself. `int8` has the
convolutions of the decoder quantised, calibrated on training footage; no deployment is served so.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.scoring.detectors import evaluated
from benchmarks.scoring.sets import PED2, CachedMeasure, trained
from stmae.datasets.manifest import Clip
from stmae.export.graphs import export
from stmae.scoring.raw import RawScores
from stmae.serving import tensors
from stmae.serving.client import Client
from stmae.serving.pbtxt import Accelerator, Precision
from stmae.serving.publish import computes_bf16
from stmae.serving.repository import write_repository
from stmae.serving.triton.launcher import EmbeddedTriton

GOLDEN_FRAMES = 20
"""Frames of a training clip that graphs are exported with, and int8 is calibrated on."""
INT8 = "onnxruntime_int8_decoder"
WAYS: dict[str, tuple[Accelerator, Precision]] = {
    "onnxruntime_fp32": ("cpu", "fp32"),
    "openvino_fp32": ("openvino", "fp32"),
    "openvino_bf16": ("openvino", "bf16"),
    INT8: ("cpu", "fp32"),
}


@dataclasses.dataclass(frozen=True)
class ServedMeasure(CachedMeasure):
    """Measures clips with a served deployment."""

    client: Client

    def measured(self, clip: Clip, first: int | None) -> RawScores:
        """Returns what the server measures of a clip, or of its `first` frames."""
        return self.client.score_array(np.asarray(self.manifest.frames(clip)[:first])).raw


def precisions(data_root: Path, work: Path) -> dict[str, Any]:
    """Returns by way how far the PSNR of test frames is off, dB, and the AUCs; without bf16 where the cores lack it."""
    measure = trained(PED2, PED2.seeds[0], data_root, work)
    exported = work / PED2.name / "export"
    clip = measure.manifest.split("train")[0]
    export(measure.config, measure.model, exported, np.array(measure.manifest.frames(clip)[:GOLDEN_FRAMES]))
    figures: dict[str, Any] = {"computes_bf16": computes_bf16()} | _aucs("torch_fp32", measure)
    for name, computing in WAYS.items():
        if computing[1] == "fp32" or computes_bf16():
            figures |= _served(name, measure, exported, work / PED2.name / "precision")
            print({key: value for key, value in figures.items() if key.endswith(name)}, flush=True)
    return figures


def _served(name: str, measure: CachedMeasure, exported: Path, folder: Path) -> dict[str, Any]:
    repository = folder / name / "repository"
    shutil.rmtree(folder / name, ignore_errors=True)
    deployment = write_repository(exported, repository, *WAYS[name]).deployment
    if name == INT8:
        quantise(exported, repository / tensors.DECODE.served_name(deployment) / "1" / "model.onnx")
    with EmbeddedTriton(repository) as server, Client(server.grpc_url, deployment, deadline_seconds=600) as client:
        parts = measure.config, measure.model, measure.manifest, measure.flow, folder / name / "raw"
        served = ServedMeasure(*parts, client)
        figures = _aucs(name, served)
        off = [np.abs(served(clip).psnr - measure(clip).psnr) for clip in measure.manifest.split("test")]
    percentile = float(np.percentile(np.concatenate(off), 99))
    return figures | {f"psnr_off_p99_{name}": percentile, f"psnr_off_max_{name}": float(np.concatenate(off).max())}


def _aucs(name: str, measure: CachedMeasure) -> dict[str, float]:
    figures = evaluated(measure)
    return {f"{row}_auc_micro_raw_{name}": figures[f"{row}_auc_micro_raw"] for row in ("combined", "psnr")} | {
        f"paper_auc_{name}": figures["psnr_auc_micro_per_video"]
    }


def quantise(exported: Path, decoder: Path) -> None:
    """Writes the decoder of an export with int8 convolutions, calibrated on the FEATURES of its golden segment."""
    with np.load(exported / "golden.npz") as golden:
        features = golden[tensors.FEATURES.name].astype(tensors.FEATURES.dtype)
    prepared = decoder.with_name("prepared.onnx")
    quant_pre_process(exported / "decode.onnx", prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        decoder,
        _Frames(iter(features)),
        per_channel=True,
        op_types_to_quantize=["Conv", "ConvTranspose"],
    )
    prepared.unlink()


class _Frames(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, features: Iterator[Any]) -> None:
        self._features = features

    def get_next(self) -> dict[str, Any] | None:
        found = next(self._features, None)
        return None if found is None else {tensors.FEATURES.name: found[None]}
