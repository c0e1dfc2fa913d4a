"""Rendering of overlays with the kustomize that is part of kubectl."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from k8s.check.overlay import Document, Overlay

KUSTOMIZE = (5, 0)
"""Oldest version that reads these files: replacements in components, and `labels` with templates."""
NEEDED = f"kubectl 1.27 or later, which has kustomize {KUSTOMIZE[0]}.{KUSTOMIZE[1]}"


class RenderError(RuntimeError):
    """An overlay that cannot be rendered, or no kubectl that could; the message says why and the mend."""


def overlays(root: Path) -> list[str]:
    """Returns the names of the overlays of a folder of manifests. Raises RenderError where there are none."""
    found = sorted(path.parent.name for path in root.glob("overlays/*/kustomization.yaml"))
    if not found:
        raise RenderError(f"{root / 'overlays'}: holds no overlay; name the folder of the manifests")
    return found


def require_kubectl(kubectl: str = "kubectl") -> None:
    """Raises RenderError, which says what is needed, where kubectl is absent or too old."""
    path = shutil.which(kubectl)
    if path is None:
        raise RenderError(f"{kubectl}: not found; install {NEEDED}")
    said = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
    try:
        version = str(json.loads(said.stdout).get("kustomizeVersion", ""))
    except ValueError:
        version = ""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < KUSTOMIZE:
        has = f"has kustomize {version}" if version else "does not say which kustomize it has"
        raise RenderError(f"{path}: {has}; install {NEEDED}")


def render(root: Path, overlay: str, kubectl: str = "kubectl") -> Overlay:
    """Renders an overlay of a folder of manifests. Raises RenderError with kustomize's own words."""
    folder = root / "overlays" / overlay
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"{folder}: {done.stderr.strip()}")
    # kustomize warns of what is deprecated, and goes on.
    if done.stderr.strip():
        raise RenderError(f"{folder}: {done.stderr.strip()}; mend what is warned of")
    bodies: list[Any] = [body for body in yaml.safe_load_all(done.stdout) if body]
    return Overlay(overlay, [Document(overlay, body) for body in bodies], root)
