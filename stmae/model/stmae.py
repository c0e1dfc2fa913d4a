"""STM-AE: predicts the next frame of a camera from four frames and the optical flow between them.

`STMAE.forward` is the only place where inference is composed. Its stages `flow`, `encode`, `decode` and
`prediction_error` are the four served graphs (see stmae/export/graphs.py), and evaluation calls `forward` itself.

Legend: T frames of a segment, N = T - 4 predicted frames, B clips, C channels of a stream's features; S x S size of
FRAMES, s x s what the auto-encoders see, S = flow_scale * s; h = w = S/2 flow samples a side; h' = w' = s/8 feature
positions a side. uint8 frames are [..,S,S,3], float frames in [-1, 1] are [..,3,S,S].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stmae.model.decoder import Decoder
from stmae.model.encoder import FEATURE_STRIDE, Encoder
from stmae.model.features import FeatureBank
from stmae.model.flow import FLOW_STRIDE, FlowNet, luma_of_signed
from stmae.model.location import LocationGaussian
from stmae.model.memory import Memory
from stmae.scoring.raw import CLIP_FRAMES, MOTION_FRAME_SIZE, STILL_SPEED, TILES

FLOW_UNIT = 32.0
"""The motion encoder sees flow in units of 1/32 of the frame's width, so that it does not depend on the frame size."""
SPEED_FLOOR = 0.02
"""Pixels a frame, added to a tile's mean speed before it divides: the motion of a tile with less fades to 0."""
MOVING_SPEED = STILL_SPEED / 2
"""Pixels a frame: in frames of which no tile is faster, appearance is not measured. It is so far below STILL_SPEED that
neither a runtime's rounding of the flow nor a lower threshold of the score would miss a tile that counts."""
MIN_MSE = 1e-10
"""Floor of the mean squared error: the PSNR of a perfect prediction is 100 dB, not infinity."""


class Encoding(NamedTuple):
    """The outputs of the encode stage for N predicted frames."""

    features: Tensor
    """[N,4C,h',w'] features of both streams, each beside what its memory reads for it, all unit vectors."""
    memory_distance: Tensor
    """[N,2] mean squared distance to the nearest memory item: appearance, motion."""
    location_tiles: Tensor
    """[N,16,16] squared deviation of early appearance features from their location's mean, in its variances."""
    feature_tiles: Tensor
    """[N,16,16] squared distance, 0 to 2, of each tile's descriptor to its nearest neighbour in the bank; 0 throughout
    frames in which nothing moves."""
    flow_tiles: Tensor
    """[N,2,16,16] speed-weighted mean flow from the frame before, x and y, in pixels."""


class RawScoreTensors(NamedTuple):
    """What the model measures of N predicted frames: the ensemble's outputs, the fields of `scoring.raw.RawScores`."""

    psnr: Tensor
    """[N] dB, of the predicted against the true frame."""
    memory_distance: Tensor
    error_tiles: Tensor
    """[N,16,16] mean squared error, pixels in [0, 1]."""
    location_tiles: Tensor
    feature_tiles: Tensor
    flow_tiles: Tensor


