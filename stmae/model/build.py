"""The only place that assembles models."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from stmae.config import Config
from stmae.model.checkpoint import load_modules
from stmae.model.decoder import Decoder
from stmae.model.discriminator import Discriminator
from stmae.model.efficientnet import EfficientNetFeatures
from stmae.model.encoder import APPEARANCE_STRIDES, FEATURE_STRIDE, MOTION_STRIDES, Encoder
from stmae.model.features import Descriptor, FeatureBank
from stmae.model.flow import FlowNet
from stmae.model.gradients import GradientHistograms
from stmae.model.location import LocationGaussian
from stmae.model.memory import Memory
from stmae.model.stmae import STMAE

FLOW_WEIGHTS = Path(__file__).parent / "weights" / "flow.safetensors"
CLIP_CHANNELS = 12
"""Four RGB frames."""
FLOW_CHANNELS = 6
"""The three flows between them."""


def build_flow_net() -> FlowNet:
    """Returns the flow net with the weights of the package, frozen, in evaluation mode."""
    net = FlowNet()
    weights = {key.removeprefix("flow."): value for key, value in load_file(FLOW_WEIGHTS).items()}
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def flow_digest() -> str:
    """Returns the SHA-256 (hex) of the flow net's weights, the key of everything computed with it."""
    return hashlib.sha256(FLOW_WEIGHTS.read_bytes()).hexdigest()


def build_stmae(config: Config) -> STMAE:
    """Returns STM-AE with random weights, but for the flow net's, and those of pretrained features, which are 0."""
    width, items, scenes = config.model.width, config.model.memory_items, config.model.scenes
    shortcut = config.model.shortcuts
    channels, parts = 4 * width, len(config.model.used) + len(config.model.remembered)
    return STMAE(
        size=config.model.size,
        flow_scale=config.model.flow_scale,
        streams=config.model.used,
        memory_streams=config.model.remembered,
        flow_net=build_flow_net(),
        appearance_encoder=Encoder(CLIP_CHANNELS, width, APPEARANCE_STRIDES, shortcut=shortcut),
        motion_encoder=Encoder(FLOW_CHANNELS, width, MOTION_STRIDES, shortcut=shortcut),
        appearance_memory=Memory(scenes, items, channels),
        motion_memory=Memory(scenes, items, channels),
        location_gaussian=LocationGaussian(scenes, 2 * width, config.model.size // FEATURE_STRIDE),
        feature_bank=FeatureBank(scenes, build_descriptor(config)),
        decoder=Decoder(parts * channels, 3, width, 3, bounded=True, shortcut=shortcut),
    )


def build_descriptor(config: Config) -> Descriptor:
    """Returns what describes tiles to the feature bank, without the weights that `load_pretrained` gives it."""
    kinds = {"gradients": GradientHistograms, "efficientnet-lite0": EfficientNetFeatures}
    return kinds[config.model.features](config.model.frame_size)


def build_discriminator(config: Config) -> Discriminator:
    """Returns a discriminator with random weights."""
    return Discriminator(max(config.model.width // 2, 4))


def build_appearance_proxy(config: Config) -> nn.ModuleDict:
    """Returns `encoder` and `decoder` of the denoising task, with random weights."""
    width, shortcut = config.model.width, config.model.shortcuts
    return nn.ModuleDict(
        {
            "encoder": Encoder(CLIP_CHANNELS, width, APPEARANCE_STRIDES, shortcut=shortcut),
            "decoder": Decoder(4 * width, CLIP_CHANNELS, width, 3, bounded=True, shortcut=shortcut),
        }
    )


def build_motion_proxy(config: Config) -> nn.ModuleDict:
    """Returns `encoder` and `decoder` of the flow reconstruction task, with random weights."""
    width, shortcut = config.model.width, config.model.shortcuts
    return nn.ModuleDict(
        {
            "encoder": Encoder(FLOW_CHANNELS, width, MOTION_STRIDES, shortcut=shortcut),
            "decoder": Decoder(4 * width, FLOW_CHANNELS, width, 2, bounded=False, shortcut=shortcut),
        }
    )


def load_model(config: Config, model_dir: Path, device: torch.device) -> STMAE:
    """Returns the trained model of a run, in evaluation mode. Raises CheckpointError."""
    model = build_stmae(config)
    load_modules(model_dir / "model.safetensors", {"stmae": model})
    return model.to(device).eval()
