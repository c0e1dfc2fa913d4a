"""Files and S3 behave the same, and say what is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from swift import S3Server

from stmae.storage import ObjectMissingError, Store, StoreError, open_store


def test_an_object_that_was_put_can_be_listed_read_and_downloaded(store: Store, tmp_path: Path) -> None:
    store.prepare()
    store.put("b/camera=gate%202/x.bin", b"old")
    store.put("b/camera=gate%202/x.bin", b"new bytes")
    store.put("a.bin", b"")
    assert [(item.path, item.size) for item in store.list()] == [("a.bin", 0), ("b/camera=gate%202/x.bin", 9)]
    assert [item.path for item in store.list("b/")] == ["b/camera=gate%202/x.bin"]
    assert list(store.list("c/")) == []
    assert store.get("b/camera=gate%202/x.bin") == b"new bytes"
    etag = store.download("b/camera=gate%202/x.bin", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"new bytes"
    listed = {item.path: item.etag for item in store.list()}
    assert etag == listed["b/camera=gate%202/x.bin"]
    store.put("b/camera=gate%202/x.bin", b"new BYTES")
    assert {item.path: item.etag for item in store.list()}["b/camera=gate%202/x.bin"] != etag


def test_an_object_that_was_deleted_is_gone_and_may_be_deleted_again(store: Store) -> None:
    store.prepare()
    store.put("a/b.bin", b"x")
    store.delete("a/b.bin")
    store.delete("a/b.bin")
    assert list(store.list()) == []


def test_a_missing_object_raises_its_own_error(store: Store, tmp_path: Path) -> None:
    store.prepare()
    for call in (store.get, lambda path: store.download(path, tmp_path / "copy")):
        with pytest.raises(ObjectMissingError, match=r"not-there\.bin: no such"):
            call("not-there.bin")


def test_a_listing_reads_all_its_pages(bucket: tuple[Any, str]) -> None:
    """A page of the tests' Swift has 10 objects, one of other servers 1000."""
    client, name = bucket
    keys: list[str] = []
    for count in (25, 1001):
        more = [f"day/{index:04d}.mp4" for index in range(len(keys), count)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: client.put_object(Bucket=name, Key=key, Body=b"x"), more))
        keys += more
        if client.list_objects_v2(Bucket=name)["IsTruncated"]:
            break
    assert len(client.list_objects_v2(Bucket=name)["Contents"]) < len(keys)
    assert [item.path for item in open_store(f"s3://{name}").list("day/")] == keys


def test_a_missing_bucket_is_named_with_what_to_do(s3_environment: S3Server) -> None:
    store = open_store("s3://no-such-bucket/archive")
    for call in (store.prepare, lambda: list(store.list()), lambda: store.put("x", b"x"), lambda: store.get("x")):
        with pytest.raises(StoreError, match=r"no bucket 'no-such-bucket' at http://127.*create it or correct"):
            call()


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_refused_with_what_to_check(
    bucket: tuple[Any, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = bucket
    monkeypatch.setenv(variable, "demo:wrong")
    store = open_store(f"s3://{name}")
    for call in (store.prepare, lambda: list(store.list()), lambda: store.put("x", b"x"), lambda: store.get("x")):
        with pytest.raises(StoreError, match=r"access denied .*check AWS_ACCESS_KEY_ID"):
            call()


def test_missing_credentials_are_asked_for(bucket: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        open_store(f"s3://{bucket[1]}").prepare()


def test_an_endpoint_that_does_not_answer_is_named(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9 does not answer.*check AWS_ENDPOINT_URL"):
        open_store("s3://archive").prepare()


def test_a_file_uri_and_a_plain_path_are_the_same_store(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    assert open_store(folder.as_uri()).root == open_store(str(folder)).root == folder.as_uri()


@pytest.mark.parametrize(
    ("uri", "why"), [("gs://bucket", "'gs' is not supported"), ("s3://", "names no"), ("file://x/y", "three slashes")]
)
def test_an_unsupported_uri_is_refused(uri: str, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        open_store(uri)


def test_an_absent_folder_is_an_error_and_no_empty_listing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="absent: no such folder; correct the path"):
        list(open_store(str(tmp_path / "absent")).list())


def test_a_put_that_fails_leaves_the_old_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.put("x", b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        store.put("x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert store.get("x") == b"old"
