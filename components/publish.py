"""Pipeline step that installs the exported model into the Triton repository if Triton computes what torch computed."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def publish(
    onnx: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    repository: str,
    runtime: str,
    instance_kind: str,
    metrics: dsl.Output[dsl.Metrics],
):
    """Loads a staged copy in a real Triton, compares it on the golden segment, then installs it.

    Args:
        onnx: The exported model.
        evaluation: Holds the calibrations that are published with the model, one per scene.
        repository: The Triton model repository; untouched if the comparison fails.
        runtime: Folder of the embedded Triton runtime.
        instance_kind: `cpu` or `gpu`: where the Triton that serves the repository runs the models.
        metrics: Largest difference between Triton and torch for each output of the ensemble.
    """
    from pathlib import Path

    from stmae.serving.publish import publish_all

    differences = publish_all(Path(onnx.path), Path(evaluation.path), Path(repository), Path(runtime), instance_kind)
    for name, value in differences.items():
        metrics.log_metric(f"difference_{name.lower()}", value)
