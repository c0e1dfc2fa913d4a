"""Validation against schemas: Kubernetes' own for its kinds, those of `schemas/` for custom resources."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from k8s.check.overlay import Body, Check, Document, Overlay
from k8s.check.pods import pods

SCHEMAS = Path(__file__).parent / "schemas"
"""A file a custom resource, `<group>_<version>_<kind>.json`. It has the fields that the manifests use, and no other."""


def valid(overlay: Overlay) -> Iterator[Check]:
    """Validates each document strictly: a field or a kind that is unknown is a failure."""
    for document in overlay.documents:
        path = SCHEMAS / f"{str(document.body.get('apiVersion')).replace('/', '_')}_{document.kind}.json"
        yield _custom(document, path) if path.is_file() else _builtin(document, document.body)
    for pod in pods(overlay):
        if pod.custom:
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": dict(pod.labels)}, "spec": pod.spec}
            yield _builtin(pod.document, body, f"{pod.field.removesuffix('.spec')}.")


def _builtin(document: Document, body: Body, under: str = "") -> Check:
    field, wrong = _trouble(json.dumps(body))
    return document.check(under + field, not wrong, wrong)


@functools.cache
def _trouble(text: str) -> tuple[str, str]:
    """Returns the field of a body, given as JSON, and what is wrong with it. Overlays have many documents in common."""
    body, version = json.loads(text), kubernetes_validate.latest_version()
    try:
        kubernetes_validate.validate(body, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return ".".join(map(str, error.path)), f"{error.message} (Kubernetes {version})"
    except kubernetes_validate.SchemaNotFoundError:
        kind = f"{body.get('apiVersion')} {body.get('kind')}"
        return "kind", f"{kind} is no kind of Kubernetes {version}; correct it, or add its schema to k8s/check/schemas"
    return "", ""


def _custom(document: Document, path: Path) -> Check:
    error: Any = jsonschema.exceptions.best_match(_validator(path).iter_errors(document.body))
    if error is None:
        return document.check("", True, "")
    return document.check(".".join(map(str, error.absolute_path)), False, f"{error.message} ({path.name})")


@functools.cache
def _validator(path: Path) -> Any:
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)
