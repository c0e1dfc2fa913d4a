"""Verbs of the tables' upkeep: merge past days, delete what is older than it may be kept."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import UTC, datetime, timedelta

from stmae.cli.arguments import Verb, add_json, day, positive, show, uri


def add_verbs(verb: Verb) -> None:
    """Adds compact and prune."""
    sub = verb("compact", _compact, "merge the hours of past days: each camera-day is one object a table then")
    _add_days(sub)
    add_json(sub)

    sub = verb("prune", _prune, "delete the rows and the pictures of past days")
    _add_days(sub)
    sub.add_argument("--pictures", action="store_true", help="delete the pictures of events alone")
    add_json(sub)


def _add_days(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--tables", required=True, type=uri, help="path, file:// or s3:// URI")
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument("--before", type=day, help="only days before this one (UTC), YYYY-MM-DD")
    which.add_argument(
        "--older-than", dest="before", type=_days_ago, metavar="DAYS", help="only days before so many days ago (UTC)"
    )
    sub.add_argument("--model", help="only this model partition; default: all")


def _days_ago(text: str) -> str:
    return (datetime.now(UTC).date() - timedelta(days=positive(text))).isoformat()


def _compact(arguments: argparse.Namespace) -> int:
    from stmae.batch.compaction import compact
    from stmae.storage import open_store

    done = compact(open_store(arguments.tables), arguments.before, arguments.model)
    show(arguments, dataclasses.asdict(done), done.message())
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    from stmae.batch.retention import prune
    from stmae.storage import open_store

    done = prune(open_store(arguments.tables), arguments.before, arguments.model, only_pictures=arguments.pictures)
    show(arguments, dataclasses.asdict(done), done.message())
    return 0
