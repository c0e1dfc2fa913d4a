"""The device of a computation and its precision."""

from __future__ import annotations

import torch

from stmae.config import Config


def training_device() -> torch.device:
    """Returns the first GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """Returns an autocast to bf16, disabled unless the configuration asks for it and the hardware supports it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.train.bf16 and has_bf16(device))


def has_bf16(device: torch.device) -> bool:
    """Returns whether the hardware computes in bf16; CPUs that emulate it reach a fraction of the speed of fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
