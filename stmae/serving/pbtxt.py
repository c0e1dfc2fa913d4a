"""config.pbtxt texts of a deployment's models, generated from the table of tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import stmae
from stmae.config import Config
from stmae.serving import tensors

Accelerator = Literal["cpu", "openvino", "cuda", "tensorrt"]
"""What a model is computed by: a property of the environment that serves it, not of the deployment. `cpu` is
onnxruntime's own provider, `openvino` computes on CPUs too."""
EMBEDDED: Accelerator = "openvino"
"""The one of the embedded server: it alone computes in bf16 on cores that have it."""
Precision = Literal["fp32", "bf16"]
"""What OpenVINO computes in."""
ACCELERATORS: tuple[Accelerator, ...] = get_args(Accelerator)
INSTANCES: dict[Accelerator, int] = {"cpu": 1, "openvino": 1, "cuda": 2, "tensorrt": 2}
"""Copies of a model. On a GPU one copies its tensors while the other computes; on a CPU both would share the cores."""
ENGINES = "/tmp/tensorrt"
"""Folder of the engines that TensorRT has built."""

UNBUILT = "unbuilt"
"""The digest in committed texts: there are no weights that it would describe."""
QUEUED = 4
"""Requests that wait for a model, at most; further ones are refused at once. A segment between two steps has a
hundred megabytes and more, so without a bound the clients would decide how much memory a server takes."""
QUEUED_SECONDS = 120
"""Longest wait of a request for a model."""

