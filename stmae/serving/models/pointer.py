"""Which version of a deployment is promoted: one object, which is replaced as a whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from stmae.serving.models.version import MANIFEST, ModelsError, Version, load
from stmae.storage import ObjectMissingError, Store

POINTER = "current.json"
FORMAT = 1
Entry = dict[str, str]
"""`version` and `promoted` (ISO 8601, UTC)."""


def deployments(models: Store, *, promoted: bool = True) -> list[str]:
    """Returns the deployments with a promoted version, or with any version. Raises StoreError."""
    end = f"/{POINTER}" if promoted else f"/{MANIFEST}"
    return sorted({item.path.split("/")[0] for item in models.list() if item.path.endswith(end)})


def current(models: Store, deployment: str) -> Version | None:
    """Returns the promoted version, None where there is none. Raises ModelsError and StoreError."""
    history = _read(models, deployment)
    return load(models, deployment, history[-1]["version"]) if history else None


def promote(models: Store, deployment: str, version: str) -> Version:
    """Makes a version the one that is served. Raises ModelsError for one that is gone, and StoreError."""
    found, history = load(models, deployment, version), _read(models, deployment)
    if not history or history[-1]["version"] != version:
        _write(models, deployment, [*history, _entry(version)])
    return found


def rollback(models: Store, deployment: str) -> Version:
    """Returns to the version that was promoted before; done twice, to the one before that.

    Raises ModelsError where there is none or it is gone, and StoreError.
    """
    history = _read(models, deployment)
    if len(history) < 2:
        raise ModelsError(
            f"{models.uri(deployment)}: nothing was promoted before; `stmae versions` shows what there is"
        )
    before = load(models, deployment, history[-2]["version"])
    _write(models, deployment, history[:-1])
    return before


def _entry(version: str) -> Entry:
    return {"version": version, "promoted": datetime.now(UTC).isoformat(timespec="seconds")}


def _read(models: Store, deployment: str) -> list[Entry]:
    """Returns what was promoted, the last one last."""
    path = f"{deployment}/{POINTER}"
    try:
        table: Any = json.loads(models.get(path))
        if table["format"] != FORMAT:
            raise ValueError(f"format: is not {FORMAT}")
        return [{"version": str(entry["version"]), "promoted": str(entry["promoted"])} for entry in table["history"]]
    except ObjectMissingError:
        return []
    except (KeyError, TypeError, ValueError) as error:
        raise ModelsError(f"{models.uri(path)}: damaged ({error!r}); delete it, and promote a version again") from None


def _write(models: Store, deployment: str, history: list[Entry]) -> None:
    table = {"format": FORMAT, "version": history[-1]["version"], "history": history}
    models.put(f"{deployment}/{POINTER}", (json.dumps(table, indent=1) + "\n").encode())
