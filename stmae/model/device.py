"""The device that computes, and the precision it computes in."""

from __future__ import annotations

import torch

from stmae.config import Config


def training_device() -> torch.device:
    """Returns the first GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """bf16 where the configuration asks for it and the hardware computes in it, else fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.train.bf16 and _has_bf16(device))


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32: other CPUs emulate it, at a fraction of the speed."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
