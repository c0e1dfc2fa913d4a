"""Synthetic motion: pairs of frames with exact flow, made on the training device.

A pair is a layered scene as a surveillance camera sees it: a static textured background, a few textured objects that
move a little (translate, turn, grow, bend) and hide what is behind them, then a change of light, blur and noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

OBJECTS = 7
MAX_STEP = 9.0
"""Largest displacement of an object, pixels a frame."""
MAX_BEND = 0.6
"""Largest standard deviation, in pixels, of the motion of an object's parts relative to the object."""
BEND = 20
"""Pixels between the points of an object that bend independently."""


def textures(count: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Returns random grey textures in [0, 1], [count,1,size,size]: octaves of noise, half of them with hard edges."""
    total = torch.zeros(count, 1, size, size, device=device)
    side = 3
    roughness = torch.rand(count, 1, 1, 1, generator=generator, device=device) * 1.2 + 0.2
    while side < size:
        octave = torch.randn(count, 1, side, side, generator=generator, device=device)
        octave = F.interpolate(octave, size=(size, size), mode="bilinear", align_corners=False)
        total += octave * float(side) ** -roughness
        side *= 2
    steps = torch.randint(2, 6, (count, 1, 1, 1), generator=generator, device=device)
    hard = torch.rand(count, 1, 1, 1, generator=generator, device=device) < 0.5
    total = torch.where(hard, (total * steps).round() / steps + 0.15 * total, total)
    low, high = total.amin((2, 3), keepdim=True), total.amax((2, 3), keepdim=True)
    bounds = torch.rand(count, 2, 1, 1, generator=generator, device=device)
    level, contrast = bounds[:, :1] * 0.6, 0.15 + bounds[:, 1:] * 0.85
    return (level + contrast * (total - low) / (high - low + 1e-6)).clamp(0, 1)


def motion_pairs(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Returns grey first and second frames [count,1,size,size] in [-1, 1] and the flow [count,2,size,size] in pixels.

    The flow at a point of the first frame is that of the layer that is visible there.
    """
    device = generator.device
    grid = _pixel_grid(size, device)
    backdrop = textures(count, size, generator, device)
    shake = torch.randn(count, 1, 1, 2, generator=generator, device=device) * 0.4
    shake = (shake * (torch.rand(count, 1, 1, 1, generator=generator, device=device) < 0.15)).expand(-1, size, size, -1)
    first, second, flow = _sample(backdrop, grid + shake), backdrop, shake
    for _ in range(OBJECTS):
        centre = torch.rand(count, 1, 1, 2, generator=generator, device=device) * size
        move = _object_motion(grid - centre, generator)
        # Both frames are drawn between the texture's samples, so that neither is the sharper one.
        between = torch.rand(count, 1, 1, 2, generator=generator, device=device)
        mask = _blob(grid - centre, size, generator)
        layer = torch.cat((_another(backdrop, generator), mask), 1)
        for_second = _sample(layer, grid + between)
        for_first = _sample(layer, grid + between + move)
        first = torch.lerp(first, for_first[:, :1], for_first[:, 1:])
        second = torch.lerp(second, for_second[:, :1], for_second[:, 1:])
        flow = torch.where(for_first[:, 1, :, :, None] > 0.5, move, flow)
    first, second = _camera(first, second, generator)
    return first * 2 - 1, second * 2 - 1, flow.permute(0, 3, 1, 2)


def warp(frame_BcHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Samples the second frame of a pair where the flow leads, which gives the first frame."""
    return _sample(frame_BcHW, _pixel_grid(frame_BcHW.shape[-1], frame_BcHW.device) + flow_B2HW.permute(0, 2, 3, 1))


def _another(texture: Tensor, generator: torch.Generator) -> Tensor:
    """Returns textures for objects: those of other pairs, transposed, with a brightness and contrast of their own."""
    count, device = texture.shape[0], texture.device
    order = torch.randperm(count, generator=generator, device=device)
    light = torch.rand(count, 2, 1, 1, generator=generator, device=device)
    other = texture[order].transpose(2, 3)
    mean = other.mean((2, 3), keepdim=True)
    return (light[:, :1] + (other - mean) * (0.3 + 1.2 * light[:, 1:])).clamp(0, 1)


def _object_motion(offset: Tensor, generator: torch.Generator) -> Tensor:
    """Returns the displacement of each point of an object centred at the zero of `offset`, both [count,size,size,2].

    It is a translation, small for most objects, with a little turning, growing and bending; some objects stand still.
    """
    count, size, device = offset.shape[0], offset.shape[1], offset.device
    angle = torch.rand(count, generator=generator, device=device) * 2 * math.pi
    speed = torch.rand(count, generator=generator, device=device) ** 2.5 * MAX_STEP
    step = torch.stack((angle.cos() * speed, angle.sin() * speed), -1)[:, None, None, :]
    tilt = torch.randn(count, generator=generator, device=device) * 0.03
    scale = 1 + torch.randn(count, generator=generator, device=device) * 0.02
    cos, sin = tilt.cos() * scale, tilt.sin() * scale
    turn = torch.stack((torch.stack((cos - 1, -sin), -1), torch.stack((sin, cos - 1), -1)), -2)
    knots = torch.randn(count, 2, max(size // BEND, 2), max(size // BEND, 2), generator=generator, device=device)
    bend = F.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    bend = bend * torch.rand(count, 1, 1, 1, generator=generator, device=device) * MAX_BEND
    moves = torch.rand(count, 1, 1, 1, generator=generator, device=device) < 0.85
    return (step + offset @ turn.transpose(1, 2)[:, None] + bend) * moves


def _blob(offset: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Returns soft-edged irregular ellipses [count,1,size,size] around the zero of `offset` [count,size,size,2]."""
    count, device = offset.shape[0], offset.device
    shape = torch.rand(count, 5, generator=generator, device=device)
    radius = size * (0.015 + 0.2 * shape[:, 0] ** 2)[:, None, None]
    stretch = (0.5 + 1.5 * shape[:, 1])[:, None, None]
    angle = torch.atan2(offset[..., 1], offset[..., 0])
    waves = (shape[:, 2] * 5 + 1).floor()[:, None, None]
    wobble = 1 + 0.35 * shape[:, 3][:, None, None] * torch.cos(waves * angle + shape[:, 4][:, None, None] * 6.3)
    distance = ((offset[..., 0] * stretch) ** 2 + (offset[..., 1] / stretch) ** 2).sqrt() / wobble
    return (radius - distance + 0.5).clamp(0, 1)[:, None]


def _camera(first: Tensor, second: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Adds what a camera does: blur common to both frames, a small change of light, independent noise in each."""
    count, device = first.shape[0], first.device
    amount = torch.rand(count, 4, 1, 1, generator=generator, device=device)
    blur = (amount[:, :1] < 0.4).float() * amount[:, 1:2]
    first = first + blur * (F.avg_pool2d(first, 3, 1, 1, count_include_pad=False) - first)
    second = second + blur * (F.avg_pool2d(second, 3, 1, 1, count_include_pad=False) - second)
    light = torch.randn(count, 2, 1, 1, generator=generator, device=device)
    second = second * (1 + 0.02 * light[:, :1]) + 0.01 * light[:, 1:]
    sigma = 0.03 * amount[:, 2:3] ** 2
    noise = torch.randn(2, *first.shape, generator=generator, device=device)
    return (first + sigma * noise[0]).clamp(0, 1), (second + sigma * noise[1]).clamp(0, 1)


def _pixel_grid(size: int, device: torch.device) -> Tensor:
    axis = torch.arange(size, dtype=torch.float32, device=device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack((x, y), -1)[None]


def _sample(image: Tensor, points: Tensor) -> Tensor:
    """Returns bilinear samples of [count,c,size,size] at pixel positions [count,size,size,2]; the edge is repeated."""
    size = image.shape[-1]
    points = points.expand(image.shape[0], -1, -1, -1)
    return F.grid_sample(image, points * (2 / (size - 1)) - 1, padding_mode="border", align_corners=True)
