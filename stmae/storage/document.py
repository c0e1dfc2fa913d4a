"""Dataclasses of numbers and arrays as JSON documents: canonical, with a format number, and back bit for bit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

import numpy as np


class Document(Protocol):
    """A dataclass of numbers, arrays, and tuples and mappings of dataclasses like these."""

    NAME: ClassVar[str]
    """What the document is, in messages."""
    FORMAT: ClassVar[int]
    """Version of its fields and of what is computed with them; another one has to be published again."""
    __dataclass_fields__: ClassVar[dict[str, Any]]


D = TypeVar("D", bound=Document)


def to_json(document: Document) -> str:
    """Returns canonical JSON."""
    table = {"format": document.FORMAT, **dataclasses.asdict(document)}
    return json.dumps(table, sort_keys=True, default=np.ndarray.tolist) + "\n"


def from_json(kind: type[D], text: str) -> D:
    """Returns the inverse of `to_json`, bit for bit. Raises ValueError for another text."""
    try:
        table = json.loads(text)
        if table.pop("format", None) != kind.FORMAT:
            raise ValueError(f"format: is not {kind.FORMAT}")
        made: D = _read(kind, table)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a {kind.NAME} ({error!r}); publish the model again") from None
    return made


def digest(document: Document) -> str:
    """Returns the SHA-256 (hex) of the JSON."""
    return hashlib.sha256(to_json(document).encode()).hexdigest()


def fitted_file(name: str, scene: str) -> str:
    """Returns the name of the file with a scene's `normality` or `calibration`; an only scene has no name."""
    return f"{name}-{scene}.json" if scene else f"{name}.json"


def _read(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        make: Any = kind
        return make(**{name: _read(hints[name], each) for name, each in value.items()})
    if isinstance(value, dict):
        return {key: _read(get_args(kind)[1], each) for key, each in value.items()}
    if get_origin(kind) is tuple:
        return tuple(_read(get_args(kind)[0], each) for each in value)
    return np.array(value) if isinstance(value, list) else value
