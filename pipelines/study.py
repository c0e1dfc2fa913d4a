"""The study pipeline: trains variants of a configuration on one prepared dataset and compares them in one table.

prepare_dataset -> extract_flow -> each seed: pretrain_appearance, pretrain_motion
                                              -> each variant: train_adversarial -> evaluate
                                              -> compare
                                -> compare

Variants differ in nothing that the pretrained encoders depend on, so these are trained once a seed.
"""

from typing import NamedTuple

from kfp import dsl

from components.compare import compare
from components.evaluate import evaluate
from components.extract_flow import extract_flow
from components.prepare_dataset import prepare_dataset
from components.pretrain_appearance import pretrain_appearance
from components.pretrain_motion import pretrain_motion
from components.train_adversarial import train_adversarial
from pipelines.resources import DATA_MOUNT, place

SEEDS_AT_ONCE, VARIANTS_AT_ONCE = 2, 4
"""Iterations that run at once on a cluster, with a GPU each; a local run takes one step at a time."""


class Outputs(NamedTuple):
    table: dsl.Artifact
    report: dsl.HTML


@dsl.pipeline(name="stmae-study-seed", description="The variants of a study with one seed.")
def with_seed(
    study: str, config: str, variants: list, dataset: dsl.Input[dsl.Dataset], flow: dsl.Input[dsl.Dataset]
) -> dsl.Artifact:
    """Trains and evaluates the variants of a study with one seed, and compares them.

    This is a pipeline of its own, with a table of its own, because kfp.local cannot collect from nested loops.

    Args:
        study: Name of the study.
        config: The resolved configuration, with this seed, that the encoders are pretrained with.
        variants: The variants, each with its resolved `config`.
        dataset: The prepared dataset.
        flow: The flow of the dataset's clips.
    """
    appearance = place(pretrain_appearance(config=config, dataset=dataset))
    motion = place(pretrain_motion(config=config, dataset=dataset, flow=flow))
    with dsl.ParallelFor(variants, parallelism=VARIANTS_AT_ONCE) as variant:
        trained = place(
            train_adversarial(
                config=variant.config,
                dataset=dataset,
                flow=flow,
                appearance=appearance.outputs["appearance"],
                motion=motion.outputs["motion"],
            )
        )
        evaluated = place(evaluate(config=variant.config, dataset=dataset, flow=flow, model=trained.outputs["model"]))
    compared = place(
        compare(study=study, variants=variants, evaluations=dsl.Collected(evaluated.outputs["evaluation"]))
    )
    return compared.outputs["table"]


@dsl.pipeline(name="stmae-study", description="Train and evaluate variants of STM-AE and put them side by side.")
def study(study: str, config: str, seeds: list, data_root: str = DATA_MOUNT, data_version: str = "") -> Outputs:
    """Trains and evaluates the variants of a study with several seeds. Nothing is exported or published.

    Args:
        study: Name of the study; stmae/evaluation/study.py has them all.
        config: The resolved configuration as JSON (`stmae config NAME`).
        seeds: The seeds with their variants (`stmae config NAME --study STUDY --seeds 1,2,3`).
        data_root: Folder with the footage.
        data_version: Any string that changes with the footage.
    """
    prepared = place(prepare_dataset(config=config, data_root=data_root, data_version=data_version))
    dataset = prepared.outputs["dataset"]
    flow = place(extract_flow(config=config, dataset=dataset)).outputs["flow"]
    with dsl.ParallelFor(seeds, parallelism=SEEDS_AT_ONCE) as seed:
        seeded = with_seed(study=study, config=seed.config, variants=seed.variants, dataset=dataset, flow=flow)
    compared = place(compare(study=study, variants=[], evaluations=dsl.Collected(seeded.output)))
    return Outputs(table=compared.outputs["table"], report=compared.outputs["report"])
