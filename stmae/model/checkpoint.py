"""Checkpoints: safetensors files, written aside and renamed; a training checkpoint gives the identical next step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stmae.storage.atomic import atomic_path

METADATA = "stmae"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file, the field and the mend."""


def save_modules(path: Path, modules: Mapping[str, nn.Module], metadata: Mapping[str, str]) -> None:
    """Writes the weights of `modules` under their names, atomically. Raises CheckpointError if that fails."""
    _write(path, _module_tensors(modules), dict(metadata))


def load_modules(path: Path, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Reads weights into `modules` and returns the metadata. Raises CheckpointError if file and modules disagree."""
    tensors, metadata = _read(path)
    _restore_modules(path, tensors, modules)
    return metadata


def weights_digest(folder: Path) -> str:
    """Returns the SHA-256 (hex) of the weights that a stage of training wrote into its folder."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def save_training(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    step: int,
    digest: str,
) -> None:
    """Writes weights and optimizer states after `step` steps of the run whose settings have `digest`."""
    tensors = _module_tensors(modules)
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{key}": value.contiguous() for key, value in state.items()}
    _write(path, tensors, {"step": str(step), "digest": digest})


def load_training(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    digest: str,
) -> int:
    """Restores what `save_training` wrote and returns the number of steps done.

    Raises CheckpointError if the checkpoint belongs to other settings.
    """
    tensors, metadata = _read(path)
    if metadata.get("digest") != digest:
        raise CheckpointError(
            f"{path}: digest: written by a run with other settings or data; remove it or use another folder"
        )
    _restore_modules(path, tensors, modules)
    for name, optimizer in optimizers.items():
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        prefix = f"optimizer.{name}."
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, field = key.removeprefix(prefix).split(".")
                state.setdefault(int(index), {})[field] = _laid_out_as(parameters[int(index)], value)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["step"])


def _module_tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _restore_modules(path: Path, tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module]) -> None:
    for name, module in modules.items():
        prefix = f"{name}."
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(f"{path}: {name}: does not fit the configuration: {error}") from None


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Returns a tensor in the memory layout of a parameter of its shape, which fused optimizers ask for."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, device=value.device).copy_(value)


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    try:
        with atomic_path(path, shared=True) as aside:
            # One entry: safetensors writes several in random order, and equal weights should be equal bytes.
            save_file(tensors, aside, metadata={METADATA: json.dumps(metadata, sort_keys=True)})
    except SafetensorError as error:  # safetensors hides the OSError of a full disk in it
        raise CheckpointError(f"{path}: cannot be written ({error}); free some space and run again") from None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(
                (file.metadata() or {}).get(METADATA, "{}")
            )
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; run the step that writes it") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error}); remove it and train again") from None
