"""STM-AE: from four frames and the flow between them to the next frame.

Legend: B clips, T frames, S size of what the auto-encoders see, h = w = S/2 (flow), h' = w' = S/8 (features),
C channels of a stream. FRAMES, and the flow on them, are `flow_scale` times as large; `shrink` and `normalise_flow`
bring them to S.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stmae.model.decoder import Decoder
from stmae.model.encoder import FEATURE_STRIDE, Encoder
from stmae.model.features import FeatureBank
from stmae.model.flow import FLOW_STRIDE
from stmae.model.location import LocationGaussian
from stmae.model.memory import Memory
from stmae.scoring.raw import TILES
from stmae.scoring.usual import FINEST

FLOW_UNIT = 32.0
"""Flow is fed to the motion encoder in units of 1/32 of the frame, so that frame sizes look alike."""

FAINT = 0.02
"""Pixels of mean speed below which a tile's motion fades."""


class STMAE(nn.Module):
    """Receives its parts already built (see build.py); holds no training code and knows nothing of ONNX."""

    def __init__(
        self,
        *,
        size: int,
        flow_scale: int,
        used: tuple[str, ...],
        remembered: tuple[str, ...],
        flow_net: nn.Module,
        appearance_encoder: Encoder,
        motion_encoder: Encoder,
        appearance_memory: Memory,
        motion_memory: Memory,
        places: LocationGaussian,
        looks: FeatureBank,
        decoder: Decoder,
    ) -> None:
        super().__init__()
        self.size, self.flow_scale = size, flow_scale
        self.place_side, self.flow_side = size // FEATURE_STRIDE, size * flow_scale // FLOW_STRIDE
        self.used, self.remembered = used, remembered
        self.flow_net = flow_net
        self.appearance_encoder = appearance_encoder
        self.motion_encoder = motion_encoder
        self.appearance_memory = appearance_memory
        self.motion_memory = motion_memory
        self.locations = places
        self.feature_bank = looks
        self.decoder = decoder

    def flow_between(self, first_B3SS: Tensor, second_B3SS: Tensor) -> Tensor:
        """Normalised flow [B,2,h,w] of frames in [-1, 1] at the auto-encoders' size, as L_m compares it."""
        return normalise_flow(self.flow_net(first_B3SS, second_B3SS), self.size, 1)

    def features(self, clip_B12SS: Tensor, flows_B6hw: Tensor) -> tuple[Tensor, Tensor]:
        """z_a and z_m [B,C,h',w'] of clips in [-1, 1] and their normalised flows."""
        return self.appearance_encoder(clip_B12SS), self.motion_encoder(flows_B6hw)

    def remember(self, z_a: Tensor, z_m: Tensor, scenes_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F = concat(z_a, z_hat_a, z_m, z_hat_m) [B,4C,h',w'] and both streams' squared distances [B*h'*w',2].

        `scenes_B` says with which scene's memory each clip is compared.
        """
        read_a, distances_a = self.appearance_memory(z_a, scenes_B)
        read_m, distances_m = self.motion_memory(z_m, scenes_B)
        return self._joined(z_a, read_a, z_m, read_m), distances_a, distances_m

    def encode(self, clip_B12SS: Tensor, flows_B6hw: Tensor, scene: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """For clips of one scene: features F; the mean squared distance to the nearest item, appearance and motion
        [B,2]; and the distance of each tile from what is usual there [B,16,16].
        """
        z_a, detail = self.appearance_encoder.with_detail(clip_B12SS)
        z_m = self.motion_encoder(flows_B6hw)
        read_a, distances_a = self.appearance_memory.recall(z_a, scene)
        read_m, distances_m = self.motion_memory.recall(z_m, scene)
        nearest = torch.stack((distances_a[:, 0], distances_m[:, 0]), 1)
        distances = nearest.view(-1, z_a.shape[2] * z_a.shape[3], 2).mean(1)
        places = tiles(self.locations(detail, scene), self.place_side).squeeze(1)
        return self._joined(z_a, read_a, z_m, read_m), distances, places

    def _joined(self, z_a: Tensor, read_a: Tensor, z_m: Tensor, read_m: Tensor) -> Tensor:
        """F, without the streams and memories that an ablation leaves out."""
        parts = {"appearance": (z_a, read_a), "motion": (z_m, read_m)}
        chosen = [part for stream in self.used for part in parts[stream][: 1 + (stream in self.remembered)]]
        return torch.cat(chosen, 1)

    def decode(self, features_B4Chw: Tensor) -> Tensor:
        """Predicted frame [B,3,S,S] in [-1, 1]."""
        prediction: Tensor = self.decoder(features_B4Chw)
        return prediction


def to_signed(frames_uint8: Tensor) -> Tensor:
    """uint8 [...,S,S,3] -> float in [-1, 1], [...,3,S,S]."""
    return frames_uint8.movedim(-1, -3).float() / 127.5 - 1


def to_unit(frames: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], the range in which errors are measured."""
    return (frames + 1) / 2


def shrink(frames_BcHW: Tensor, scale: int) -> Tensor:
    """FRAMES, or the flow on them, at the auto-encoders' resolution: the mean of `scale` x `scale` pixels."""
    return frames_BcHW if scale == 1 else F.avg_pool2d(frames_BcHW, scale)


def normalise_flow(flow_B2HW: Tensor, size: int, scale: int) -> Tensor:
    """Flow in pixels of FRAMES, `scale` x `size` wide -> what the motion encoder sees, [B,2,size/2,size/2]."""
    return shrink(flow_B2HW, scale) * (FLOW_UNIT / (size * scale))


def tiles(maps_BcHW: Tensor, side: int) -> Tensor:
    """Means over TILES x TILES tiles, [B,c,16,16]; of smaller maps, or where tiles don't fit, values between theirs.

    `side` is the maps' height and width: given, because a graph that is traced does not know it as a number.
    """
    if side % TILES == 0:
        return F.avg_pool2d(maps_BcHW, side // TILES)
    return F.interpolate(maps_BcHW, size=(TILES, TILES), mode="bilinear", align_corners=False)


def moved_tiles(flow_B2hw: Tensor, side: int) -> Tensor:
    """How what moves in each tile moves, [B,2,16,16]: the mean flow, each point weighted by its own speed.

    A plain mean would be the speed times the share of the tile that moves: a walker who half covers a tile would be
    half as fast. FAINT, in pixels, is added to the mean speed that is divided by, so that a tile with nothing but
    noise, or a speck, stands still.

    Pixels are those of FRAMES, of which `flow` has half as many a side; of FINEST a side where FRAMES have more.
    """
    flow_B2hw = flow_B2hw * min(1.0, FINEST / (FLOW_STRIDE * side))
    speed = (flow_B2hw * flow_B2hw).sum(1, keepdim=True).sqrt()
    return tiles(flow_B2hw * speed, side) / (tiles(speed, side) + FAINT)


def windows(frames_T: Tensor, length: int, count: int) -> Tensor:
    """Sliding windows merged into channels: [T,c,...] -> [count,length*c,...]; window i starts at element i."""
    return torch.cat([frames_T[offset : offset + count] for offset in range(length)], 1)
