"""Pipeline step that installs the exported model into the Triton repository if Triton computes what torch computed."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def publish(
    onnx: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    models: str,
    repository: str,
    runtime: str,
    metrics: dsl.Output[dsl.Metrics],
):
    """Loads a copy in a real Triton, compares it on the golden segment, adds it to the models store and promotes it.

    Args:
        onnx: The exported model.
        evaluation: Holds the calibrations that are published with the model, one per scene.
        models: URI of the models store; untouched if the comparison fails.
        repository: A Triton repository on this machine, which is brought to what is promoted; empty for none.
        runtime: Folder of the embedded Triton runtime.
        metrics: Largest difference between Triton and torch for each output of the ensemble.
    """
    from pathlib import Path

    from stmae.serving.models import promote
    from stmae.serving.models.installation import sync
    from stmae.serving.publish import publish_all
    from stmae.storage import open_store

    store = open_store(models)
    for version in publish_all(Path(onnx.path), Path(evaluation.path), store, Path(runtime)):
        promote(store, version.deployment, version.version)
        for name, value in version.parity.items():
            metrics.log_metric(f"difference_{name.lower()}", value)
    if repository:
        sync(store, Path(repository))
