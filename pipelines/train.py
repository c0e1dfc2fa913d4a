"""The training pipeline: footage in, a promoted Triton model with its evaluation out.

resolve_config -> prepare_dataset -> pretrain_appearance ----------------+
                         |                                               +-> train_adversarial -> evaluate -> gate
                         +-------> extract_flow -> pretrain_motion ------+            |                        |
                                                                                      +-> export ----------> publish
Whatever becomes of them, report_run is the last step.
"""

from kfp import dsl

from components.evaluate import evaluate
from components.export import export
from components.extract_flow import extract_flow
from components.gate import gate
from components.prepare_dataset import prepare_dataset
from components.pretrain_appearance import pretrain_appearance
from components.pretrain_motion import pretrain_motion
from components.publish import publish
from components.register import register
from components.report_run import report_run
from components.resolve_config import resolve_config
from components.train_adversarial import train_adversarial
from pipelines.resources import DATA_MOUNT, KEY_MOUNT, PIPELINE, SHARED, SITE, place

RUNTIME = "/opt/triton"
"""Folder of the embedded Triton in the training image."""
SIGNING_KEY = f"{KEY_MOUNT}/key.pem" if SITE.signing.secret else ""


@dsl.pipeline(
    name="stmae-train",
    description="Train STM-AE on a camera's normal footage, evaluate, export, publish.",
    pipeline_config=PIPELINE,
)
def train(
    dataset: str = "walkway",
    config_toml: str = "",
    overrides: str = "",
    seed: int = -1,
    steps: int = 0,
    data_root: str = DATA_MOUNT,
    data_version: str = "",
    models: str = SHARED.models,
    auc_tolerance: float = 0.02,
    alert_tolerance: float = 0.5,
    model_registry: str = "",
    repository: str = "",
    runtime: str = RUNTIME,
    signing_key: str = SIGNING_KEY,
):
    """Trains and evaluates one model, publishes it, and promotes it if it is no worse than the one that is served.

    The two pretrainings are independent of each other.

    Args:
        dataset: Name of a shipped configuration: avenue, folder, ped2, ped2-cpu, shanghaitech, walkway, ...
        config_toml: Text of a configuration of one's own, used instead of the one that `dataset` names unless empty.
        overrides: Values of the configuration as "a.b=c a.b=c", quoted as in a shell.
        seed: Seed of the run; negative for the configuration's own.
        steps: Steps of the training (`train.steps`); 0 for the configuration's own.
        data_root: Folder with the footage, or s3://bucket/prefix.
        data_version: Any string that changes with the footage; empty to find out by a listing.
        models: Path or URI of the models store to publish to.
        auc_tolerance: So much lower than that of the served version the frame AUC may be.
        alert_tolerance: By so large a fraction the alert rate on normal footage may rise, where there are no labels.
        model_registry: Address of a Kubeflow Model Registry, http://host:port; empty for none.
        repository: A Triton repository to bring to what is promoted, where the run is on the machine that serves it.
        runtime: Folder of the embedded Triton runtime.
        signing_key: PEM file of the private key that signs published versions; empty for none.
    """
    reported = place(
        report_run(
            pipeline="stmae-train",
            dataset=dataset,
            run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            kubeflow_api=SITE.kubeflow_api,
        )
    )
    reported.set_caching_options(False)
    with dsl.ExitHandler(reported, name="train"):
        resolved = place(
            resolve_config(
                dataset=dataset,
                config_toml=config_toml,
                overrides=overrides,
                seed=seed,
                steps=steps,
                study="",
                seeds="",
                data_root=data_root,
                data_version=data_version,
            )
        )
        # It looks at the footage, whose state is no input that the cache could compare.
        resolved.set_caching_options(False)
        config = resolved.outputs["config"]
        prepared = place(
            prepare_dataset(config=config, data_root=data_root, data_version=resolved.outputs["data_version"])
        )
        # The cache compares parameters, and not what is in artifacts: their digests travel beside them.
        data = {"dataset": prepared.outputs["dataset"], "dataset_digest": prepared.outputs["digest"]}
        flow = place(extract_flow(config=config, **data)).outputs["flow"]
        appearance = place(pretrain_appearance(config=config, **data))
        motion = place(pretrain_motion(config=config, flow=flow, **data))
        trained = place(
            train_adversarial(
                config=config,
                flow=flow,
                appearance=appearance.outputs["appearance"],
                motion=motion.outputs["motion"],
                appearance_digest=appearance.outputs["digest"],
                motion_digest=motion.outputs["digest"],
                **data,
            )
        )
        model = {"model": trained.outputs["model"], "model_digest": trained.outputs["digest"]}
        evaluated = place(evaluate(config=config, flow=flow, **data, **model))
        exported = place(export(config=config, **data, **model))
        gated = place(
            gate(
                evaluation=evaluated.outputs["evaluation"],
                models=models,
                auc_tolerance=auc_tolerance,
                alert_tolerance=alert_tolerance,
            )
        )
        published = place(
            publish(
                onnx=exported.outputs["onnx"],
                evaluation=evaluated.outputs["evaluation"],
                promote=gated.outputs["passed"],
                models=models,
                repository=repository,
                runtime=runtime,
                signing_key=signing_key,
            )
        )
        # These depend on the store, and change it, which a cached step would not.
        gated.set_caching_options(False)
        published.set_caching_options(False)
        with dsl.If(model_registry != "", name="registry"):
            registered = place(register(versions=published.outputs["versions"], models=models, registry=model_registry))
            registered.set_caching_options(False)
