"""A real S3 server and empty buckets, for the tests of the batch job and of its faults."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import ceph
import pytest
import swift
from swift import S3Server

from stmae.storage import Store, open_store


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server; the environment of a test that reaches it comes from `s3_environment`.

    It is Swift, or with STMAE_TEST_S3=ceph the gateway of Ceph.
    """
    name = os.environ.get("STMAE_TEST_S3", "swift")
    if name == "ceph" and ceph.missing():
        raise RuntimeError(f"STMAE_TEST_S3=ceph: {', '.join(ceph.missing())} not installed; run `make test-ceph`")
    with {"swift": swift, "ceph": ceph}[name].serve(tmp_path_factory.mktemp(name)) as server:
        yield server


@pytest.fixture
def s3_environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture
def bucket(s3_environment: S3Server, request: pytest.FixtureRequest) -> Any:
    """An empty bucket of the test's own: (client, name)."""
    client = boto3.client("s3")
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    client.create_bucket(Bucket=name)
    return client, name


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "file":
        return open_store(str(tmp_path / "root"))
    _, name = request.getfixturevalue("bucket")
    return open_store(f"s3://{name}/some/prefix/")
