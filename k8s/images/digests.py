"""The one file that holds the registry and the digest of each image, as a kustomize component."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parent / "kustomization.yaml"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEADER = """\
# Where the images lie, and which. `make images` writes this file; nothing else says it.
# An image that was not pushed yet has an example digest, which belongs to no image.
"""


class DigestsError(ValueError):
    """A file of digests that cannot be used, or a digest that is none; the message names the file and the mend."""


def record(name: str, repository: str, digest: str, path: Path = PATH) -> None:
    """Writes where an image lies, and its digest. What the file says of other images stays. Raises DigestsError."""
    if not DIGEST.fullmatch(digest):
        raise DigestsError(f"{name}: {digest!r} is no digest; it must be sha256: and 64 hexadecimal digits")
    document = _read(path)
    others = [entry for entry in document["images"] if entry["name"] != name]
    entry = {"name": name, "newName": repository, "digest": digest}
    document["images"] = sorted([*others, entry], key=lambda each: str(each["name"]))
    path.write_text(_HEADER + yaml.safe_dump(document, sort_keys=False, width=120), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "images": []}
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("kind") != "Component" or "images" not in document:
        raise DigestsError(f"{path}: must be a kustomize Component with a list `images`; restore the committed file")
    return document
