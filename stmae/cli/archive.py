"""Verbs of archives and of their tables: look at an archive, say how far runs are, report."""

from __future__ import annotations

import argparse
import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

from stmae.cli.arguments import WORKSPACE, UsageError, Verb, add_json, add_layout, day, positive, show, uri


def add_verbs(verb: Verb) -> None:
    """Adds archive, status and report."""
    sub = verb("archive", _inspect, "say what the names of an archive mean, before anything is scored")
    sub.add_argument("what", choices=("inspect",))
    sub.add_argument("archive", type=uri, help="path, file:// or s3:// URI")
    add_layout(sub)
    add_json(sub)

    sub = verb("status", _status, "say how far the last runs are that write into tables")
    sub.add_argument("--tables", required=True, type=uri, help="path, file:// or s3:// URI")
    sub.add_argument("--last", type=positive, default=3, help="so many runs; default: %(default)s")
    add_json(sub)

    sub = verb("report", _report, "write the morning report of the tables")
    sub.add_argument("--tables", required=True, type=uri, help="path, file:// or s3:// URI")
    sub.add_argument("--model", help="a model partition; default: that of the newest run")
    sub.add_argument("--date", type=day, help="only this day, YYYY-MM-DD")
    sub.add_argument("--out", type=Path, default=WORKSPACE / "reports" / "night.html", help="default: %(default)s")
    add_json(sub)


def _inspect(arguments: argparse.Namespace) -> int:
    from stmae.archive.inspect import inspect
    from stmae.storage import open_store

    found = inspect(open_store(arguments.archive), arguments.layout, arguments.time_zone)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), default=str, sort_keys=True))
    else:
        print(found.text())
    return 1 if found.unlisted else 0


def _status(arguments: argparse.Namespace) -> int:
    from stmae.batch.status import read_statuses
    from stmae.storage import open_store

    found = read_statuses(open_store(arguments.tables), arguments.last)
    if not found:
        raise UsageError(f"{arguments.tables}: no run has written there; score an archive first, or correct the URI")
    now = datetime.now(UTC)
    runs = [dataclasses.asdict(each) | each.derived(now) for each in found]
    show(arguments, {"runs": runs}, "\n".join(each.message(now) for each in found))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from stmae.report.night import night_report

    path = night_report(arguments.tables, arguments.model, arguments.date, arguments.out)
    show(arguments, {"night_report": str(path)}, str(path))
    return 0
