"""Data-parallel training: the processes that torchrun starts share each batch, and each has the same model.

What a step computes is what one process would compute of the whole batch, within rounding: batch normalisation takes
the statistics of all shares, gradients are averaged, and all processes write all features to the memory pools. A
process alone calls none of the collectives.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = datetime.timedelta(hours=2)
"""How long a process waits for the others, which may extract flow or validate meanwhile."""


@contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that torchrun started, each with a GPU of its own if there are GPUs; alone, does nothing.

    Raises ValueError where there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if gpus:
        if local >= gpus:
            raise ValueError(f"torchrun: more processes than the {gpus} GPUs here; set --nproc-per-node={gpus}")
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if gpus else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def size() -> int:
    """Returns the number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process, from 0 on. The first one validates, logs and writes for all."""
    return dist.get_rank() if dist.is_initialized() else 0


def wait() -> None:
    """Returns when all processes have come here."""
    if size() > 1:
        dist.barrier()


def part(count: int, key: str) -> int:
    """Returns how many of `count` windows each process takes. Raises ValueError where they cannot be shared equally."""
    if count % size():
        raise ValueError(f"{key}: {count} windows cannot be shared equally by {size()} processes; set a multiple")
    return count // size()


def share(values_B: Tensor) -> Tensor:
    """Returns this process's share of what belongs to the windows of a whole batch: every so many of them."""
    part(len(values_B), "train.batch")
    return values_B[rank() :: size()]


def gathered(values_B: Tensor) -> Tensor:
    """Returns the shares of all processes in the order of the whole batch."""
    if size() == 1:
        return values_B
    shares = [torch.empty_like(values_B, memory_format=torch.contiguous_format) for _ in range(size())]
    dist.all_gather(shares, values_B.contiguous())
    return torch.stack(shares, 1).flatten(0, 1)


def average(tensors: Iterable[Tensor]) -> None:
    """Replaces tensors by their means over all processes."""
    if size() == 1:
        return
    each = list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in each])
    dist.all_reduce(flat)
    flat /= size()
    for tensor, mean in zip(each, torch.split(flat, [tensor.numel() for tensor in each]), strict=True):
        tensor.copy_(mean.view(tensor.shape))


def share_statistics(module: nn.Module) -> None:
    """Makes the batch normalisation of a module that of the whole batch. Call it before optimizers are built."""
    if size() == 1:
        return
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _SharedBatchNorm.of(child))


class _SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all shares; torch's own SyncBatchNorm needs a GPU.

    Without gradients nothing is trained, and no batch is shared.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> _SharedBatchNorm:
        shared = cls(norm.num_features, device=norm.weight.device)
        shared.load_state_dict(norm.state_dict())
        return shared

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(x)
        wide = x.float()
        count = x.numel() // x.shape[1] * size()
        mean = _sum(wide.sum((0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _sum((centred**2).sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Updates the running statistics."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def _sum(values: Tensor) -> Tensor:
    """Returns the sum over all processes, through which gradients flow back to all of them."""
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
