"""Pipeline step that lists the variants of a study."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def expand_study(config: str, study: str, seeds: str, dataset_digest: str) -> list:
    """Returns the seeds of a study, each with its variants, for the pipeline's loops.

    Args:
        config: The resolved configuration as JSON.
        study: Name of the study; stmae/evaluation/study.py has them all.
        seeds: Seeds, as "1 2 3".
        dataset_digest: Digest of the prepared dataset, which each seed carries into the loop.
    """
    import json

    from stmae.config import from_json
    from stmae.evaluation.study import parse_seeds, to_json, variants

    settings = from_json(config)
    listed = json.loads(to_json(settings, variants(settings, study, parse_seeds(seeds))))
    return [seed | {"dataset_digest": dataset_digest} for seed in listed]
