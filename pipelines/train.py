"""The training pipeline: footage in, a published Triton model with its evaluation out.

prepare_dataset -> pretrain_appearance ----------------+
       |                                               +-> train_adversarial -> evaluate -> publish
       +-------> extract_flow -> pretrain_motion ------+            |                          |
                                                                    +-> export ----------------+
"""

from typing import NamedTuple

from kfp import dsl

from components.evaluate import evaluate
from components.export import export
from components.extract_flow import extract_flow
from components.prepare_dataset import prepare_dataset
from components.pretrain_appearance import pretrain_appearance
from components.pretrain_motion import pretrain_motion
from components.publish import publish
from components.train_adversarial import train_adversarial
from pipelines.resources import DATA_MOUNT, MODELS_MOUNT, place

RUNTIME = "/opt/triton"
"""Folder of the embedded Triton in the training image."""


class Outputs(NamedTuple):
    evaluation: dsl.Artifact
    report: dsl.HTML


@dsl.pipeline(name="stmae-train", description="Train STM-AE on a camera's normal footage, evaluate, export, publish.")
def train(
    config: str,
    data_root: str = DATA_MOUNT,
    data_version: str = "",
    models: str = f"{MODELS_MOUNT}/published",
    repository: str = "",
    runtime: str = RUNTIME,
) -> Outputs:
    """Trains, evaluates and publishes one model.

    The two pretrainings are independent of each other. Publishing waits for export and evaluation.

    Args:
        config: The resolved configuration as JSON (`stmae config NAME`).
        data_root: Folder with the footage.
        data_version: Any string that changes with the footage.
        models: URI of the models store to publish to.
        repository: A Triton repository to bring to what is promoted, where the run is on the machine that serves it.
        runtime: Folder of the embedded Triton runtime.
    """
    prepared = place(prepare_dataset(config=config, data_root=data_root, data_version=data_version))
    dataset = prepared.outputs["dataset"]
    flow = place(extract_flow(config=config, dataset=dataset)).outputs["flow"]
    appearance = place(pretrain_appearance(config=config, dataset=dataset))
    motion = place(pretrain_motion(config=config, dataset=dataset, flow=flow))
    trained = place(
        train_adversarial(
            config=config,
            dataset=dataset,
            flow=flow,
            appearance=appearance.outputs["appearance"],
            motion=motion.outputs["motion"],
        )
    )
    model = trained.outputs["model"]
    evaluated = place(evaluate(config=config, dataset=dataset, flow=flow, model=model))
    exported = place(export(config=config, dataset=dataset, model=model))
    published = place(
        publish(
            onnx=exported.outputs["onnx"],
            evaluation=evaluated.outputs["evaluation"],
            models=models,
            repository=repository,
            runtime=runtime,
        )
    )
    # The result of publishing is a change to the store, which a cached step would not make.
    published.set_caching_options(False)
    return Outputs(evaluation=evaluated.outputs["evaluation"], report=evaluated.outputs["report"])