class STMAE(nn.Module):
    """The model of one deployment. It receives its parts already built (see build.py)."""

    def __init__(
        self,
        *,
        size: int,
        flow_scale: int,
        streams: tuple[str, ...],
        memory_streams: tuple[str, ...],
        flow_net: FlowNet,
        appearance_encoder: Encoder,
        motion_encoder: Encoder,
        appearance_memory: Memory,
        motion_memory: Memory,
        location_gaussian: LocationGaussian,
        feature_bank: FeatureBank,
        decoder: Decoder,
    ) -> None:
        super().__init__()
        self.size, self.flow_scale = size, flow_scale
        # Sides of maps as plain numbers: a graph that is traced does not know them from its tensors.
        self.feature_side, self.flow_side = size // FEATURE_STRIDE, size * flow_scale // FLOW_STRIDE
        self.streams, self.memory_streams = streams, memory_streams
        self.flow_net = flow_net
        self.appearance_encoder = appearance_encoder
        self.motion_encoder = motion_encoder
        self.appearance_memory = appearance_memory
        self.motion_memory = motion_memory
        self.location_gaussian = location_gaussian
        self.feature_bank = feature_bank
        self.decoder = decoder

    def forward(self, frames_TSS3: Tensor, flow_T2hw: Tensor, scene: int = 0) -> RawScoreTensors:
        """Returns the raw scores of frames 4..T-1 of a segment.

        `frames_TSS3` are uint8 RGB, `flow_T2hw` the T-1 flows from each frame to the next (see `flow`), `scene` the
        camera whose memory, location statistics and feature bank the frames are compared with.
        """
        encoding = self.encode(frames_TSS3, flow_T2hw, scene)
        psnr, error_tiles = self.prediction_error(frames_TSS3, self.decode(encoding.features))
        return RawScoreTensors(
            psnr=psnr,
            memory_distance=encoding.memory_distance,
            error_tiles=error_tiles,
            location_tiles=encoding.location_tiles,
            feature_tiles=encoding.feature_tiles,
            flow_tiles=encoding.flow_tiles,
        )

    def flow(self, frames_TSS3: Tensor) -> Tensor:
        """Returns the flow [T-1,2,h,w] from each uint8 frame to the next, in pixels of the frames."""
        luma_T1SS = self.flow_net.luma(frames_TSS3)
        flow_T2hw: Tensor = self.flow_net(luma_T1SS[:-1], luma_T1SS[1:])
        return flow_T2hw

    def encode(self, frames_TSS3: Tensor, flow_T2hw: Tensor, scene: int = 0) -> Encoding:
        """Returns what is known of each predicted frame before it is predicted.

        The last flow leads to the predicted frame: the tile maps measure it, the encoders never see it.
        """
        count = frames_TSS3.shape[0] - CLIP_FRAMES
        frames_T3SS = to_signed(frames_TSS3)
        clips_N12ss = windows(shrink(frames_T3SS, self.flow_scale), CLIP_FRAMES, count)
        flows_N6 = windows(normalise_flow(flow_T2hw, self.size, self.flow_scale), CLIP_FRAMES - 1, count)
        z_a, early = self.appearance_encoder.with_early(clips_N12ss)
        z_m = self.motion_encoder(flows_N6)
        read_a, distances_a = self.appearance_memory.recall(z_a, scene)
        read_m, distances_m = self.motion_memory.recall(z_m, scene)
        nearest = torch.stack((distances_a, distances_m), 1)
        last_N2hw = flow_T2hw[CLIP_FRAMES - 1 :]
        flow_tiles = moved_tiles(last_N2hw, self.flow_side)
        moves_N = (flow_tiles * flow_tiles).sum(1).flatten(1).amax(1) > MOVING_SPEED**2
        return Encoding(
            features=self.concatenate(z_a, read_a, z_m, read_m),
            memory_distance=nearest.view(-1, z_a.shape[2] * z_a.shape[3], 2).mean(1),
            location_tiles=tiles(self.location_gaussian(early, scene), self.feature_side).squeeze(1),
            feature_tiles=self.feature_bank.of_moving(frames_T3SS[CLIP_FRAMES:], last_N2hw, moves_N, scene),
            flow_tiles=flow_tiles,
        )

    def decode(self, features_N4C: Tensor) -> Tensor:
        """Returns the predicted frames [N,3,s,s] in [-1, 1]."""
        prediction: Tensor = self.decoder(features_N4C)
        return prediction

    @staticmethod
    def prediction_error(frames_TSS3: Tensor, prediction_N3ss: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the PSNR [N] in dB and the error tiles [N,16,16] of predictions of frames 4..T-1.

        The true frames are averaged over blocks to the prediction's size. Sizes come from the tensors, since the
        graph of this stage is shared by deployments of all sizes.
        """
        count, channels, height, width = prediction_N3ss.shape
        target_NSS3 = frames_TSS3[CLIP_FRAMES:].float()
        # Averaged as they lie, rows before columns, and brought into the prediction's layout when they are small.
        rows = target_NSS3.reshape(count * height, target_NSS3.shape[1] // height, -1).mean(1)
        target_Nss3 = rows.reshape(count, height, width, -1, channels).mean(3)
        target_N3ss = target_Nss3.permute(0, 3, 1, 2) / 127.5 - 1
        error_Nss = ((to_unit(prediction_N3ss) - to_unit(target_N3ss)) ** 2).mean(1)
        rows = error_Nss.reshape(error_Nss.shape[0], TILES, -1, error_Nss.shape[2]).mean(2)
        error_tiles = rows.reshape(rows.shape[0], TILES, TILES, -1).mean(3)
        return psnr(error_Nss.mean((1, 2))), error_tiles

    def flow_between(self, first_B3ss: Tensor, second_B3ss: Tensor) -> Tensor:
        """Returns the normalised flow of float frames at the auto-encoders' size, as the motion loss compares it."""
        return normalise_flow(self.flow_net(luma_of_signed(first_B3ss), luma_of_signed(second_B3ss)), self.size, 1)

    def encode_streams(self, clips_B12ss: Tensor, flows_B6: Tensor) -> tuple[Tensor, Tensor]:
        """Returns z_a and z_m [B,C,h',w'] of training clips in [-1, 1] and their normalised flows."""
        return self.appearance_encoder(clips_B12ss), self.motion_encoder(flows_B6)

    def read_memories(self, z_a: Tensor, z_m: Tensor, scenes_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns F = concat(z_a, z_hat_a, z_m, z_hat_m) [B,4C,h',w'] and each stream's distances [B*h'*w',2].

        `scenes_B` is the scene of each clip: a training batch mixes scenes, a segment has one.
        """
        read_a, distances_a = self.appearance_memory(z_a, scenes_B)
        read_m, distances_m = self.motion_memory(z_m, scenes_B)
        return self.concatenate(z_a, read_a, z_m, read_m), distances_a, distances_m

    def concatenate(self, z_a: Tensor, read_a: Tensor, z_m: Tensor, read_m: Tensor) -> Tensor:
        """Returns F without the streams and memories that an ablation leaves out.

        What is read are unit vectors, so z is one too: beside features that are longer, it would not count.
        """
        parts = {"appearance": (F.normalize(z_a, dim=1), read_a), "motion": (F.normalize(z_m, dim=1), read_m)}
        chosen = [part for stream in self.streams for part in parts[stream][: 1 + (stream in self.memory_streams)]]
        return torch.cat(chosen, 1)


def to_signed(frames_BSS3: Tensor) -> Tensor:
    """Converts uint8 frames to [B,3,S,S] in [-1, 1]."""
    # Positive axes only: the tracing exporter gets negative ones wrong.
    return frames_BSS3.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_unit(frames: Tensor) -> Tensor:
    """Maps [-1, 1] to [0, 1], the range in which errors are measured."""
    return (frames + 1) / 2


def psnr(mse: Tensor) -> Tensor:
    """Returns the peak signal-to-noise ratio in dB of a mean squared error over pixels in [0, 1]."""
    # Not by clamp: of what is no number OpenVINO then makes MIN_MSE, and a broken model would predict perfectly.
    return -10 * torch.log10(torch.where(mse < MIN_MSE, torch.full_like(mse, MIN_MSE), mse))


def shrink(maps_BcHW: Tensor, scale: int) -> Tensor:
    """Brings FRAMES, or the flow on them, to the auto-encoders' resolution: means over `scale` x `scale` blocks."""
    return maps_BcHW if scale == 1 else F.avg_pool2d(maps_BcHW, scale)


def normalise_flow(flow_B2hw: Tensor, size: int, scale: int) -> Tensor:
    """Returns flow as the motion encoder sees it, [B,2,s/2,s/2], of flow in pixels of frames `scale` * `size` wide."""
    return shrink(flow_B2hw, scale) * (FLOW_UNIT / (size * scale))


def tiles(maps_BcHW: Tensor, side: int) -> Tensor:
    """Returns means over 16 x 16 tiles, [B,c,16,16]; maps that tiles don't divide are interpolated.

    `side` is the maps' height and width, given as a number because a graph that is traced does not know it as one.
    """
    if side % TILES == 0:
        return F.avg_pool2d(maps_BcHW, side // TILES)
    return F.interpolate(maps_BcHW, size=(TILES, TILES), mode="bilinear", align_corners=False)


def moved_tiles(flow_B2hw: Tensor, side: int) -> Tensor:
    """Returns the mean flow of each tile weighted by speed, [B,2,16,16]: the velocity of what moves in it.

    A plain mean would be the velocity times the part of the tile that moves: a walker who covers half a tile would be
    half as fast. SPEED_FLOOR keeps a tile with nothing but noise, or a speck, still.

    `side` is the flow's height and width. Velocities are in pixels of the frames, which are twice as large; of frames
    MOTION_FRAME_SIZE a side where these are larger.
    """
    flow_B2hw = flow_B2hw * min(1.0, MOTION_FRAME_SIZE / (FLOW_STRIDE * side))
    speed = (flow_B2hw * flow_B2hw).sum(1, keepdim=True).sqrt()
    return tiles(flow_B2hw * speed, side) / (tiles(speed, side) + SPEED_FLOOR)


def windows(frames_T: Tensor, length: int, count: int) -> Tensor:
    """Returns sliding windows merged into channels, [T,c,...] -> [count,length*c,...]; window i starts at element i."""
    return torch.cat([frames_T[offset : offset + count] for offset in range(length)], 1)
