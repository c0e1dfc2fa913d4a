"""Objects of an S3 bucket.

Endpoint, credentials and region come from where every AWS client takes them: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, or the machine's role.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from stmae.storage.base import CHUNK_BYTES, REQUESTS_AT_ONCE, Listed, ObjectMissingError, StoreError, explain

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""So long a server may say nothing before it is asked again."""
BODY_PAUSES = (0.2, 0.8)
"""Seconds before the further attempts at an object that broke off while it was read."""
BROKE_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
REFUSED = {
    "ExpiredToken": "the credentials have expired; renew them (AWS_SESSION_TOKEN), then run again",
    "RequestTimeTooSkewed": "the clock of this machine differs from the server's; set it, then run again",
}
"""What mends a refusal that has a cause of its own."""

T = TypeVar("T")


class S3Store:
    """A bucket, or a prefix in it, as a store. The ETag of an object is the server's, without quotes."""

    def __init__(self, uri: str) -> None:
        self.root = uri.rstrip("/")
        self.bucket, _, prefix = uri.rstrip("/").removeprefix("s3:").removeprefix("//").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""
        if not self.bucket:
            raise StoreError(f"{uri}: names no bucket; write s3://bucket/prefix")
        self._client = _s3_client(self.root)

    def uri(self, path: str) -> str:
        return f"{self.root}/{path}".rstrip("/")

    def path(self, uri: str) -> str:
        return uri.removeprefix(f"{self.root}/")

    def list(self, prefix: str = "") -> Iterator[Listed]:
        request = {"Bucket": self.bucket, "Prefix": self.prefix + prefix}
        with self._errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(**request):
                for item in page.get("Contents", ()):
                    path = item["Key"].removeprefix(self.prefix)
                    if path and not path.endswith("/"):  # such keys only make a folder visible in consoles
                        yield Listed(path, int(item["Size"]), item["ETag"].strip('"'))

    def download(self, path: str, target: Path) -> str:
        def copy(answer: Any) -> str:
            with target.open("wb") as file:
                for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
                    file.write(chunk)
            return str(answer["ETag"]).strip('"')

        return self._read(path, copy)

    def get(self, path: str) -> bytes:
        return self._read(path, lambda answer: bytes(answer["Body"].read()))

    def put(self, path: str, data: bytes) -> None:
        with self._errors(path):
            self._client.put_object(Bucket=self.bucket, Key=self.prefix + path, Body=data)

    def delete(self, path: str) -> None:
        with contextlib.suppress(ObjectMissingError), self._errors(path):  # some servers say 404, others nothing
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + path)

    def prepare(self) -> None:
        """Checks that the bucket can be listed. It is never created, so that a mistyped name cannot make one."""
        with self._errors(""):
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    def _read(self, path: str, use: Callable[[Any], T]) -> T:
        """Asks for an object and returns what `use` makes of the answer.

        The client itself asks again until there is an answer. Where its body breaks off the object is asked for anew,
        and from its start: it may be another one by then.
        """
        with self._errors(path):
            for pause in (*BODY_PAUSES, None):
                answer = self._client.get_object(Bucket=self.bucket, Key=self.prefix + path)
                try:
                    return use(answer)
                except BROKE_OFF as error:
                    if pause is None:
                        raise
                    log.warning("%s: %s", self.uri(path), self._explain_connection(error))
                    time.sleep(pause)
        raise AssertionError("the last attempt returns")

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        """Turns errors of the client and of the local file into StoreError."""
        uri = self.uri(path)
        try:
            yield
        except ClientError as error:
            self._raise_refusal(uri, error)
        except BotoCoreError as error:
            raise StoreError(f"{uri}: {self._explain_connection(error)}") from error
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{uri}: {explain(error)}") from error

    def _raise_refusal(self, uri: str, error: Any) -> NoReturn:
        """Raises the StoreError that the server's answer means."""
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code == "NoSuchBucket":
            raise StoreError(
                f"{uri}: no bucket {self.bucket!r} at {self._endpoint()}; create it or correct the URI"
            ) from error
        if status == 404:
            raise ObjectMissingError(f"{uri}: no such object; it was moved or deleted") from error
        if status in (401, 403) or code in REFUSED:
            mend = REFUSED.get(code, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy")
            raise StoreError(f"{uri}: access denied ({code}) by {self._endpoint()}; {mend}") from error
        if status == 507 or "Quota" in code:
            raise StoreError(f"{uri}: the store is full ({code}); free space or raise the quota") from error
        raise StoreError(f"{uri}: {self._endpoint()} answered {status} ({code}); see its log") from error

    def _explain_connection(self, error: Any) -> str:
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        if isinstance(error, BROKE_OFF):
            why = f"silent for {SILENCE_SECONDS:g} s" if isinstance(error, ReadTimeoutError) else error
            return f"{self._endpoint()} gave no whole answer ({why}); check the network, then run again"
        return f"{self._endpoint()} does not answer ({error}); check AWS_ENDPOINT_URL and the network"

    def _endpoint(self) -> str:
        return str(self._client.meta.endpoint_url)


def _s3_client(uri: str) -> Any:
    own_endpoint = bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))
    config = Config(
        # Stores other than AWS's own refuse the checksums that newer clients add by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if own_endpoint else "auto"},
        retries={"mode": "standard"},  # AWS_MAX_ATTEMPTS says how many
        connect_timeout=CONNECT_SECONDS,
        read_timeout=SILENCE_SECONDS,
        max_pool_connections=REQUESTS_AT_ONCE,
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    try:
        return boto3.session.Session().client("s3", region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreError(f"{uri}: {error}; check the AWS_* variables") from error
