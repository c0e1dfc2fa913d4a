"""Pipeline step that trains the motion stream on its proxy task."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def pretrain_motion(
    config: str,
    dataset: dsl.Input[dsl.Dataset],
    flow: dsl.Input[dsl.Dataset],
    motion: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Trains the motion auto-encoder to reconstruct the flow of normal clips.

    Args:
        config: The resolved configuration as JSON.
        dataset: The prepared dataset.
        flow: The flow of the dataset's clips.
        motion: The checkpoint, TensorBoard logs and `metrics.json`.
        metrics: The last losses, as a moving average over some hundred steps.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.manifest import Manifest
    from stmae.training.pretrain import pretrain_motion

    manifest = Manifest.load(Path(dataset.path))
    figures = pretrain_motion(from_json(config), manifest, Path(flow.path), Path(motion.path))
    motion.framework = "pytorch"
    for name, value in figures.items():
        metrics.log_metric(name, value)
