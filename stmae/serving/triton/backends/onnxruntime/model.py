"""Stand-in for Triton's native onnxruntime backend: a python-based backend of the same name.

It runs inside the embedded Triton's own Python (`.triton`), never in stmae's, so that the config.pbtxt which the
production container loads with its native backend loads here unchanged. Its timings are a stand-in's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

Arrays = Mapping[str, npt.NDArray[Any]]
"""Tensors by their names."""

THREADS = "intra_op_thread_count"
"""Parameter of config.pbtxt, named as in the native backend; 0 or absent means all cores that this process may use."""


def open_session(path: Path, config: Mapping[str, Any]) -> Callable[[Arrays], Arrays]:
    """Returns what computes an ONNX model's outputs of its inputs; `config` is its config.pbtxt as Triton gives it.

    It needs no Triton. Raises what onnxruntime raises for a file that is no model.
    """
    threads = int(config.get("parameters", {}).get(THREADS, {}).get("string_value", "0"))
    options = ort.SessionOptions()
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # T differs between requests: a memory plan made for one shape is wrong for the next.
    options.enable_mem_pattern = False
    # Each model is a process of its own; a pool that spins takes the cores from the next step of the ensemble.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [tensor["name"] for tensor in config["output"]]
    return lambda feed: dict(zip(outputs, session.run(outputs, dict(feed)), strict=True))


class TritonPythonModel:
    """One instance of one ONNX model."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        filename = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / filename
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{path}: no such file; publish the model into this repository")
        self.compute = open_session(path, config)
        self.inputs = [tensor["name"] for tensor in config["input"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        try:
            feed = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
            tensors = [pb_utils.Tensor(name, array) for name, array in self.compute(feed).items()]
            return pb_utils.InferenceResponse(output_tensors=tensors)
        except Exception as error:
            # One bad request must not take the model's process down: it would never be restarted.
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(error).__name__}: {error}"))
