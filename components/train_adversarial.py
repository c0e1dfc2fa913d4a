"""Pipeline step that trains the prediction decoder, the memory pools and the discriminator."""

from typing import NamedTuple

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def train_adversarial(
    config: str,
    dataset_digest: str,
    dataset: dsl.Input[dsl.Dataset],
    flow: dsl.Input[dsl.Dataset],
    appearance: dsl.Input[dsl.Model],
    motion: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    appearance_digest: str = "",
    motion_digest: str = "",
) -> NamedTuple("Trained", [("digest", str)]):
    """Trains STM-AE, against the discriminator, to predict the next frame of normal clips.

    Args:
        config: The resolved configuration as JSON.
        dataset_digest: Digest of the dataset; part of the cache key.
        dataset: The prepared dataset.
        flow: The flow of the dataset's clips.
        appearance: The appearance stream's checkpoint.
        motion: The motion stream's checkpoint.
        model: The checkpoint of the whole model, TensorBoard logs and `metrics.json`.
        metrics: The last losses, as a moving average over some hundred steps.
        appearance_digest: Digest of the appearance stream's weights; part of the cache key.
        motion_digest: Digest of the motion stream's weights; part of the cache key.

    Returns:
        The digest of the weights, which is part of the cache key of the steps that read them.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.manifest import Manifest
    from stmae.model.checkpoint import weights_digest
    from stmae.training.adversarial import train_adversarial

    figures = train_adversarial(
        from_json(config),
        Manifest.load(Path(dataset.path)),
        Path(flow.path),
        Path(appearance.path),
        Path(motion.path),
        Path(model.path),
    )
    model.framework = "pytorch"
    for name, value in figures.items():
        metrics.log_metric(name, value)
    digest = weights_digest(Path(model.path))
    model.metadata["digest"] = digest
    return (digest,)
