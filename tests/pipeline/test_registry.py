"""Registering published versions: a server with the REST service's shape, and a version of the real models store."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest
from kubeflow import Handler, Login, serve
from runs import Run

from components.register import register
from stmae.serving.models import current
from stmae.serving.registry import RegistryError
from stmae.storage import open_store

PREFIX = "/api/model_registry/v1alpha3/"


class ModelRegistry(Handler):
    """Models, versions and artifacts as v1alpha3 has them: names are unique, and identifiers are numbers as text."""

    def do_GET(self) -> None:  # noqa: N802
        split = urllib.parse.urlsplit(self.path)
        kind, sought = split.path.removeprefix(PREFIX), dict(urllib.parse.parse_qsl(split.query))
        stored: dict[str, list[dict[str, Any]]] = self.server.details
        if kind.endswith("/artifacts"):
            self.answer({"items": stored.get(kind, []), "size": len(stored.get(kind, []))})
            return
        parent = sought.get("parentResourceId")
        found = [
            each
            for each in stored.get(f"{kind}s", [])
            if each["name"] == sought["name"] and each.get("registeredModelId") == parent
        ]
        if found:
            self.answer(found[0])
        else:
            self.answer({"code": "Not Found", "message": "no such thing"}, status=404)

    def do_POST(self) -> None:  # noqa: N802
        content, kind = self.body(), self.path.removeprefix(PREFIX)
        required = {"model_versions": ("name", "registeredModelId"), "registered_models": ("name",)}
        if any(not content.get(field) for field in required.get(kind, ("artifactType", "uri"))):
            self.answer({"code": "Bad Request"}, status=400)
            return
        listed = self.server.details.setdefault(kind, [])
        listed.append({**content, "id": str(len(listed) + 1)})
        self.answer(listed[-1], status=201)


@pytest.fixture
def published(finished: Run) -> tuple[str, Any]:
    models = finished.summary["models"]
    return models, current(open_store(models), "walkway")


def test_a_version_is_registered_once_with_its_digest_and_place(published: tuple[str, Any]) -> None:
    models, version = published
    versions = [{"deployment": "walkway", "version": version.version}]
    with serve(ModelRegistry) as server:
        for _ in range(2):
            register.python_func(versions=versions, models=models, registry=f"{server.url}/")
        stored = server.details
    (model,), (entry,) = stored["registered_models"], stored["model_versions"]
    assert (model["name"], entry["name"], entry["registeredModelId"]) == ("walkway", version.version, model["id"])
    digest = {"string_value": version.digest, "metadataType": "MetadataStringValue"}
    assert entry["customProperties"]["digest"] == digest
    (artifact,) = stored["model_versions/1/artifacts"]
    assert artifact["uri"] == open_store(models).uri(version.folder)
    assert (artifact["artifactType"], artifact["modelFormatName"]) == ("model-artifact", "onnx")


@pytest.mark.parametrize("address", ["login", "http://127.0.0.1:1"])
def test_what_is_no_registry_is_named(address: str, published: tuple[str, Any]) -> None:
    models, version = published
    versions = [{"deployment": "walkway", "version": version.version}]
    with serve(Login) as server, pytest.raises(RegistryError, match="model_registry must be the address") as raised:
        register.python_func(versions=versions, models=models, registry=server.url if address == "login" else address)
    assert "registered_model?name=walkway" in str(raised.value)
