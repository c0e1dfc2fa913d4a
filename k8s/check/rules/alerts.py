"""Alerts: their expressions, the metrics that these name, and where an alert sends the one who is called."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from k8s.check.overlay import Check, Document, Overlay
from k8s.check.promql import FOREIGN, OWN, ExpressionError, selectors
from k8s.check.rules.selection import ADAPTER

SEVERITIES = ("critical", "warning")
RUNBOOK = "docs/runbook.md"


def alerts(overlay: Overlay) -> Iterator[Check]:
    """Checks alerts one by one, all of them with promtool where that is installed, and the adapter's query."""
    page = overlay.root.parent / RUNBOOK
    headings = (
        {line.lstrip("# ").lower() for line in page.read_text().splitlines() if line.startswith("#")}
        if page.is_file()
        else None
    )
    for document in overlay.of("PrometheusRule"):
        for group in document.get("spec.groups", []):
            for alert in group["rules"]:
                yield from _alert(document, alert, headings)
        yield from _promtool(document)
    for rule in yaml.safe_load((overlay.root / ADAPTER).read_text())["rules"]["custom"]:
        query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.LabelMatchers>>", 'pod="a"')
        query = query.replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
        wrong = unknown(query)
        yield Check(overlay.name, ADAPTER, "metricsQuery", wrong)


def unknown(expression: str) -> str:
    """Returns what is wrong with an expression: it does not parse, or names a metric that nothing makes."""
    try:
        found = selectors(expression)
    except ExpressionError as error:
        return f"does not parse: {error}"
    strangers = sorted({each.metric for each in found} - OWN - FOREIGN)
    if strangers:
        return f"names {', '.join(strangers)}, which nothing makes; the names are in k8s/check/promql.py"
    return "" if found else "names no metric"


def _alert(document: Document, alert: dict[str, Any], headings: set[str] | None) -> Iterator[Check]:
    name = str(alert.get("alert"))
    field = f"spec.groups[{name}]"
    wrong = unknown(str(alert.get("expr")))
    yield document.check(f"{field}.expr", not wrong, wrong)
    severity = alert.get("labels", {}).get("severity")
    yield document.check(f"{field}.labels.severity", severity in SEVERITIES, f"is {severity}; set one of {SEVERITIES}")
    notes = alert.get("annotations", {})
    for note in ("summary", "description"):
        yield document.check(f"{field}.annotations.{note}", bool(notes.get(note)), "is missing")
    link = f"{RUNBOOK}#{name.lower()}"
    good = notes.get("runbook_url") == link
    yield document.check(f"{field}.annotations.runbook_url", good, f"is {notes.get('runbook_url')}; set {link}")
    if headings is not None:
        yield document.check(
            f"{field}.annotations.runbook_url", name.lower() in headings, f"{RUNBOOK} has no such entry"
        )


def _promtool(document: Document) -> Iterator[Check]:
    """Checks the groups with Prometheus' own tool, where there is one."""
    tool = shutil.which("promtool")
    if tool is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.yaml"
        path.write_text(yaml.safe_dump({"groups": document.get("spec.groups")}))
        done = subprocess.run([tool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    yield document.check("spec.groups", done.returncode == 0, f"promtool refuses them: {done.stderr.strip()}")
