"""STM-AE: from four frames and the flow between them to the next frame.

Legend: B clips, T frames, S frame size, h = w = S/2 (flow), h' = w' = S/8 (features), C channels of a stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stmae.model.decoder import Decoder
from stmae.model.encoder import Encoder
from stmae.model.memory import MemoryPool

FLOW_UNIT = 32.0
"""Flow is fed to the motion encoder in units of 1/32 of the frame, so that frame sizes look alike."""


class STMAE(nn.Module):
    """Receives its parts already built (see build.py); holds no training code and knows nothing of ONNX."""

    def __init__(
        self,
        *,
        size: int,
        flow_net: nn.Module,
        appearance_encoder: Encoder,
        motion_encoder: Encoder,
        appearance_memory: MemoryPool,
        motion_memory: MemoryPool,
        decoder: Decoder,
    ) -> None:
        super().__init__()
        self.size = size
        self.flow_net = flow_net
        self.appearance_encoder = appearance_encoder
        self.motion_encoder = motion_encoder
        self.appearance_memory = appearance_memory
        self.motion_memory = motion_memory
        self.decoder = decoder

    def normalise_flow(self, flow: Tensor) -> Tensor:
        """Flow in pixels of the frames -> what the motion encoder sees."""
        return flow * (FLOW_UNIT / self.size)

    def features(self, clip_B12SS: Tensor, flows_B6hw: Tensor) -> tuple[Tensor, Tensor]:
        """z_a and z_m [B,C,h',w'] of clips in [-1, 1] and their normalised flows."""
        return self.appearance_encoder(clip_B12SS), self.motion_encoder(flows_B6hw)

    def remember(self, z_a: Tensor, z_m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F = concat(z_a, z_hat_a, z_m, z_hat_m) [B,4C,h',w'] and both streams' squared distances [B*h'*w',2]."""
        read_a, distances_a = self.appearance_memory(z_a)
        read_m, distances_m = self.motion_memory(z_m)
        return torch.cat((z_a, read_a, z_m, read_m), 1), distances_a, distances_m

    def encode(self, clip_B12SS: Tensor, flows_B6hw: Tensor) -> tuple[Tensor, Tensor]:
        """Features F and, per clip, the mean squared distance to the nearest item: appearance, motion [B,2]."""
        z_a, z_m = self.features(clip_B12SS, flows_B6hw)
        features, distances_a, distances_m = self.remember(z_a, z_m)
        nearest = torch.stack((distances_a[:, 0], distances_m[:, 0]), 1)
        return features, nearest.view(-1, z_a.shape[2] * z_a.shape[3], 2).mean(1)

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


def windows(frames_T: Tensor, length: int, count: int) -> Tensor:
    """Sliding windows merged into channels: [T,c,...] -> [count,length*c,...]; window i starts at element i."""
    return torch.cat([frames_T[offset : offset + count] for offset in range(length)], 1)
