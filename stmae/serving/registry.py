"""Kubeflow Model Registry: published versions as its REST service (v1alpha3) knows them."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from stmae.serving.models import Version

API = "/api/model_registry/v1alpha3"
SECONDS = 30.0
NOT_FOUND = 404


class RegistryError(RuntimeError):
    """The Model Registry does not answer or refuses; the message names the address and the mend."""


class Registry:
    """The registry at an address, http://host:port."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def register(self, version: Version, uri: str) -> str:
        """Registers a version whose files are at `uri`, and returns the identifier of its entry.

        The model is named after the deployment, the version after the version, and the artifact is an ONNX model. What
        is there already stays as it is. Raises RegistryError.
        """
        model = self._ensure("registered_model", {"name": version.deployment}, {"name": version.deployment})
        entry = self._ensure(
            "model_version",
            {"name": version.version, "parentResourceId": model},
            {
                "name": version.version,
                "registeredModelId": model,
                "customProperties": _properties({"digest": version.digest, "published": version.published}),
            },
        )
        artifact = {
            "artifactType": "model-artifact",
            "name": f"{version.deployment}-{version.version}",
            "uri": uri,
            "modelFormatName": "onnx",
        }
        listed = self._ask("GET", f"model_versions/{entry}/artifacts")
        if not any(each.get("name") == artifact["name"] for each in listed.get("items", ())):
            self._ask("POST", f"model_versions/{entry}/artifacts", artifact)
        return entry

    def _ensure(self, kind: str, sought: dict[str, str], content: dict[str, Any]) -> str:
        """Returns the identifier of what is sought, which is made where it is missing."""
        found = self._ask("GET", f"{kind}?{urllib.parse.urlencode(sought)}", missing={})
        found = found or self._ask("POST", f"{kind}s", content)
        return str(found["id"])

    def _ask(
        self, method: str, path: str, content: dict[str, Any] | None = None, missing: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Returns what the service answers; `missing`, if given, where it says that there is no such thing."""
        address = f"{self.address}{API}/{path}"
        request = urllib.request.Request(
            address,
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == NOT_FOUND and missing is not None:
                    return missing
                said = error.read(500).decode(errors="replace")
            raise RegistryError(f"{method} {address}: answered {error.code}: {said}; check model_registry") from None
        except (OSError, ValueError) as error:
            raise RegistryError(
                f"{method} {address}: {error}; model_registry must be the address of a Model Registry, or empty"
            ) from None
        return found


def _properties(values: dict[str, str]) -> dict[str, dict[str, str]]:
    return {key: {"string_value": value, "metadataType": "MetadataStringValue"} for key, value in values.items()}
