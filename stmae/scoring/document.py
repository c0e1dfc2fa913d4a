"""Fitted objects as JSON files: canonical, with a format number, and back bit for bit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import numpy as np


class Document:
    """Base of dataclasses of numbers, arrays, and tuples and mappings of dataclasses like these."""

    NAME: ClassVar[str]
    """What the file is, in messages."""
    FORMAT: ClassVar[int]
    """Version of the file; another one has to be published again."""

    def to_json(self) -> str:
        """Returns canonical JSON."""
        table = {"format": self.FORMAT, **dataclasses.asdict(self)}  # type: ignore[call-overload]
        return json.dumps(table, sort_keys=True, default=np.ndarray.tolist) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Returns the inverse of `to_json`, bit for bit. Raises ValueError for another text."""
        try:
            table = json.loads(text)
            if table.pop("format", None) != cls.FORMAT:
                raise ValueError(f"format: is not {cls.FORMAT}")
            made: Self = _read(cls, table)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a {cls.NAME} ({error!r}); publish the model again") from None
        return made

    def digest(self) -> str:
        """Returns the SHA-256 (hex) of the JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


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
