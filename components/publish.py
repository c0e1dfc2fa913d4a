"""Pipeline step that publishes the exported model if Triton computes what torch computed."""

from typing import NamedTuple

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def publish(
    onnx: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    promote: bool,
    models: str,
    repository: str,
    runtime: str,
    signing_key: str,
    metrics: dsl.Output[dsl.Metrics],
) -> NamedTuple("Published", [("versions", list)]):
    """Loads a copy in a real Triton, compares it on the golden segment, then adds it to the models store.

    Args:
        onnx: The exported model.
        evaluation: Holds the calibrations that are published with the model, one per scene.
        promote: Whether the version is served from now on; otherwise `stmae promote` can make it so later.
        models: URI of the models store; untouched if the comparison fails.
        repository: A Triton repository on this machine, which is brought to what is promoted; empty for none.
        runtime: Folder of the embedded Triton runtime.
        signing_key: PEM file of the private key that signs the version; empty for none.
        metrics: Largest difference between Triton and torch for each output of the ensemble.

    Returns:
        The published versions, each with `deployment` and `version`.
    """
    from pathlib import Path

    from stmae.serving import models as store_of_models
    from stmae.serving.models.installation import sync
    from stmae.serving.publish import publish_all
    from stmae.storage import open_store

    store, key = open_store(models), Path(signing_key) if signing_key else None
    published = publish_all(Path(onnx.path), Path(evaluation.path), store, Path(runtime), key)
    for version in published:
        if promote:
            store_of_models.promote(store, version.deployment, version.version)
    for name in published[0].parity:
        metrics.log_metric(f"difference_{name.lower()}", max(version.parity[name] for version in published))
    if repository:
        sync(store, Path(repository))
    return ([{"deployment": version.deployment, "version": version.version} for version in published],)
