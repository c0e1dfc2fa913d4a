"""`python -m k8s.check [FOLDER]`: checks every overlay of the manifests.

Prints what failed, with overlay or file, kind and name, field and mend, and `N checks, N passed`. Exits with 0, with 1
where a check failed or an overlay cannot be rendered, and with 2 on bad usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from k8s.check.overlay import Check, Overlay
from k8s.check.render import RenderError, overlays, render, require_kubectl
from k8s.check.rules import RULES
from k8s.check.rules.values import site


def checks(overlay: Overlay) -> Iterator[Check]:
    """Yields every check of a rendered overlay."""
    for rule in RULES:
        yield from rule(overlay)


def _overlay(root: Path, name: str) -> Iterator[Check]:
    try:
        yield from checks(render(root, name))
    except RenderError as error:
        yield Check(name, "", "kustomize", str(error))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m k8s.check", description="Checks every overlay of the manifests.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1], help="default: k8s")
    root = parser.parse_args(argv).folder
    try:
        require_kubectl()
        found = list(site(root))
        for name in overlays(root):
            found += _overlay(root, name)
    except (RenderError, OSError) as error:
        print(f"k8s.check: {error}", file=sys.stderr)
        return 1
    failed = [check for check in found if check.wrong]
    for check in dict.fromkeys(map(str, failed)):
        print(check)
    print(f"{len(found)} checks, {len(found) - len(failed)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
