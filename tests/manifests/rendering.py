"""The committed manifests as kustomize renders them, and copies with a mistake in them."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

from k8s.check.overlay import Document, Overlay
from k8s.check.render import overlays, render

MANIFESTS = Path(__file__).parents[2] / "k8s"
OVERLAYS = overlays(MANIFESTS)
REMOVED = object()
"""In place of a value: the field is removed."""


@functools.cache
def rendered(name: str) -> Overlay:
    """Returns a committed overlay, which is rendered once. It must not be changed."""
    return render(MANIFESTS, name)


def altered(name: str, document: str, field: str, value: Any) -> Overlay:
    """Returns a copy of an overlay in which a field of a document (`Kind/name`) has another value."""
    before = rendered(name)
    documents = [Document(name, copy.deepcopy(each.body)) for each in before.documents]
    (found,) = (each for each in documents if str(each) == document)
    *way, last = (key.replace("~1", "/") for key in field.split("/"))
    body: Any = found.body
    for key in way:
        body = body[int(key)] if isinstance(body, list) else body.setdefault(key, {})
    place = int(last) if isinstance(body, list) else last
    if value is REMOVED:
        del body[place]
    elif isinstance(body, list) and place == len(body):
        body.append(value)
    else:
        body[place] = value
    return Overlay(name, documents, before.root)


def expanded(words: list[str], container: dict[str, Any]) -> list[str]:
    """Returns words with `$(NAME)` and `${NAME}` replaced, secrets by a word of their own."""
    known = {variable["name"]: variable.get("value", "secret") for variable in container.get("env", ())}
    return [re.sub(r"\$[({](\w+)[)}]", lambda name: known[name[1]], word) for word in words]
