"""Writer of the Triton model repository: config.pbtxt texts from the table of tensors, weights from an export.

`python -m stmae.serving.repository DIRECTORY CONFIG...` writes the texts alone, as they are committed.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Literal

import stmae
from stmae import config as configs
from stmae.config import Config
from stmae.serving import tensors

Kind = Literal["cpu", "gpu"]

UNBUILT = "unbuilt"
"""The digest in committed texts: the weights that it would describe are not there."""
PLACEHOLDER = ".keep"
"""Keeps an ensemble's version directory, which Triton wants to see, where empty ones are lost (git, object stores)."""
FILES = {"flow": "flow", "encode": "{deployment}_encode", "decode": "{deployment}_decode", "psnr": "psnr"}
"""Export file -> served model."""
_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A deployment as its config.pbtxt texts describe it."""

    deployment: str
    digest: str
    size: int
    """s of tensors.py."""
    flow_scale: int
    width: int
    segment_frames: int

    @classmethod
    def of(cls, config: Config, digest: str = UNBUILT, deployment: str | None = None) -> Release:
        return cls(
            deployment=deployment or config.name,
            digest=digest,
            size=config.model.size,
            flow_scale=config.model.flow_scale,
            width=config.model.width,
            segment_frames=config.serve.segment_frames,
        )


def texts(release: Release, kind: Kind = "cpu") -> dict[str, str]:
    """Served model -> its config.pbtxt, the ensemble last."""
    steps = {spec.name.format(deployment=release.deployment): _step(release, spec, kind) for spec in tensors.STEPS}
    return steps | {release.deployment: _ensemble(release)}


def write_configs(repository: Path, release: Release, kind: Kind = "cpu") -> None:
    """Write the texts, and the ensemble's version directory with its placeholder."""
    for name, text in texts(release, kind).items():
        folder = repository / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    version = repository / release.deployment / "1"
    version.mkdir(exist_ok=True)
    (version / PLACEHOLDER).touch()


def write_repository(export_dir: Path, repository: Path, deployment: str | None = None, kind: Kind = "cpu") -> Release:
    """Write a deployment's five models, weights included, as `deployment` (by default the config's name).

    Nothing here is gated or atomic: it is for a folder that nobody serves yet. `serving.publish` is the way into one
    that is served. Raises ValueError for a folder that is not a finished export.
    """
    manifest = load_manifest(export_dir)
    config = configs.from_json(json.dumps(manifest["config"]))
    release = Release.of(config, str(manifest["digest"]), deployment)
    write_configs(repository, release, kind)
    for file, model in FILES.items():
        version = repository / model.format(deployment=release.deployment) / "1"
        version.mkdir(exist_ok=True)
        shutil.copyfile(export_dir / f"{file}.onnx", version / "model.onnx")
    return release


def load_manifest(export_dir: Path) -> dict[str, object]:
    """The content of export.json. Raises ValueError where it is missing or broken."""
    path = export_dir / "export.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a finished export ({error}); run the export step again") from None
    assert isinstance(manifest, dict)
    return manifest


def _step(release: Release, spec: tensors.Model, kind: Kind) -> str:
    def block(field: str, side: tuple[tensors.Tensor, ...]) -> str:
        return "".join(
            f'{field} {{\n  name: "{tensor.name}"\n  data_type: {_TYPES[tensor.dtype]}\n'
            f"  dims: {_dims(release, spec, tensor)}\n}}\n"
            for tensor in side
        )

    return (
        f'name: "{spec.name.format(deployment=release.deployment)}"\n'
        'backend: "onnxruntime"\n'
        "max_batch_size: 0\n"
        + block("input", spec.inputs)
        + block("output", spec.outputs)
        + f"instance_group {{\n  count: 1\n  kind: KIND_{kind.upper()}\n}}\n"
        + ("" if spec.shared else _warmup(release, spec))
    )


def _warmup(release: Release, spec: tensors.Model) -> str:
    """One shortest segment of zeros at load. A shared model has no size of its own to be warmed up at."""
    lead = {"FRAMES": tensors.MIN_SEGMENT, "FLOW": tensors.MIN_SEGMENT - 1}
    inputs = ""
    for tensor in spec.inputs:
        _, *rest = tensors.dims(spec, tensor, size=release.size, flow_scale=release.flow_scale, width=release.width)
        inputs += (
            f'  inputs {{\n    key: "{tensor.name}"\n    value {{\n      data_type: {_TYPES[tensor.dtype]}\n'
            f"      dims: {[lead.get(tensor.name, 1), *rest]}\n      zero_data: true\n    }}\n  }}\n"
        )
    # batch_size 0 would be skipped without a word.
    return f'model_warmup {{\n  name: "shortest segment"\n  batch_size: 1\n{inputs}}}\n'


def _ensemble(release: Release) -> str:
    ensemble = tensors.ENSEMBLE
    # What a model is called by its users must not depend on who reads the weights: all of it is in the config.
    parameters = {
        "digest": release.digest,
        "size": str(release.size * release.flow_scale),
        "segment_frames": str(release.segment_frames),
        "stmae_version": stmae.__version__,
    }
    text = f'name: "{release.deployment}"\nplatform: "ensemble"\nmax_batch_size: 0\n'
    for field, side in (("input", ensemble.inputs), ("output", ensemble.outputs)):
        for tensor in side:
            text += (
                f'{field} {{\n  name: "{tensor.name}"\n  data_type: {_TYPES[tensor.dtype]}\n'
                f"  dims: {_dims(release, ensemble, tensor)}\n}}\n"
            )
    text += "ensemble_scheduling {\n"
    for spec in tensors.STEPS:
        text += (
            f'  step {{\n    model_name: "{spec.name.format(deployment=release.deployment)}"\n    model_version: -1\n'
        )
        for field, side in (("input_map", spec.inputs), ("output_map", spec.outputs)):
            for tensor in side:
                text += f'    {field} {{\n      key: "{tensor.name}"\n      value: "{tensor.name}"\n    }}\n'
        text += "  }\n"
    text += "}\n"
    for key, value in parameters.items():
        text += f'parameters {{\n  key: "{key}"\n  value {{\n    string_value: "{value}"\n  }}\n}}\n'
    return text


def _dims(release: Release, spec: tensors.Model, tensor: tensors.Tensor) -> list[int]:
    return list(tensors.dims(spec, tensor, size=release.size, flow_scale=release.flow_scale, width=release.width))


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print("usage: python -m stmae.serving.repository DIRECTORY CONFIG...", file=sys.stderr)
        return 2
    for name in arguments[1:]:
        write_configs(Path(arguments[0]), Release.of(configs.load(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
