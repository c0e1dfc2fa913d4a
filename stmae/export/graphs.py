"""The served graphs: the four stages of STM-AE, each written as an ONNX model, with a golden segment to check them.

The stages are methods of `STMAE`; nothing is computed here.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stmae.config import Config
from stmae.export.folding import folded
from stmae.model.stmae import STMAE
from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving import tensors
from stmae.serving.tensors import MIN_SEGMENT
from stmae.storage.atomic import write_atomically

Images = npt.NDArray[np.uint8]

OPSET = 17
EXAMPLE_FRAMES = 6
EXAMPLE_SIZE = 64
"""Frame size at which the shared graphs are traced, so that every deployment exports the same bytes."""


class Stage(nn.Module):
    """A stage of the model as a module of its own, which is what the exporter takes.

    It computes in single precision, whatever the types in which tensors travel from one stage to the next.
    """

    def __init__(
        self, spec: tensors.Model, compute: Callable[..., Tensor | tuple[Tensor, ...]], part: nn.Module | None
    ) -> None:
        """Wraps `compute`, the stage that serves as `spec`; `part` is the module whose parameters it uses.

        Names in a graph depend on all parameters of the module that is exported. The shared graphs are the same bytes
        in every deployment because they hold no other part.
        """
        super().__init__()
        self.spec, self.compute, self.part = spec, compute, part

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns the stage's outputs in the order and of the types of `serving.tensors`."""
        outputs = self.computed(*(each.float() if each.is_floating_point() else each for each in inputs))
        # The tracing exporter writes a cast for each `to`, whether it changes the type or not.
        return tuple(
            output.to(getattr(torch, tensor.dtype)) if tensor.dtype != "float32" else output
            for output, tensor in zip(outputs, self.spec.outputs, strict=True)
        )

    def computed(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs as they are computed."""
        outputs = self.compute(*inputs)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def stages(model: STMAE, scene: int) -> tuple[Stage, ...]:
    """Returns the four stages in the order of `tensors.STEPS`."""
    return (
        Stage(tensors.FLOW_MODEL, model.flow, model.flow_net),
        Stage(tensors.ENCODE, functools.partial(model.encode, scene=scene), model),
        Stage(tensors.DECODE, model.decode, model.decoder),
        Stage(tensors.PSNR_MODEL, model.prediction_error, None),
    )


def export(config: Config, model: STMAE, out: Path, golden: Images, scene: int = 0) -> None:
    """Writes `{flow,encode,decode,psnr}.onnx`, `golden.npz` and, last, `export.json` to the folder `out`.

    `golden` is a segment uint8 [T,S,S,3], T >= 5, of real footage; golden.npz holds its `reference`. `scene` is the one
    that is served. Raises ValueError for a segment of another shape.
    """
    size = config.model.frame_size
    if golden.dtype != np.uint8 or golden.shape[1:] != (size, size, 3) or len(golden) < MIN_SEGMENT:
        raise ValueError(
            f"golden segment is {golden.dtype} {list(golden.shape)}; "
            f"give uint8 [T,{size},{size},3] with T >= {MIN_SEGMENT}"
        )
    model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    out.mkdir(parents=True, exist_ok=True)
    (out / "export.json").unlink(missing_ok=True)
    lean = folded(model, scene)
    # What is handed over is of the folded model, what comes out of it of the model as it was trained.
    handed_over = reference(lean, golden, scene)[tensors.FEATURES.name]
    truth = reference(model, golden, scene) | {tensors.FEATURES.name: handed_over}
    np.savez_compressed(out / "golden.npz", **truth)  # type: ignore[arg-type]
    small = np.zeros((EXAMPLE_FRAMES, EXAMPLE_SIZE, EXAMPLE_SIZE, 3), np.uint8)
    examples = {
        "flow": (small,),
        "encode": (truth["FRAMES"][:MIN_SEGMENT], truth["FLOW"][: MIN_SEGMENT - 1]),
        "decode": (truth["FEATURES"][:1],),
        "psnr": (small, np.zeros((EXAMPLE_FRAMES - CLIP_FRAMES, 3, EXAMPLE_SIZE, EXAMPLE_SIZE))),
    }
    for stage in stages(lean, scene):
        name = stage.spec.file
        _write_graph(stage, examples[name], out / f"{name}.onnx")
    _write_manifest(config, out)


@torch.no_grad()
def reference(model: STMAE, frames: Images, scene: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Returns every served tensor by its name, FRAMES included, as torch computes it for a segment uint8 [T,S,S,3].

    All but FRAMES are in single precision: what is lost between the steps counts as the runtime's error.
    """
    values = {tensors.FRAMES.name: torch.from_numpy(frames)}
    for stage in stages(model, scene):
        outputs = stage.computed(*(values[tensor.name] for tensor in stage.spec.inputs))
        values |= zip((tensor.name for tensor in stage.spec.outputs), outputs, strict=True)
    return {name: value.numpy() for name, value in values.items()}


def _write_graph(stage: Stage, example: tuple[npt.NDArray[Any], ...], path: Path) -> None:
    spec = stage.spec
    inputs, outputs = ([tensor.name for tensor in side] for side in (spec.inputs, spec.outputs))
    dynamic = {
        tensor.name: {axis: f"{tensor.name}_{axis}" for axis, dim in enumerate(tensor.dims) if _is_dynamic(spec, dim)}
        for tensor in (*spec.inputs, *spec.outputs)
    }
    with warnings.catch_warnings():
        # The tracing exporter is deprecated; it is twenty times faster, and its bytes depend on the graph alone,
        # which the shared models need. The parity gate checks what it writes.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding")
        torch.onnx.export(
            stage.eval(),
            tuple(torch.from_numpy(array.astype(each.dtype)) for array, each in zip(example, spec.inputs, strict=True)),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=dynamic,
        )


def _is_dynamic(spec: tensors.Model, dim: tensors.Size) -> bool:
    return dim == -1 or (spec.shared and isinstance(dim, str))


def _write_manifest(config: Config, out: Path) -> None:
    """Writes export.json, last: a folder without it is unfinished."""
    files = {spec.file: hashlib.sha256((out / f"{spec.file}.onnx").read_bytes()).hexdigest() for spec in tensors.STEPS}
    served = {"files": files, "model": dataclasses.asdict(config.model)}
    manifest = {
        "config": json.loads(config.to_json()),
        "digest": hashlib.sha256(json.dumps(served, sort_keys=True).encode()).hexdigest(),
        "files": files,
        "opset": OPSET,
        "size": config.model.frame_size,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "onnx")},
    }
    write_atomically(out / "export.json", (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
