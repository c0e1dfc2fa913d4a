"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stmae import config

WORKSPACE = Path("work")
REPOSITORY = WORKSPACE / "model_repository"
RUNTIME = Path(".triton")


Verb = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""Adds a verb, given its name, what runs it and its help; returns the parser of its arguments."""


class UsageError(ValueError):
    """Arguments that don't fit together; exit status 2."""


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help=f"a .toml file or one of: {', '.join(config.names())}")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a value; repeatable")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def uri(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a path, file:// or s3:// URI")
    return text


def show(arguments: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    print(json.dumps(result, sort_keys=True) if arguments.json else text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number from 1 on")
    return int(text)


def day(text: str) -> str:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a day of the calendar, YYYY-MM-DD") from None
