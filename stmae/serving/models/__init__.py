"""The models store: published versions of deployments, and the pointer to the one that is served.

`<deployment>/versions/<version>/` is a version. It is never changed. `<deployment>/current.json` names the one that is
promoted, and those before it.
"""

from __future__ import annotations

from stmae.serving.models.pointer import current, deployments, promote, rollback
from stmae.serving.models.version import ModelsError, Version, add, load, versions

__all__ = [
    "ModelsError",
    "Version",
    "add",
    "current",
    "deployments",
    "load",
    "promote",
    "rollback",
    "versions",
]
