"""Step: install the exported model into the Triton repository, if Triton computes what torch computed."""

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
    """Load a staged copy in a real Triton, compare with the golden segment, then install it.

    Args:
        onnx: The exported model.
        evaluation: Holds the calibrations that are published with the model, one a scene.
        repository: The Triton model repository; untouched where the comparison fails.
        runtime: Folder of the embedded Triton runtime.
        metrics: Largest difference between Triton and torch, an output of the ensemble each.
    """
    from pathlib import Path

    from stmae.serving.publish import publish_all

    differences = publish_all(Path(onnx.path), Path(evaluation.path), Path(repository), Path(runtime))
    for name, value in differences.items():
        metrics.log_metric(f"difference_{name.lower()}", value)
