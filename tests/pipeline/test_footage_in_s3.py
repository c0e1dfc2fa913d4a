"""Footage in a bucket of a real S3 server is prepared as footage in a folder is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from runs import Run

from components.prepare_dataset import prepare_dataset
from stmae.datasets.download import listing_digest, local_copy
from stmae.datasets.manifest import DatasetError, Manifest
from stmae.storage import StoreError, open_store


@pytest.fixture
def filled(finished: Run, bucket: Any) -> tuple[str, Path]:
    """The footage of the small run under a prefix, and its folder."""
    footage = finished.workspace / "datasets" / "walkway"
    uri = f"s3://{bucket[1]}/cameras/gate"
    store = open_store(uri)
    for path in sorted(footage.rglob("*")):
        if path.is_file():
            store.put(path.relative_to(footage).as_posix(), path.read_bytes())
    return uri, footage


def test_the_dataset_of_a_bucket_is_that_of_the_folder(finished: Run, filled: tuple[str, Path], tmp_path: Path) -> None:
    uri, _ = filled
    config = (Path(finished.summary["run"]) / "config.json").read_text(encoding="utf-8")
    dataset = dsl.Dataset(uri=str(tmp_path / "dataset"))
    (digest,) = prepare_dataset.python_func(config=config, data_root=uri, data_version="v1", dataset=dataset)
    own = Manifest.load(finished.artifact("prepare-dataset", "dataset"))
    assert digest == own.digest == Manifest.load(tmp_path / "dataset").digest
    assert dataset.metadata["train_clips"] == len(own.split("train"))


def test_the_copy_has_all_files_and_is_removed_afterwards(filled: tuple[str, Path]) -> None:
    uri, footage = filled
    expected = {path.relative_to(footage): path.read_bytes() for path in footage.rglob("*") if path.is_file()}
    with local_copy(uri) as folder:
        assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == expected
    assert not folder.exists()


def test_the_version_of_a_bucket_changes_with_its_objects_and_reads_none_of_them(filled: tuple[str, Path]) -> None:
    uri, _ = filled
    before = listing_digest(uri)
    assert listing_digest(uri) == before
    open_store(uri).put("training/extra.mp4", b"new")
    grown = listing_digest(uri)
    open_store(uri).put("training/extra.mp4", b"NEW")
    assert len({before, grown, listing_digest(uri)}) == 3


def test_a_prefix_without_objects_and_a_bucket_that_is_none_are_named(bucket: Any) -> None:
    with pytest.raises(DatasetError, match="no object below it"), local_copy(f"s3://{bucket[1]}/nowhere"):
        pass
    with pytest.raises(StoreError, match="no bucket 'no-such-bucket'"), local_copy("s3://no-such-bucket/gate"):
        pass


@pytest.mark.parametrize("key", ["../outside.mp4", "a/../../outside.mp4"])
def test_an_object_whose_name_leads_out_of_the_folder_is_refused(key: str, bucket: Any) -> None:
    client, name = bucket
    client.put_object(Bucket=name, Key=f"gate/{key}", Body=b"x")
    with pytest.raises(DatasetError, match="rename it"), local_copy(f"s3://{name}/gate"):
        pass


def test_a_folder_and_a_file_uri_are_used_where_they_are(tmp_path: Path) -> None:
    for data_root in (str(tmp_path), tmp_path.as_uri()):
        with local_copy(data_root) as folder:
            assert folder == tmp_path
        assert tmp_path.is_dir()
    assert json.dumps(listing_digest(str(tmp_path))) == '""'
