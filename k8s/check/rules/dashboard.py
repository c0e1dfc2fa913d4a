"""Dashboards of Grafana, which lie in config maps as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from k8s.check.overlay import Check, Document, Overlay
from k8s.check.rules.alerts import unknown

LABEL = "grafana_dashboard"


def dashboards(overlay: Overlay) -> Iterator[Check]:
    """Checks that each panel has a title, a description, a unit, a place of its own, and queries of real metrics."""
    for document in overlay.of("ConfigMap"):
        if LABEL in document.get("metadata.labels", {}):
            for file, text in document.get("data", {}).items():
                try:
                    board = json.loads(text)
                except ValueError as error:
                    yield document.check(f"data[{file}]", False, f"is no JSON: {error}")
                    continue
                yield from _board(document, file, board)


def _board(document: Document, file: str, board: dict[str, Any]) -> Iterator[Check]:
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    yield document.check(f"data[{file}].panels", bool(panels), "there are none")
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        title = panel.get("title") or f"panel {panel.get('id')}"
        field = f"data[{file}].panels[{title}]"
        yield document.check(f"{field}.title", bool(panel.get("title")), "is missing")
        yield document.check(f"{field}.description", bool(panel.get("description")), "is missing: say what it tells")
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
        yield document.check(f"{field}.unit", bool(unit), "is missing: a number without a unit tells little")
        place = panel["gridPos"]
        cells = {
            (column, row)
            for column in range(place["x"], place["x"] + place["w"])
            for row in range(place["y"], place["y"] + place["h"])
        }
        yield document.check(f"{field}.gridPos", not cells & taken, "lies on another panel")
        taken |= cells
        for target in panel.get("targets", ()):
            wrong = unknown(target["expr"])
            yield document.check(f"{field}.targets[{target.get('refId')}].expr", not wrong, wrong)
