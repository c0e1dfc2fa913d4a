"""Pipeline step that exports the trained model to ONNX and checks it against torch."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def export(
    config: str,
    dataset_digest: str,
    model_digest: str,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    onnx: dsl.Output[dsl.Model],
):
    """Writes the four ONNX models and a golden segment; fails where onnxruntime and torch disagree.

    Args:
        config: The resolved configuration as JSON.
        dataset_digest: Digest of the dataset; part of the cache key.
        model_digest: Digest of the model's weights; part of the cache key.
        dataset: The prepared dataset, from which the golden segment is taken.
        model: The trained model.
        onnx: The four ONNX files, `golden.npz` and `export.json`.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.manifest import Manifest
    from stmae.export.checkpoint import export_checkpoint

    facts = export_checkpoint(from_json(config), Manifest.load(Path(dataset.path)), Path(model.path), Path(onnx.path))
    onnx.framework = "onnx"
    onnx.metadata.update(facts)
