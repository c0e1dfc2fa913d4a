"""A deployment to measure: a model with random weights, exported, and what is fitted to go with it."""

from __future__ import annotations

from pathlib import Path

import torch

from stmae.config import Config
from stmae.evaluation.fitting import NormalClip, fit_calibration, fit_normality
from stmae.export.graphs import export
from stmae.model.build import build_stmae
from stmae.model.stmae import STMAE
from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.serving import tensors
from stmae.serving.pbtxt import EMBEDDED, Precision
from stmae.serving.publish import computes_bf16
from stmae.serving.repository import write_repository
from stmae.serving.segments import Images
from stmae.storage.document import to_json


def random_model(config: Config) -> STMAE:
    """Returns a model in evaluation mode whose weights, location statistics and feature bank are random, by the seed.

    The flow net and pretrained features have the weights that every deployment has.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(config.seed)
        model = build_stmae(config).eval()
        model.location_gaussian.mean.normal_()
        model.location_gaussian.std.uniform_(0.5, 2)
        model.feature_bank.descriptor.load_pretrained()
        bank = model.feature_bank.items
        bank.copy_(torch.nn.functional.normalize(torch.randn_like(bank), dim=2))
    return model


def deploy(config: Config, model: STMAE, frames: Images, folder: Path) -> Path:
    """Exports a model and returns the repository that serves it, in bf16 where the hardware computes in it."""
    export(config, model, folder / "export", frames[: tensors.MIN_SEGMENT])
    precision: Precision = "bf16" if computes_bf16() else "fp32"
    write_repository(folder / "export", folder / "repository", EMBEDDED, precision)
    return folder / "repository"


def fit(config: Config, raw: RawScores, published: Path) -> None:
    """Writes the normality model and the calibration of a deployment, fitted to raw scores of its own footage.

    The normality model has no noise: the job asks the server about every frame.
    """
    normality, values = fit_normality([NormalClip.of(raw)], fps=config.data.fps)
    calibration = fit_calibration(
        values,
        fps=config.data.fps,
        event_hours=24 / config.score.events_per_day,
        min_seconds=config.score.min_seconds,
        merge_seconds=config.score.merge_seconds,
    )
    for name, fitted in (("normality", normality), ("calibration", calibration)):
        (published / f"{name}.json").write_text(to_json(fitted), encoding="utf-8")


def bytes_per_frame(config: Config) -> float:
    """Returns the bytes that one step makes and another takes, for each scored frame of a segment.

    FRAMES, which three steps take, are not among them: no step makes them.
    """
    model, length = config.model, config.serve.segment_frames
    made = {tensor for spec in tensors.STEPS for tensor in spec.outputs}
    taken = {tensor for spec in tensors.STEPS for tensor in spec.inputs}
    whole = sum(
        (length - tensors.lost_frames(tensor))
        * tensors.bytes_per_frame(tensor, size=model.size, flow_scale=model.flow_scale, channels=model.handed_over)
        for tensor in made & taken
    )
    return whole / (length - CLIP_FRAMES)
