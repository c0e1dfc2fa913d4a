"""Step: compute the optical flow of every clip once."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def extract_flow(config: str, dataset: dsl.Input[dsl.Dataset], flow: dsl.Output[dsl.Dataset]):
    """Run the flow net over all consecutive frames and keep the result at its own resolution.

    Args:
        config: The resolved configuration as JSON.
        dataset: The prepared dataset.
        flow: Flow per clip, keyed by the flow net's digest.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.data.datasets import Manifest
    from stmae.train.extract import extract_flow

    cache = extract_flow(from_json(config), Manifest.load(Path(dataset.path)), Path(flow.path))
    flow.metadata["digest"] = cache.digest
    flow.metadata["dataset_digest"] = dataset.metadata["digest"]
