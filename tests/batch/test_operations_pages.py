"""docs/observability.md and docs/runbook.md name every metric, span and alert, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from stmae.batch.metrics import METRICS
from stmae.batch.traces import SPANS
from stmae.batch.worker import REASONS

ROOT = Path(__file__).resolve().parents[2]
OBSERVABILITY = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
ALERTS = {
    *("StmaeNightFailed", "StmaeNightMissing", "StmaeArchiveLag", "StmaeSourcesUnread", "StmaeTritonQueue"),
    *("StmaeModelUnhealthy", "StmaeModelSyncFailing", "StmaeGpuMemory", "StmaeNoScores"),
}


def test_every_metric_of_the_job_is_told_with_its_type_and_label() -> None:
    told = dict(re.findall(r"^\| `(stmae_batch_\w+(?:{\w+})?)` \| (\w+) \|", OBSERVABILITY, re.M))
    exposed = {f"{name}{{{each.label}}}" if each.label else name: each.kind for name, each in METRICS.items()}
    assert told == exposed
    assert all(f"`{reason}`" in OBSERVABILITY for reason in REASONS)


def test_every_span_is_told() -> None:
    assert set(re.findall(r"^\| `(stmae\.\w+)` \|", OBSERVABILITY, re.M)) == set(SPANS)


def test_every_alert_has_an_entry_that_says_what_to_do_and_when_it_is_over() -> None:
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.M | re.S))
    assert set(entries) == ALERTS
    for name, text in entries.items():
        assert all(f"**{part}.**" in text for part in ("Means", "Look at", "Over")), name
        assert "**Do.**" in text or "| do |" in text, name


def test_metrics_that_the_pages_name_exist() -> None:
    known = {*METRICS, "stmae_models_current_info", "stmae_models_healthy", "stmae_models_sync_failures_total"}
    for page in (OBSERVABILITY, RUNBOOK):
        assert set(re.findall(r"\bstmae_(?:batch|models)_\w+", page)) <= known
