"""An archive in a bucket of a real S3 server, reached through a proxy that can spoil what passes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from nights import Night, bytes_of, film
from proxy import Proxy
from swift import S3Server

from stmae.storage import open_store

FIRST, SECOND, THIRD = (
    "gate/2026-03-01/08-59-58.avi",
    "gate/2026-03-01/09-00-00.avi",
    "yard/2026-03-01/09-00-00.avi",
)
"""Two recordings that are stitched where an hour ends, and one of another camera."""
FRAMES = 20
SILENCE_SECONDS = 1.0
"""So long the tests' clients wait for an answer."""


@dataclasses.dataclass(frozen=True)
class Depot:
    """A bucket with an archive, which the code under test reaches through a proxy."""

    bucket: str
    proxy: Proxy
    client: Any
    """A client that goes past the proxy."""

    @property
    def site(self) -> str:
        """Returns the archive's URI."""
        return f"s3://{self.bucket}/site"

    def tables(self, name: str) -> str:
        """Returns a URI for tables in the bucket."""
        return f"s3://{self.bucket}/tables/{name}"

    def bytes_of(self, tables: str) -> dict[str, bytes]:
        """Returns the objects of tables in the bucket, but those of `runs` and `status`, which tell of times."""
        store = open_store(tables)
        paths = [item.path for item in store.list() if not item.path.startswith(("runs/", "status/"))]
        return {path: store.get(path) for path in paths}

    def put(self, path: str, file: Path) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"site/{path}", Body=file.read_bytes())

    def delete(self, path: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"site/{path}")


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Four films that differ."""
    folder = tmp_path_factory.mktemp("films")
    paths = tuple(folder / f"{seed}.avi" for seed in range(4))
    for seed, path in enumerate(paths):
        film(path, FRAMES, seed)
    return paths


@pytest.fixture(scope="session")
def stock(s3: S3Server, films: tuple[Path, ...]) -> str:
    """The name of a bucket with three recordings, which stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        _reach(s3, patch)
        return _stocked(boto3.client("s3"), "stock", films)


@pytest.fixture(scope="session")
def undisturbed(night: Night, s3: S3Server, stock: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What tables of `stock` hold that were written without a fault."""
    tables = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        _reach(s3, patch)
        assert night.score(f"s3://{stock}/site", tables).complete
    return bytes_of(tables)


@pytest.fixture
def depot(s3: S3Server, stock: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Depot]:
    """The bucket `stock`, behind a proxy of the test's own."""
    _reach(s3, monkeypatch)
    client = boto3.client("s3")
    with Proxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.setattr("stmae.storage.s3.SILENCE_SECONDS", SILENCE_SECONDS)
        yield Depot(stock, proxy, client)


@pytest.fixture
def own_depot(depot: Depot, request: pytest.FixtureRequest, films: tuple[Path, ...]) -> Depot:
    """A bucket of the test's own with the same three recordings."""
    name = f"own-{abs(hash(request.node.nodeid)):x}"
    return dataclasses.replace(depot, bucket=_stocked(depot.client, name, films))


def _reach(s3: S3Server, patch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        patch.setenv(name, value)


def _stocked(client: Any, bucket: str, films: tuple[Path, ...]) -> str:
    client.create_bucket(Bucket=bucket)
    for path, file in zip((FIRST, SECOND, THIRD), films, strict=False):
        client.put_object(Bucket=bucket, Key=f"site/{path}", Body=file.read_bytes())
    return bucket
