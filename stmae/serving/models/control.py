"""What is asked of a running Triton whose models are loaded and unloaded by its clients."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

import numpy as np
import tritonclient.grpc as triton

from stmae.serving import tensors
from stmae.serving.client import Client, ServingError
from stmae.serving.connection import UNLOADED
from stmae.serving.tls import Tls

LOAD_SECONDS = 300.0
"""Longest wait for a model to load: on a GPU it may be compiled for the device."""
POLL_SECONDS = 0.05
ADMIN = "STMAE_TRITON_ADMIN"
"""Environment variable: `header=value`, which a server with restricted protocols asks for."""


class Control:
    """Loads and unloads models of the Triton at `url` (host:port, gRPC). Every method raises ServingError.

    It waits for at most `seconds` each time. `admin` is what a server with restricted protocols asks for,
    `header=value`; by default what the environment has as ADMIN. Raises TlsError for files of `tls` that are none.
    """

    def __init__(self, url: str, tls: Tls | None = None, *, seconds: float = LOAD_SECONDS, admin: str = "") -> None:
        self.url = url
        self._tls, self._seconds = tls, seconds
        self._server = triton.InferenceServerClient(url, **(tls.options() if tls else {}))
        header, _, value = (admin or os.environ.get(ADMIN, "")).partition("=")
        self._headers = {header: value} if header else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def load(self, model: str) -> None:
        """Loads a model as its folder is now; until it is ready the server answers with what it had."""
        try:
            self._server.load_model(model, headers=self._headers, client_timeout=self._seconds)
        except triton.InferenceServerException as error:
            raise ServingError("server", f"{self.url}: model {model!r} cannot be loaded: {error.message()}") from None

    def unload(self, model: str) -> None:
        """Unloads a model."""
        try:
            self._server.unload_model(model, headers=self._headers, client_timeout=self._seconds)
        except triton.InferenceServerException as error:
            raise ServingError("server", f"{self.url}: model {model!r} cannot be unloaded: {error.message()}") from None

    def drain(self, *models: str) -> None:
        """Waits until no version of models that were unloaded is still answering."""
        deadline = time.monotonic() + self._seconds
        while answering := self._unloading() & set(models):
            if time.monotonic() > deadline:
                names = ", ".join(sorted(answering))
                raise ServingError("deadline", f"{self.url}: model {names} still answers after {self._seconds:g} s")
            time.sleep(POLL_SECONDS)

    def _unloading(self) -> set[str]:
        """Returns the models of which a version that was unloaded is still answering."""
        try:
            index = self._server.get_model_repository_index(headers=self._headers, client_timeout=self._seconds)
        except triton.InferenceServerException as error:
            raise ServingError("server", f"{self.url}: its models cannot be listed: {error.message()}") from None
        return {each.name for each in index.models if each.state == "UNLOADING"}

    def version(self, deployment: str) -> str | None:
        """Returns the version that is served, None where the deployment is not served."""
        try:
            with Client(self.url, deployment, tls=self._tls) as client:
                return client.describe().version
        except ServingError as error:
            if error.cause == "missing" or UNLOADED in str(error):
                return None
            raise

    def infer(self, deployment: str, deadline_seconds: float = LOAD_SECONDS) -> None:
        """Scores a shortest segment: a server may say that it is ready while a model's process is dead."""
        with Client(self.url, deployment, deadline_seconds=deadline_seconds, tls=self._tls) as client:
            size = client.describe().size
            client.score_segment(np.zeros((tensors.MIN_SEGMENT, size, size, 3), np.uint8))
