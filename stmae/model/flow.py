"""Optical flow for surveillance: block matching on two scales, refined by a small U-Net of plain convolutions.

Legend: B pairs, H x W frame size, h x w = H/2 x W/2 (the resolution of the flow).
Plain operators only, so that the same net exports to ONNX, TensorRT and OpenVINO and is differentiable for L_m.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.1
FLOW_STRIDE = 2
"""Frame pixels a flow sample; H and W must be multiples of 16."""
REACH = 4
"""Flow samples, in each direction, over which the frames are compared at half resolution: 8 pixels."""
FINE_REACH = 2
"""Pixels, in each direction, over which they are compared at full resolution: people on foot move about one a frame."""


class Matching(nn.Module):
    """Block matching: the cost of every shift within `reach` at every point, and the expected shift."""

    shifts: Tensor
    patch: Tensor
    displacements: Tensor

    def __init__(self, reach: int, step: int, patch: int, stride: int) -> None:
        """Shifts are `step` frame pixels apart; patches are `patch` x `patch` samples, one every `stride`."""
        super().__init__()
        side = 2 * reach + 1
        self.reach, self.count, self.stride = reach, side**2, stride
        self.padding = (patch - stride + 1) // 2
        self.sharpness = nn.Parameter(torch.tensor(20.0))
        # A convolution with one-hot kernels is a stack of shifted copies, in an operator every runtime has.
        one_hot = torch.eye(self.count).view(self.count, 1, side, side)
        self.register_buffer("shifts", one_hot, persistent=False)
        # As a depthwise convolution, a mean over patches is far faster than as average pooling.
        self.register_buffer("patch", torch.full((self.count, 1, patch, patch), patch**-2.0), persistent=False)
        y, x = torch.meshgrid(*[torch.arange(-reach, reach + 1.0)] * 2, indexing="ij")
        displacements = torch.stack((x, y)).view(2, self.count, 1, 1) * step
        self.register_buffer("displacements", displacements, persistent=False)

    def forward(self, pair_B2: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the cost of each shift [B,shifts,h,w] and the expected shift [B,2,h,w] in frame pixels.

        A cost is the mean absolute difference of two patches. The expectation is over a softmax of the costs.
        """
        moved = F.conv2d(F.pad(pair_B2[:, 1:], (self.reach,) * 4, mode="replicate"), self.shifts)
        difference = (pair_B2[:, :1] - moved).abs()
        cost = F.conv2d(difference, self.patch, stride=self.stride, padding=self.padding, groups=self.count)
        # A softmax over the shifts, spelt out: onnxruntime is several times slower at its own over channels.
        likelihood = (self.sharpness * (cost.amin(1, keepdim=True) - cost)).exp()
        return cost, F.conv2d(likelihood / likelihood.sum(1, keepdim=True), self.displacements)


class FlowNet(nn.Module):
    """Estimates the displacement of every point of the first frame to the second, in pixels of the frames."""

    luma: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        w = width
        self.coarse = Matching(REACH, FLOW_STRIDE, patch=5, stride=1)
        self.fine = Matching(FINE_REACH, 1, patch=6, stride=FLOW_STRIDE)
        costs = self.coarse.count + self.fine.count
        self.match = nn.Sequential(nn.Conv2d(costs, w, 1), nn.LeakyReLU(LEAK, inplace=True))
        self.down_2 = _conv(w + 4 + 2 * FLOW_STRIDE**2, w)
        self.down_4 = nn.Sequential(_conv(w, 3 * w // 2, stride=2), _conv(3 * w // 2, 2 * w))
        self.down_8 = nn.Sequential(_conv(2 * w, 3 * w, stride=2), _conv(3 * w, 3 * w))
        self.down_16 = nn.Sequential(_conv(3 * w, 4 * w, stride=2), _conv(4 * w, 4 * w))
        self.up_8 = _conv(7 * w, 3 * w)
        self.up_4 = _conv(5 * w, 2 * w)
        self.up_2 = _conv(3 * w, w)
        self.head = nn.Conv2d(w, 4, 3, padding=1)
        self.register_buffer("luma", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1), persistent=False)

    def forward(self, first_B3HW: Tensor, second_B3HW: Tensor) -> Tensor:
        """Returns the flow [B,2,h,w] between frames in [-1, 1]; its channels are x (right) and y (down)."""
        first = (first_B3HW * self.luma).sum(1, keepdim=True)
        second = (second_B3HW * self.luma).sum(1, keepdim=True)
        # One mean and contrast for the pair: dim and bright scenes look alike, a change of light between frames stays.
        mean = first.mean(dim=(2, 3), keepdim=True)
        contrast = ((first - mean) ** 2).mean(dim=(2, 3), keepdim=True).sqrt() + 0.02
        pair = (torch.cat((first, second), 1) - mean) / contrast
        far_cost, far = self.coarse(F.avg_pool2d(pair, FLOW_STRIDE))
        near_cost, near = self.fine(pair)
        match = self.match(torch.cat((far_cost, near_cost), 1))
        x2 = self.down_2(torch.cat((match, far, near, F.pixel_unshuffle(pair, FLOW_STRIDE)), 1))
        x4 = self.down_4(x2)
        x8 = self.down_8(x4)
        x16 = self.down_16(x8)
        y8 = self.up_8(torch.cat((_double(x16), x8), 1))
        y4 = self.up_4(torch.cat((_double(y8), x4), 1))
        y2 = self.up_2(torch.cat((_double(y4), x2), 1))
        # The head gives a residual and the weight of each matching.
        head_B4hw = self.head(y2)
        weight = torch.sigmoid(head_B4hw[:, 2:])
        flow: Tensor = weight[:, :1] * far + weight[:, 1:] * near + head_B4hw[:, :2]
        return flow


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.LeakyReLU(LEAK, inplace=True))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
