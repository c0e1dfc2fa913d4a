"""Verbs of archives: look at one, score it, report on its tables."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stmae.cli.arguments import REPOSITORY, RUNTIME, WORKSPACE, UsageError, Verb, add_json, day, positive, show, uri

if TYPE_CHECKING:  # the job needs more than an image that only reports has
    from stmae.batch.plan import Options


def add_verbs(verb: Verb) -> None:
    """Adds archive, plan, score, status and report."""
    sub = verb("archive", _inspect, "say what the names of an archive mean, before anything is scored")
    sub.add_argument("what", choices=("inspect",))
    sub.add_argument("archive", type=uri, help="path, file:// or s3:// URI")
    _add_layout(sub)
    add_json(sub)

    sub = verb("plan", _plan, "say what `score` with the same arguments would do, and how long it would take")
    _add_run(sub)
    add_json(sub)

    sub = verb("score", _score, "score an archive into Parquet tables")
    _add_run(sub)
    sub.add_argument("--engine", default="local", choices=("local", "ray"))
    sub.add_argument("--workers", type=positive, help="processes or tasks at a time; default: as the machine has room")
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


def _add_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--archive", required=True, type=uri, help="path, file:// or s3:// URI")
    sub.add_argument("--tables", required=True, type=uri, help="path, file:// or s3:// URI")
    sub.add_argument("--server", help="gRPC host:port of a running Triton; default: an embedded one for this run")
    sub.add_argument("--repository", type=Path, default=REPOSITORY, help="of the embedded one; default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="of the embedded one; default: %(default)s")
    sub.add_argument("--deployment", help="default: the repository's only one")
    sub.add_argument("--normality", help="default: <repository>/<deployment>/normality.json")
    sub.add_argument("--calibration", help="default: <repository>/<deployment>/calibration.json")
    _add_layout(sub)
    sub.add_argument("--date", type=day, help="only this day (UTC), YYYY-MM-DD")
    sub.add_argument("--since", type=day, help="only this day (UTC) and later ones, and what has no date")
    sub.add_argument("--include", help="only hours with a file that matches one of these comma-separated globs")
    sub.add_argument("--deadline", type=float, default=60.0, help="seconds a request may take; default: %(default)s")


def _add_layout(parser: argparse.ArgumentParser) -> None:
    layouts = "of file names: a recorder, e.g. frigate, a pattern, or auto (docs/archive.md)"
    parser.add_argument("--layout", type=_layout, default="auto", help=f"{layouts}; default: %(default)s")
    parser.add_argument("--time-zone", type=_time_zone, default="UTC", help="of times in names; default: %(default)s")


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


def _inspect(arguments: argparse.Namespace) -> int:
    from stmae.archive.inspect import inspect
    from stmae.storage import open_store

    found = inspect(open_store(arguments.archive), arguments.layout, arguments.time_zone)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), default=str, sort_keys=True))
    else:
        print(found.text())
    return 1 if found.unlisted else 0


def _plan(arguments: argparse.Namespace) -> int:
    from stmae.batch.outlook import outlook
    from stmae.batch.survey import survey

    deployed, options = _deployed(arguments), _options(arguments)
    with _server(arguments) as url:
        seen = survey(
            arguments.archive, arguments.tables, url, *deployed, deadline_seconds=arguments.deadline, **options
        )
    found = outlook(seen)
    show(arguments, dataclasses.asdict(found), found.message())
    for trouble in found.unlisted:
        print(f"stmae: {trouble}", file=sys.stderr)
    return 1 if found.unlisted else 0


def _score(arguments: argparse.Namespace) -> int:
    from stmae.batch.run import score_archive

    deployed, options = _deployed(arguments), _options(arguments)
    with _server(arguments) as url:
        summary = score_archive(
            arguments.archive,
            arguments.tables,
            url,
            *deployed,
            engine=arguments.engine,
            workers=arguments.workers,
            deadline_seconds=arguments.deadline,
            **options,
        )
    show(arguments, dataclasses.asdict(summary), summary.message())
    if not summary.complete:
        print(f"stmae: {summary.message()}", file=sys.stderr)
    return 0 if summary.complete else 1


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


def _deployed(arguments: argparse.Namespace) -> tuple[str, str, str]:
    """Returns the deployment, and where its normality model and its calibration are. Raises UsageError."""
    deployment = arguments.deployment or _only_deployment(arguments.repository)
    if arguments.server:
        _check_served(arguments.server, deployment, arguments.repository)
    published = arguments.repository / deployment
    normality = arguments.normality or str(published / "normality.json")
    calibration = arguments.calibration or str(published / "calibration.json")
    return deployment, normality, calibration


def _check_served(server: str, deployment: str, repository: Path) -> None:
    """Raises ServingError where a repository of a models store holds another version than the server serves.

    What is fitted to the one says nothing of what the other measures.
    """
    from stmae.serving.client import Client, ServingError
    from stmae.serving.models.installation import installed

    holds = installed(repository, deployment)
    if holds is None:
        return
    with Client(server, deployment) as client:
        serves = client.describe().version
    if serves != holds:
        raise ServingError(
            "missing",
            f"{server}: serves {deployment} {serves or 'of no models store'}, {repository} holds {holds}; "
            "wait until `stmae serve-models` has loaded what is promoted, or sync again",
        )


def _options(arguments: argparse.Namespace) -> Options:
    return {
        "date": arguments.date,
        "since": arguments.since,
        "include": arguments.include,
        "layout": arguments.layout,
        "zone": arguments.time_zone,
    }


@contextlib.contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[str]:
    """Yields the gRPC address of the server that was named, or of an embedded one for as long as it is needed."""
    if arguments.server:
        yield arguments.server
        return
    from stmae.serving.triton.launcher import EmbeddedTriton

    with EmbeddedTriton(arguments.repository, runtime=arguments.runtime) as triton:
        yield triton.grpc_url


def _only_deployment(repository: Path) -> str:
    from stmae.serving.repository import find_deployments

    found = find_deployments(repository) if repository.is_dir() else []
    if len(found) != 1:
        what = f"holds {', '.join(found)}: name one with --deployment" if found else "holds no deployment: publish one"
        raise UsageError(f"repository {repository} {what}")
    return found[0]


def _report(arguments: argparse.Namespace) -> int:
    from stmae.report.night import night_report

    path = night_report(arguments.tables, arguments.model, arguments.date, arguments.out)
    show(arguments, {"night_report": str(path)}, str(path))
    return 0
