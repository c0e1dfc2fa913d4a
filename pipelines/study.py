"""The study pipeline: trains variants of a configuration on one prepared dataset and compares them in one table.

resolve_config -> prepare_dataset -> extract_flow -> each seed: pretrain_appearance, pretrain_motion
                         |                                         -> each variant: train_adversarial -> evaluate
                         +-> expand_study                          -> compare
                                                  -> compare
Variants differ in nothing that the pretrained encoders depend on, so these are trained once a seed. Whatever becomes
of the steps, report_run is the last one.
"""

from kfp import dsl

from components.compare import compare
from components.evaluate import evaluate
from components.expand_study import expand_study
from components.extract_flow import extract_flow
from components.prepare_dataset import prepare_dataset
from components.pretrain_appearance import pretrain_appearance
from components.pretrain_motion import pretrain_motion
from components.report_run import report_run
from components.resolve_config import resolve_config
from components.train_adversarial import train_adversarial
from pipelines.resources import DATA_MOUNT, PIPELINE, SITE, place

SEEDS_AT_ONCE, VARIANTS_AT_ONCE = 2, 4
"""Iterations that run at once on a cluster, with a GPU each; a local run takes one step at a time."""


@dsl.pipeline(name="stmae-study-seed", description="The variants of a study with one seed.")
def with_seed(
    study: str,
    config: str,
    variants: list,
    dataset_digest: str,
    dataset: dsl.Input[dsl.Dataset],
    flow: dsl.Input[dsl.Dataset],
) -> dsl.Artifact:
    """Trains and evaluates the variants of a study with one seed, and compares them.

    This is a pipeline of its own, with a table of its own, because kfp.local cannot collect from nested loops.

    Args:
        study: Name of the study.
        config: The resolved configuration, with this seed, that the encoders are pretrained with.
        variants: The variants, each with its resolved `config`.
        dataset_digest: Digest of the dataset; part of the cache keys.
        dataset: The prepared dataset.
        flow: The flow of the dataset's clips.
    """
    data = {"dataset": dataset, "dataset_digest": dataset_digest}
    appearance = place(pretrain_appearance(config=config, **data))
    motion = place(pretrain_motion(config=config, flow=flow, **data))
    with dsl.ParallelFor(variants, parallelism=VARIANTS_AT_ONCE) as variant:
        # kfp.local hands no output parameter into a loop, so the encoders' digests stay outside: configuration,
        # dataset and image, which are in the cache key, decide on the encoders too.
        trained = place(
            train_adversarial(
                config=variant.config,
                flow=flow,
                appearance=appearance.outputs["appearance"],
                motion=motion.outputs["motion"],
                **data,
            )
        )
        model = {"model": trained.outputs["model"], "model_digest": trained.outputs["digest"]}
        evaluated = place(evaluate(config=variant.config, flow=flow, **data, **model))
    compared = place(
        compare(study=study, variants=variants, evaluations=dsl.Collected(evaluated.outputs["evaluation"]))
    )
    compared.set_caching_options(False)  # the cache does not compare what is in the evaluations
    return compared.outputs["table"]


@dsl.pipeline(
    name="stmae-study",
    description="Train and evaluate variants of STM-AE and put them side by side.",
    pipeline_config=PIPELINE,
)
def study(
    study: str = "seeds",
    seeds: str = "1 2 3",
    dataset: str = "walkway",
    config_toml: str = "",
    overrides: str = "",
    steps: int = 0,
    data_root: str = DATA_MOUNT,
    data_version: str = "",
):
    """Trains and evaluates the variants of a study with several seeds. Nothing is exported or published.

    Args:
        study: Name of the study: seeds, ablation, sensitivity, encoders, effects or scenes.
        seeds: Seeds, as "1 2 3".
        dataset: Name of a shipped configuration: avenue, folder, ped2, ped2-cpu, shanghaitech, walkway, ...
        config_toml: Text of a configuration of one's own, used instead of the one that `dataset` names unless empty.
        overrides: Values of the configuration as "a.b=c a.b=c", quoted as in a shell.
        steps: Steps of the training (`train.steps`); 0 for the configuration's own.
        data_root: Folder with the footage, or s3://bucket/prefix.
        data_version: Any string that changes with the footage; empty to find out by a listing.
    """
    reported = place(
        report_run(
            pipeline="stmae-study",
            dataset=dataset,
            run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            kubeflow_api=SITE.kubeflow_api,
        )
    )
    reported.set_caching_options(False)
    with dsl.ExitHandler(reported, name="study"):
        resolved = place(
            resolve_config(
                dataset=dataset,
                config_toml=config_toml,
                overrides=overrides,
                seed=-1,
                steps=steps,
                study=study,
                seeds=seeds,
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
        prepared_dataset, digest = prepared.outputs["dataset"], prepared.outputs["digest"]
        flow = place(extract_flow(config=config, dataset=prepared_dataset, dataset_digest=digest)).outputs["flow"]
        listed = place(expand_study(config=config, study=study, seeds=seeds, dataset_digest=digest))
        with dsl.ParallelFor(listed.output, parallelism=SEEDS_AT_ONCE) as seed:
            seeded = with_seed(
                study=study,
                config=seed.config,
                variants=seed.variants,
                dataset_digest=seed.dataset_digest,
                dataset=prepared_dataset,
                flow=flow,
            )
        compared = place(compare(study=study, variants=[], evaluations=dsl.Collected(seeded.output)))
        compared.set_caching_options(False)  # the cache does not compare what is in the tables
