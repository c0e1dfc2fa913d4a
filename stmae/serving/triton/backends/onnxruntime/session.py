"""What computes a model: the onnxruntime package, or OpenVINO where the model's configuration asks for it.

The configuration says so as it does to the native backend: `execution_accelerators { cpu_execution_accelerator { name:
"openvino" } }`. The precision is a parameter of this accelerator, which the native backend passes over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

THREADS = "intra_op_thread_count"
"""Parameter of config.pbtxt, named as in the native backend; 0 or absent means all cores that this process may use."""

Run = Callable[[Mapping[str, Any]], list[Any]]
"""Takes a model's inputs by their names; returns its outputs in the order of its configuration."""


def open_session(path: Path, config: Mapping[str, Any]) -> Run:
    """Loads an ONNX model as the parsed config.pbtxt says, and returns what computes it."""
    outputs = [tensor["name"] for tensor in config["output"]]
    threads = int(config.get("parameters", {}).get(THREADS, {}).get("string_value", "0"))
    threads = threads or len(os.sched_getaffinity(0))
    accelerators = config.get("optimization", {}).get("execution_accelerators", {}).get("cpu_execution_accelerator", [])
    for accelerator in accelerators:
        if accelerator["name"] == "openvino":
            return _openvino(path, outputs, threads, accelerator.get("parameters", {}).get("precision", "fp32"))
    return _onnxruntime(path, outputs, threads)


def _openvino(path: Path, outputs: list[str], threads: int, precision: str) -> Run:
    import openvino

    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # Where the cores have no bf16, OpenVINO computes in fp32, whatever is asked for.
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        # The processes of all models would be bound to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()

    def run(feed: Mapping[str, Any]) -> list[Any]:
        results = request.infer(dict(feed), share_inputs=True)
        return [results[name] for name in outputs]

    return run


def _onnxruntime(path: Path, outputs: list[str], threads: int) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # T differs between requests: a memory plan made for one shape is wrong for the next.
    options.enable_mem_pattern = False
    # Each model is a process of its own; a pool that spins takes the cores from the next step of the ensemble.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: list(session.run(outputs, dict(feed)))
