"""The parity gate: compares what a runtime computes for the golden segment with what torch computed for it.

It needs no torch, whose values are in the export's golden.npz.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stmae.scoring.raw import STILL_SPEED
from stmae.serving import tensors
from stmae.serving.pbtxt import Precision

TOLERANCES: dict[Precision, dict[str, float]] = {
    "fp32": {
        tensors.PSNR.name: 0.01,  # dB
        tensors.MEMORY_DISTANCE.name: 1e-4,
        tensors.ERROR_TILES.name: 1e-4,  # mean squared errors are in [0, 1]
        tensors.LOCATION_TILES.name: 1e-2,  # variances; about 1 on normal footage
        tensors.FEATURE_TILES.name: 1e-3,  # squared distances of unit vectors, where something moves
        tensors.FLOW_TILES.name: 0.01,  # pixels
    },
    # Eight bits of mantissa instead of 24. Scores depend on logarithms and ranks, which the PSNR's bound stands for.
    "bf16": {
        tensors.PSNR.name: 0.05,
        tensors.MEMORY_DISTANCE.name: 1e-2,
        tensors.ERROR_TILES.name: 1e-3,
        tensors.LOCATION_TILES.name: 0.5,
        tensors.FEATURE_TILES.name: 0.05,
        tensors.FLOW_TILES.name: 0.1,
    },
}
"""Largest absolute difference of each of the ensemble's outputs, by what a runtime computes in."""

Arrays = Mapping[str, npt.NDArray[Any]]


class ParityError(RuntimeError):
    """A runtime computes other scores than torch, so that the model must not be published."""


def load_golden(export_dir: Path) -> dict[str, npt.NDArray[Any]]:
    """Returns FRAMES and every served tensor as torch computed it. Raises ParityError for a folder without them."""
    path = export_dir / "golden.npz"
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise ParityError(f"{path}: no golden segment ({error}); export the model again") from None


def compare(runtime: str, computed: Arrays, golden: Arrays, precision: Precision = "fp32") -> dict[str, float]:
    """Returns the largest absolute difference of each of the ensemble's outputs.

    Raises ParityError, which names the runtime, the tensor, the difference and the tolerance.
    """
    differences = {}
    for name, tolerance in TOLERANCES[precision].items():
        ours, theirs = computed[name], golden[name]
        if ours.shape != theirs.shape:
            raise ParityError(f"{runtime}: {name} has shape {list(ours.shape)}, torch {list(theirs.shape)}")
        differing = np.abs(ours.astype(np.float64) - theirs)
        if name == tensors.FEATURE_TILES.name:  # elsewhere they count for nothing, and may not have been measured
            differing *= np.hypot(*np.moveaxis(golden[tensors.FLOW_TILES.name], 1, 0)) > STILL_SPEED
        difference = float(differing.max())
        if not difference <= tolerance:  # NaN fails too
            raise ParityError(
                f"{runtime}: {name} differs from torch by {difference:.3g}, tolerance {tolerance:g}; "
                "the model is not published: export it again, and look at the runtime if it still differs"
            )
        differences[name] = difference
    return differences


def check(export_dir: Path) -> dict[str, float]:
    """Compares onnxruntime, step by step, with torch on the golden segment. Raises ParityError."""
    import onnxruntime as ort

    golden = load_golden(export_dir)
    values: dict[str, npt.NDArray[Any]] = {tensors.FRAMES.name: golden[tensors.FRAMES.name]}
    for spec in tensors.STEPS:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(export_dir / f"{spec.file}.onnx", options, providers=["CPUExecutionProvider"])
        outputs = _names(spec.outputs)
        results = session.run(outputs, {tensor: values[tensor] for tensor in _names(spec.inputs)})
        values |= zip(outputs, results, strict=True)
    return compare("onnxruntime", values, golden)


def _names(side: Iterable[tensors.Tensor]) -> list[str]:
    return [tensor.name for tensor in side]
