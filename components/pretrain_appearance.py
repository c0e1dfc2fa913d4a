"""Pipeline step that trains the appearance stream on its proxy task."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def pretrain_appearance(
    config: str,
    dataset: dsl.Input[dsl.Dataset],
    appearance: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Trains the appearance auto-encoder to remove noise from normal clips.

    Args:
        config: The resolved configuration as JSON.
        dataset: The prepared dataset.
        appearance: The checkpoint, TensorBoard logs and `metrics.json`.
        metrics: The last losses, as a moving average over some hundred steps.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.manifest import Manifest
    from stmae.training.pretrain import pretrain_appearance

    figures = pretrain_appearance(from_json(config), Manifest.load(Path(dataset.path)), Path(appearance.path))
    appearance.framework = "pytorch"
    for name, value in figures.items():
        metrics.log_metric(name, value)
