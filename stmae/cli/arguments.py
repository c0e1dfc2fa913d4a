"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stmae import config

if TYPE_CHECKING:
    from stmae.serving.tls import Tls

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


def add_layout(parser: argparse.ArgumentParser) -> None:
    layouts = "of file names: a recorder, e.g. frigate, a pattern, or auto (docs/archive.md)"
    parser.add_argument("--layout", type=_layout, default="auto", help=f"{layouts}; default: %(default)s")
    parser.add_argument("--time-zone", type=_time_zone, default="UTC", help="of times in names; default: %(default)s")


def add_tls(parser: argparse.ArgumentParser) -> None:
    for name, variable, what in (
        ("ca", "STMAE_TLS_CA", "certificate of the authority that signed the server's; asks for TLS"),
        ("cert", "STMAE_TLS_CERT", "certificate of this client, for a server that asks for one"),
        ("key", "STMAE_TLS_KEY", "its private key"),
    ):
        given = os.environ.get(variable)
        default = Path(given) if given else None
        parser.add_argument(
            f"--tls-{name}", type=Path, metavar="PEM", default=default, help=f"{what}; default: ${variable}"
        )


def tls_of(arguments: argparse.Namespace) -> Tls | None:
    """Returns the files of the connection to `arguments.server`, checked; None for no TLS. Raises UsageError."""
    from stmae.serving.tls import Tls, TlsError

    ca, certificate, key = arguments.tls_ca, arguments.tls_cert, arguments.tls_key
    if ca is None and certificate is None and key is None:
        return None
    if ca is None:
        raise UsageError("--tls-cert and --tls-key need --tls-ca: which authority signed the server's certificate?")
    if not arguments.server:
        raise UsageError("--tls-ca is for a server: name it with --server; the embedded one has no TLS")
    tls = Tls(ca, certificate, key)
    try:
        tls.context()
    except TlsError as error:
        raise UsageError(str(error)) from None
    return tls


def _layout(text: str) -> str:
    from stmae.archive.layouts import Layout, LayoutError

    try:
        return Layout(text).name
    except LayoutError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _time_zone(text: str) -> str:
    from stmae.archive.layouts import Layout, LayoutError

    try:
        return Layout(zone=text).zone
    except LayoutError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