_TYPES = {"uint8": "TYPE_UINT8", "float16": "TYPE_FP16", "float32": "TYPE_FP32"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A deployment as its config.pbtxt texts describe it."""

    deployment: str
    digest: str
    version: str
    """Its name in the models store."""
    size: int
    """s of tensors.py."""
    flow_scale: int
    channels: int
    """F."""
    segment_frames: int

    @classmethod
    def of(cls, config: Config, digest: str = UNBUILT, version: str = UNBUILT) -> Release:
        """Returns the release of a configuration; `digest` names its weights, `version` all that is published."""
        return cls(
            deployment=config.name,
            digest=digest,
            version=version,
            size=config.model.size,
            flow_scale=config.model.flow_scale,
            channels=config.model.handed_over,
            segment_frames=config.serve.segment_frames,
        )


def texts(
    release: Release,
    accelerator: Accelerator = "cpu",
    precision: Precision = "fp32",
    numbers: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """Returns the config.pbtxt of each served model by its name, the ensemble last.

    `precision` is OpenVINO's. `numbers` has the version of each step's model that the ensemble calls; without it that
    is the highest there is. TensorRT builds an engine for each length of a segment, which takes minutes: there, T is
    `segment_frames` always.
    """
    frames = release.segment_frames if accelerator == "tensorrt" else None
    steps = {
        spec.served_name(release.deployment): _step(release, spec, accelerator, precision, frames)
        for spec in tensors.STEPS
    }
    return steps | {release.deployment: _ensemble(release, numbers or {}, frames)}


def policy(numbers: Iterable[int]) -> str:
    """Returns the block that says which versions of a model are loaded."""
    return f"version_policy {{\n  specific {{\n    versions: {sorted(numbers)}\n  }}\n}}\n"


def _step(
    release: Release, spec: tensors.Model, accelerator: Accelerator, precision: Precision, frames: int | None
) -> str:
    kind = "KIND_CPU" if accelerator in ("cpu", "openvino") else "KIND_GPU"
    return (
        f'name: "{spec.served_name(release.deployment)}"\n'
        'backend: "onnxruntime"\n'
        "max_batch_size: 0\n"
        + _tensors(release, spec, frames)
        + f"instance_group {{\n  count: {INSTANCES[accelerator]}\n  kind: {kind}\n}}\n"
        + _optimization(accelerator, precision)
        + _QUEUE
        + ("" if spec.shared else _warmup(release, spec, frames or tensors.MIN_SEGMENT))
    )


def _optimization(accelerator: Accelerator, precision: Precision) -> str:
    """Returns the block that names the accelerator of onnxruntime; none for its own providers."""
    settings: dict[Accelerator, tuple[str, dict[str, str]]] = {
        # The embedded server's parameter; the native backend has none for OpenVINO.
        "openvino": ("cpu", {"precision": precision}),
        "tensorrt": (
            "gpu",
            {"precision_mode": "FP16", "trt_engine_cache_enable": "true", "trt_engine_cache_path": ENGINES},
        ),
    }
    if accelerator not in settings:
        return ""
    kind, parameters = settings[accelerator]
    lines = "".join(f'      parameters {{ key: "{key}" value: "{value}" }}\n' for key, value in parameters.items())
    return (
        f"optimization {{\n  execution_accelerators {{\n    {kind}_execution_accelerator {{\n"
        f'      name: "{accelerator}"\n{lines}    }}\n  }}\n}}\n'
    )


# Triton bounds the queue of its dynamic batcher only; with a max_batch_size of 0 that batches nothing.
_QUEUE = (
    "dynamic_batching {\n  default_queue_policy {\n"
    f"    max_queue_size: {QUEUED}\n    default_timeout_microseconds: {QUEUED_SECONDS}000000\n"
    "    timeout_action: REJECT\n  }\n}\n"
)


def _tensors(release: Release, spec: tensors.Model, frames: int | None) -> str:
    """Returns the input and output blocks of a model, for segments of `frames` frames or of any number."""
    return "".join(
        f'{field} {{\n  name: "{tensor.name}"\n  data_type: {_TYPES[tensor.dtype]}\n'
        f"  dims: {_dims(release, spec, tensor, None if spec.shared else frames)}\n}}\n"
        for field, side in (("input", spec.inputs), ("output", spec.outputs))
        for tensor in side
    )


def _warmup(release: Release, spec: tensors.Model, frames: int) -> str:
    """Returns a warm-up by a segment of zeros at load. A shared model has no size to be warmed up at."""
    inputs = "".join(
        f'  inputs {{\n    key: "{tensor.name}"\n    value {{\n      data_type: {_TYPES[tensor.dtype]}\n'
        f"      dims: {_dims(release, spec, tensor, frames)}\n      zero_data: true\n    }}\n  }}\n"
        for tensor in spec.inputs
    )
    # Triton skips a warm-up of batch_size 0 without a word.
    return f'model_warmup {{\n  name: "{frames} frames"\n  batch_size: 1\n{inputs}}}\n'


def _ensemble(release: Release, numbers: Mapping[str, int], frames: int | None) -> str:
    text = f'name: "{release.deployment}"\nplatform: "ensemble"\nmax_batch_size: 0\n'
    text += _tensors(release, tensors.ENSEMBLE, frames) + "ensemble_scheduling {\n"
    for spec in tensors.STEPS:
        name = spec.served_name(release.deployment)
        text += f'  step {{\n    model_name: "{name}"\n    model_version: {numbers.get(name, -1)}\n'
        for field, side in (("input_map", spec.inputs), ("output_map", spec.outputs)):
            for tensor in side:
                text += f'    {field} {{\n      key: "{tensor.name}"\n      value: "{tensor.name}"\n    }}\n'
        text += "  }\n"
    text += "}\n"
    # Clients read these from the server, since they may have no access to the repository's files.
    parameters = {
        "digest": release.digest,
        "version": release.version,
        "size": str(release.size * release.flow_scale),
        "segment_frames": str(release.segment_frames),
        "fixed_frames": str(frames or 0),
        "stmae_version": stmae.__version__,
    }
    for key, value in parameters.items():
        text += f'parameters {{\n  key: "{key}"\n  value {{\n    string_value: "{value}"\n  }}\n}}\n'
    return text


def _dims(release: Release, spec: tensors.Model, tensor: tensors.Tensor, frames: int | None) -> list[int]:
    """Returns the sizes of a tensor for a segment of `frames` frames, or of any number of them."""
    sizes = {"size": release.size, "flow_scale": release.flow_scale, "channels": release.channels}
    lead, *rest = tensors.dims(spec, tensor, **sizes)
    return [lead if frames is None else frames - tensors.lost_frames(tensor), *rest]
