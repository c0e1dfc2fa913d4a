"""Manifests: the volumes that the pipeline mounts are the ones that the manifests claim."""

from __future__ import annotations

from pathlib import Path

import yaml

from pipelines.resources import DATA_CLAIM, MODELS_CLAIM

STORAGE = Path(__file__).parents[2] / "k8s" / "base" / "storage"


def test_the_pipeline_mounts_the_claimed_volumes() -> None:
    listed = yaml.safe_load((STORAGE / "kustomization.yaml").read_text())["resources"]
    manifests = [one for name in listed for one in yaml.safe_load_all((STORAGE / name).read_text())]
    claims = {one["metadata"]["name"] for one in manifests if one["kind"] == "PersistentVolumeClaim"}
    assert claims == {DATA_CLAIM, MODELS_CLAIM}
