"""The served graphs: wrappers around a trained STM-AE, written as four ONNX models.

Legend: T frames of a segment, N = T - 4 predicted frames, S size of FRAMES, s what the auto-encoders see, h x w flow,
h' x w' features.
Windows are cut inside the graphs by slicing, so that the work per frame is one flow, one encode and one decode.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import importlib.metadata
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stmae.config import Config
from stmae.model.stmae import STMAE, moved_tiles, normalise_flow, shrink, to_unit, windows
from stmae.scoring.raw import CLIP_FRAMES, MIN_MSE, TILES
from stmae.serving import tensors
from stmae.serving.tensors import MIN_SEGMENT
from stmae.storage.atomic import write_atomically

Images = npt.NDArray[np.uint8]

FILES = ("flow", "encode", "decode", "psnr")
OPSET = 17
EXAMPLE_FRAMES = 6
EXAMPLE_SIZE = 64
"""Frame size at which the shared graphs are traced: the same bytes, whatever deployment exports them."""


def _signed(frames_TSS3: Tensor) -> Tensor:
    """`model.stmae.to_signed`, without the negative axes that the tracing exporter gets wrong: [T,3,S,S] in [-1, 1]."""
    return frames_TSS3.permute(0, 3, 1, 2).float() / 127.5 - 1


class Flow(nn.Module):
    def __init__(self, flow_net: nn.Module) -> None:
        super().__init__()
        self.flow_net = flow_net

    def forward(self, frames_TSS3: Tensor) -> Tensor:
        """Flow from each frame to the next, [T-1,2,h,w]."""
        frames_T3SS = _signed(frames_TSS3)
        flow: Tensor = self.flow_net(frames_T3SS[:-1], frames_T3SS[1:])
        return flow


class Encode(nn.Module):
    def __init__(self, model: STMAE, scene: int) -> None:
        super().__init__()
        self.model, self.scene = model, scene

    def forward(self, frames_TSS3: Tensor, flow_T2hw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features [N,4C,h',w'], memory distances [N,2], place and look tiles [N,16,16], flow tiles [N,2,16,16].

        The last flow leads to the target: it is measured, and not seen by the encoders.
        """
        model, count = self.model, frames_TSS3.shape[0] - CLIP_FRAMES
        frames_T3SS = _signed(frames_TSS3)
        clips = windows(shrink(frames_T3SS, model.flow_scale), CLIP_FRAMES, count)
        flows = normalise_flow(flow_T2hw, model.size, model.flow_scale)
        seen = model.encode(clips, windows(flows, CLIP_FRAMES - 1, count), self.scene)
        last = flow_T2hw[CLIP_FRAMES - 1 :]
        looks = model.feature_bank(frames_T3SS[CLIP_FRAMES:], last, self.scene)
        return *seen, looks, moved_tiles(last, model.flow_side)


class Decode(nn.Module):
    def __init__(self, model: STMAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        """Predicted frames [N,3,s,s] in [-1, 1]."""
        return self.model.decode(features)


class Psnr(nn.Module):
    """`score.psnr` and `score.error_tiles` as a graph."""

    def forward(self, frames_TSS3: Tensor, prediction_N3ss: Tensor) -> tuple[Tensor, Tensor]:
        """PSNR [N] in dB and error tiles [N,16,16]."""
        # `shrink`, by whatever each deployment's frames are larger: all share this graph.
        count, channels, height, width = prediction_N3ss.shape
        target = _signed(frames_TSS3[CLIP_FRAMES:])
        rows = target.reshape(count, channels, height, -1, target.shape[3]).mean(3)
        seen = rows.reshape(count, channels, height, width, -1).mean(4)
        error_Nss = ((to_unit(prediction_N3ss) - to_unit(seen)) ** 2).mean(1)
        rows = error_Nss.reshape(error_Nss.shape[0], TILES, -1, error_Nss.shape[2]).mean(2)
        means = rows.reshape(rows.shape[0], TILES, TILES, -1).mean(3)
        return -10 * torch.log10(error_Nss.mean((1, 2)).clamp_min(MIN_MSE)), means


def export(config: Config, model: STMAE, out: Path, golden: Images, scene: int = 0) -> None:
    """Write `{flow,encode,decode,psnr}.onnx`, `golden.npz` and, last, `export.json` to the folder `out`.

    `golden` is a segment uint8 [T,S,S,3], T >= 5, of real footage; golden.npz holds it as FRAMES with every tensor
    as torch computes it. `scene` is the one whose memory, places and looks are served.
    Raises ValueError for a golden segment of another shape.
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
    truth = reference(model, golden, scene)
    np.savez_compressed(out / "golden.npz", **truth)  # type: ignore[arg-type]
    small = np.zeros((EXAMPLE_FRAMES, EXAMPLE_SIZE, EXAMPLE_SIZE, 3), np.uint8)
    scored = EXAMPLE_FRAMES - CLIP_FRAMES
    examples = {
        "flow": (small,),
        "encode": (truth["FRAMES"][:MIN_SEGMENT], truth["FLOW"][: MIN_SEGMENT - 1]),
        "decode": (truth["FEATURES"][:1],),
        "psnr": (small, np.zeros((scored, 3, EXAMPLE_SIZE, EXAMPLE_SIZE), np.float32)),
    }
    for (name, graph), spec in zip(_graphs(model, scene).items(), tensors.STEPS, strict=True):
        _write(graph, spec, examples[name], out / f"{name}.onnx")
    _write_manifest(config, out)


@torch.no_grad()
def reference(model: STMAE, frames: Images, scene: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Every served tensor by its name, FRAMES included, as torch computes it for a segment uint8 [T,S,S,3]."""
    values = {tensors.FRAMES.name: torch.from_numpy(frames)}
    for graph, spec in zip(_graphs(model, scene).values(), tensors.STEPS, strict=True):
        results = graph(*(values[tensor.name] for tensor in spec.inputs))
        results = results if isinstance(results, tuple) else (results,)
        values |= zip((tensor.name for tensor in spec.outputs), results, strict=True)
    return {name: value.numpy() for name, value in values.items()}


def _graphs(model: STMAE, scene: int) -> dict[str, nn.Module]:
    """The four steps in the order of `tensors.STEPS`."""
    return {"flow": Flow(model.flow_net), "encode": Encode(model, scene), "decode": Decode(model), "psnr": Psnr()}


def _write(graph: nn.Module, spec: tensors.Model, example: tuple[npt.NDArray[Any], ...], path: Path) -> None:
    inputs, outputs = ([tensor.name for tensor in side] for side in (spec.inputs, spec.outputs))
    varying = {
        tensor.name: {axis: f"{tensor.name}_{axis}" for axis, dim in enumerate(tensor.dims) if _varies(spec, dim)}
        for tensor in (*spec.inputs, *spec.outputs)
    }
    with warnings.catch_warnings():
        # The tracing exporter is deprecated; it is twenty times faster, and its bytes depend on the graph alone,
        # which the shared models need. The parity gate checks what it writes.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding")
        torch.onnx.export(
            graph.eval(),
            tuple(torch.from_numpy(array) for array in example),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=varying,
        )


def _varies(spec: tensors.Model, dim: tensors.Size) -> bool:
    return dim == -1 or (spec.shared and isinstance(dim, str))


def _write_manifest(config: Config, out: Path) -> None:
    """export.json, written last: a folder without it is unfinished."""
    files = {name: hashlib.sha256((out / f"{name}.onnx").read_bytes()).hexdigest() for name in FILES}
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
