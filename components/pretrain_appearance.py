"""Pipeline step that trains the appearance stream on its proxy task."""

from typing import NamedTuple

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def pretrain_appearance(
    config: str,
    dataset_digest: str,
    dataset: dsl.Input[dsl.Dataset],
    appearance: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> NamedTuple("Trained", [("digest", str)]):
    """Trains the appearance auto-encoder to remove noise from normal clips.

    Args:
        config: The resolved configuration as JSON.
        dataset_digest: Digest of the dataset; part of the cache key.
        dataset: The prepared dataset.
        appearance: The checkpoint, TensorBoard logs and `metrics.json`.
        metrics: The last losses, as a moving average over some hundred steps.

    Returns:
        The digest of the weights, which is part of the cache key of the steps that read them.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.manifest import Manifest
    from stmae.model.checkpoint import weights_digest
    from stmae.training.pretrain import pretrain_appearance

    figures = pretrain_appearance(from_json(config), Manifest.load(Path(dataset.path)), Path(appearance.path))
    appearance.framework = "pytorch"
    for name, value in figures.items():
        metrics.log_metric(name, value)
    digest = weights_digest(Path(appearance.path))
    appearance.metadata["digest"] = digest
    return (digest,)
