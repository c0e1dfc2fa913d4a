"""Pipeline step that computes the optical flow of every clip once."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def extract_flow(config: str, dataset_digest: str, dataset: dsl.Input[dsl.Dataset], flow: dsl.Output[dsl.Dataset]):
    """Runs the flow net over all consecutive frames and keeps its output at its own resolution.

    Before it starts, it says how long the flow and the training of a model will take on this machine.
    Where STMAE_FLOW names a folder that outlives the run, the flow is kept there too, for later runs.

    Args:
        config: The resolved configuration as JSON.
        dataset_digest: Digest of the dataset; part of the cache key.
        dataset: The prepared dataset.
        flow: One array a clip, keyed by the flow net and the clip's footage.
    """
    import os
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.flow_cache import FlowCache, extract_flow, link_or_copy
    from stmae.datasets.manifest import Manifest
    from stmae.training.estimate import estimate

    settings, manifest = from_json(config), Manifest.load(Path(dataset.path))
    lasting = os.environ.get("STMAE_FLOW")
    print(estimate(settings, manifest, Path(lasting or flow.path)))
    cache = extract_flow(settings, manifest, Path(lasting or flow.path))
    if lasting:
        for clip in manifest.clips:
            link_or_copy(cache.path(clip), FlowCache(Path(flow.path), cache.digest).path(clip))
    flow.metadata["digest"] = cache.digest
    flow.metadata["dataset_digest"] = dataset.metadata["digest"]
