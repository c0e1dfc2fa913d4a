"""What kustomize made of an overlay, and what was found when it was looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Body = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    where: str
    """Overlay or file."""
    document: str
    """`Kind/name`; empty for a file."""
    field: str
    wrong: str = ""
    """What is wrong and the mend; empty where all is well."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.document, self.field, self.wrong or "passed") if part)


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A rendered object of Kubernetes."""

    overlay: str
    body: Body

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", "?"))

    @property
    def name(self) -> str:
        return str(self.get("metadata.name", "?"))

    def get(self, path: str, default: Any = None) -> Any:
        """Returns the value of a field, given by its path with dots; `default` where it is absent."""
        return lookup(self.body, path, default)

    def check(self, field: str, good: bool, wrong: str) -> Check:
        """Returns the check of a field; `wrong` says what to do where it is not good."""
        return Check(self.overlay, str(self), field, "" if good else wrong)


@dataclasses.dataclass(frozen=True, slots=True)
class Overlay:
    """All that an overlay renders, in the folder of manifests `root`."""

    name: str
    documents: list[Document]
    root: Path

    def of(self, *kinds: str) -> Iterator[Document]:
        """Yields the documents of some kinds."""
        return (document for document in self.documents if document.kind in kinds)

    def names(self, *kinds: str) -> set[str]:
        """Returns the names of the documents of some kinds."""
        return {document.name for document in self.of(*kinds)}

    def find(self, kind: str, name: str) -> Document | None:
        """Returns the document of a kind and a name, None where there is none."""
        return next((document for document in self.of(kind) if document.name == name), None)


def lookup(body: Any, path: str, default: Any = None) -> Any:
    """Returns what lies at a path with dots; numbers are places in lists."""
    for key in path.split("."):
        if isinstance(body, dict) and key in body:
            body = body[key]
        elif isinstance(body, list) and key.isdecimal() and int(key) < len(body):
            body = body[int(key)]
        else:
            return default
    return body


def walk(body: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each field below a body with its path."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        field = f"{path}.{key}" if path else str(key)
        yield field, value
        yield from walk(value, field)
