"""Pipeline step that reads the camera's footage and writes the prepared dataset."""

from typing import NamedTuple

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def prepare_dataset(config: str, data_root: str, data_version: str, dataset: dsl.Output[dsl.Dataset]) -> NamedTuple(
    "Prepared", [("digest", str)]
):
    """Decodes, resizes and hashes the clips of `data_root`, checks the labels and chooses the calibration split.

    Args:
        config: The resolved configuration as JSON.
        data_root: Folder with the footage, in the layout of `data.reader`; or s3://bucket/prefix, which is copied to
            the step's scratch first.
        data_version: Any string that changes with the footage: it is part of the cache key of this step.
        dataset: The prepared frames, labels and masks, and `manifest.json`.

    Returns:
        The digest of the manifest, which is part of the cache key of the steps that read the dataset.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.download import local_copy
    from stmae.datasets.prepare import prepare

    with local_copy(data_root) as folder:
        manifest = prepare(from_json(config), folder, Path(dataset.path))
    dataset.metadata["digest"] = manifest.digest
    dataset.metadata["data_version"] = data_version
    for split in ("train", "calibration", "test"):
        clips = manifest.split(split)
        dataset.metadata[f"{split}_clips"] = len(clips)
        dataset.metadata[f"{split}_frames"] = sum(clip.frames for clip in clips)
    return (manifest.digest,)
