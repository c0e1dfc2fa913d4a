"""Optical flow for surveillance: block matching on two scales, refined by a small pyramid of plain convolutions.

Legend: B pairs, H x W frame size, h x w = H/2 x W/2 (the resolution of the flow).
Plain operators only, so that the same net exports to ONNX, TensorRT and OpenVINO and is differentiable for L_m. Most of
the work is done at a quarter of the frames' resolution, and everything that moves memory is a convolution: a runtime
that has matrix units then spends its time on them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.1
FLOW_STRIDE = 2
"""Frame pixels a flow sample; H and W must be multiples of 16."""
REACH = 4
"""Samples of half the frames' resolution, in each direction, over which the frames are compared: 8 pixels."""
FINE_REACH = 2
"""Pixels, in each direction, over which they are compared at full resolution: people on foot move about one a frame."""
LUMA = (0.299, 0.587, 0.114)
UNLIKELY = 1e-6
"""Likelihood of all shifts together at which no match counts as a match without motion."""


def luma_of_signed(frames_B3HW: Tensor) -> Tensor:
    """Returns the brightness [B,1,H,W] in [-1, 1] of frames in [-1, 1]."""
    red, green, blue = (weight * frames_B3HW[:, channel : channel + 1] for channel, weight in enumerate(LUMA))
    return red + green + blue


class Matching(nn.Module):
    """Block matching: the cost of every shift within `reach` at every second point, and the expected shift."""

    differences: Tensor
    patch: Tensor
    moments: Tensor

    def __init__(self, reach: int, step: int) -> None:
        """Shifts are one sample apart, which is `step` frame pixels."""
        super().__init__()
        side = 2 * reach + 1
        self.reach, self.count = reach, side**2
        self.sharpness = nn.Parameter(torch.tensor(20.0))
        # One convolution takes the means of 2 x 2 samples of the second frame, shifted, from that of the first.
        mean = torch.full((2, 2), 0.25)
        differences = torch.zeros(side, side, 2, side + 1, side + 1)
        differences[:, :, 0, reach : reach + 2, reach : reach + 2] = -mean
        for row in range(side):
            for column in range(side):
                differences[row, column, 1, row : row + 2, column : column + 2] = mean
        self.register_buffer("differences", differences.flatten(0, 1), persistent=False)
        self.register_buffer("patch", torch.full((self.count, 1, 3, 3), 1 / 9), persistent=False)
        y, x = torch.meshgrid(*[torch.arange(-reach, reach + 1.0)] * 2, indexing="ij")
        moments = torch.stack((x * step, y * step, torch.ones_like(x))).view(3, self.count, 1, 1)
        self.register_buffer("moments", moments, persistent=False)

    def forward(self, pair_B2: Tensor) -> tuple[Tensor, Tensor]:
        """Returns, of 2h x 2w samples, the costs [B,shifts,h,w] and the expected shift [B,2,h,w] in frame pixels.

        A cost is the mean absolute difference of two patches of 6 x 6 samples. The expectation is over a softmax of the
        costs, which is spelt out: a softmax over channels costs runtimes two changes of layout.
        """
        padded = F.pad(pair_B2, (self.reach,) * 4, mode="replicate")
        difference = F.conv2d(padded, self.differences, stride=2).abs()
        cost = F.conv2d(difference, self.patch, padding=1, groups=self.count)
        moments = F.conv2d((-self.sharpness * cost).exp(), self.moments)
        return cost, moments[:, :2] / (moments[:, 2:] + UNLIKELY)


class FlowNet(nn.Module):
    """Estimates the displacement of every point of the first frame to the second, in pixels of the frames."""

    halve: Tensor
    luma_weights: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        w = width
        self.coarse = Matching(REACH, FLOW_STRIDE)
        self.fine = Matching(FINE_REACH, 1)
        coarse, fine = self.coarse.count + 2, self.fine.count + 2
        # The sum of convolutions is one of what they read side by side, without copies to lay it side by side.
        self.coarse_to_4 = nn.Conv2d(coarse, 2 * w, 1)
        self.fine_to_4 = nn.Conv2d(fine, 2 * w, 2, stride=2)
        self.pair_to_4 = nn.Conv2d(2, 2 * w, 4, stride=4)
        self.down_4 = _conv(2 * w, 2 * w)
        self.down_8 = nn.Sequential(_conv(2 * w, 3 * w, stride=2), _conv(3 * w, 3 * w))
        self.down_16 = nn.Sequential(_conv(3 * w, 4 * w, stride=2), _conv(4 * w, 4 * w))
        self.up_8, self.fuse_8 = nn.Conv2d(4 * w, 3 * w, 1), _conv(3 * w, 3 * w)
        self.up_4, self.fuse_4 = nn.Conv2d(3 * w, 2 * w, 1), _conv(2 * w, 2 * w)
        self.up_2 = nn.ConvTranspose2d(2 * w, w // 2, 2, stride=2)
        self.fine_to_2 = nn.Conv2d(fine, w // 2, 3, padding=1)
        self.pair_to_2 = nn.Conv2d(2, w // 2, 4, stride=2, padding=1)
        self.head = nn.Conv2d(w // 2, 4, 3, padding=1)
        # Means of 2 x 2 pixels of both frames, as a convolution, which keeps the layout.
        self.register_buffer("halve", torch.eye(2).view(2, 2, 1, 1).repeat(1, 1, 2, 2) / 4, persistent=False)
        self.register_buffer("luma_weights", torch.tensor(LUMA) / 127.5, persistent=False)

    def luma(self, frames_BHW3: Tensor) -> Tensor:
        """Returns the brightness [B,1,H,W] in [-1, 1] of uint8 frames, as `forward` takes it."""
        return (frames_BHW3.float() @ self.luma_weights).unsqueeze(1) - 1

    def forward(self, first_B1HW: Tensor, second_B1HW: Tensor) -> Tensor:
        """Returns the flow [B,2,h,w] of frames given as brightness in [-1, 1]; its channels are x (right), y (down)."""
        # One mean and contrast for the pair: dim and bright scenes look alike, a change of light between frames stays.
        mean = first_B1HW.mean(dim=(2, 3), keepdim=True)
        contrast = ((first_B1HW - mean) ** 2).mean(dim=(2, 3), keepdim=True).sqrt() + 0.02
        pair = (torch.cat((first_B1HW, second_B1HW), 1) - mean) / contrast
        far_cost, far = self.coarse(F.conv2d(pair, self.halve, stride=2))
        near_cost, near = self.fine(pair)
        coarse, fine = torch.cat((far_cost, far), 1), torch.cat((near_cost, near), 1)
        x4 = self.down_4(_leak(self.coarse_to_4(coarse) + self.fine_to_4(fine) + self.pair_to_4(pair)))
        x8 = self.down_8(x4)
        x16 = self.down_16(x8)
        y8 = self.fuse_8(_double(self.up_8(x16)) + x8)
        y4 = self.fuse_4(_double(self.up_4(y8)) + x4)
        y2 = _leak(self.up_2(y4) + self.fine_to_2(fine) + self.pair_to_2(pair))
        # The head gives a residual and the weight of each matching.
        head_B4hw = self.head(y2)
        weight = torch.sigmoid(head_B4hw[:, 2:])
        flow: Tensor = weight[:, :1] * _double(far) + weight[:, 1:] * near + head_B4hw[:, :2]
        return flow


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.LeakyReLU(LEAK, inplace=True))


def _leak(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
