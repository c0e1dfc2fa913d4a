"""Pipeline step that installs the exported model into the Triton repository if Triton computes what torch computed."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def publish(
    onnx: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    repository: str,
    runtime: str,
    metrics: dsl.Output[dsl.Metrics],
):
    """Loads a staged copy in a real Triton, compares its output with the golden segment, then installs it.

    Args:
        onnx: The exported model.
        evaluation: The evaluation with the calibrations, one a scene, that are published with the model.
        repository: The Triton model repository; it is left as it was where the comparison fails.
        runtime: Folder of the embedded Triton runtime.
        metrics: The largest difference between Triton and torch for each output of the ensemble.
    """
    from pathlib import Path

    from stmae.serving.publish import publish_all

    differences = publish_all(Path(onnx.path), Path(evaluation.path), Path(repository), Path(runtime))
    for name, value in differences.items():
        metrics.log_metric(f"difference_{name.lower()}", value)
