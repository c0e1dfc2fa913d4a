"""Verbs of the nightly job: plan, which says what a run would do or what an archive would need, and score."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stmae.cli.arguments import (
    REPOSITORY,
    RUNTIME,
    UsageError,
    Verb,
    add_json,
    add_layout,
    add_tls,
    day,
    positive,
    show,
    tls_of,
    uri,
)

if TYPE_CHECKING:  # the job needs more than an image that only reports has
    from stmae.batch.metrics import Metrics
    from stmae.batch.plan import Options
    from stmae.serving.tls import Tls

RESULTS = Path("benchmarks/results")


def add_verbs(verb: Verb) -> None:
    """Adds plan and score."""
    sub = verb("plan", _plan, "say what `score` with the same arguments would do, and how long it would take")
    _add_run(sub)
    sub.add_argument("--estimate", action="store_true", help="say what an archive would need that is not there yet")
    sub.add_argument("--cameras", type=positive, help="of the estimate")
    sub.add_argument("--hours", type=_number, default=24.0, help="of footage a camera and day; default: %(default)g")
    sub.add_argument("--fps", type=_number, default=10.0, help="frames a second that are scored; default: %(default)g")
    sub.add_argument("--results", type=Path, default=RESULTS, help="what the estimate rests on; default: %(default)s")
    add_json(sub)

    sub = verb("score", _score, "score an archive into Parquet tables")
    _add_run(sub)
    sub.add_argument("--engine", default="local", choices=("local", "ray"))
    sub.add_argument("--workers", type=positive, help="processes or tasks at a time; default: as the machine has room")
    port = "port, or host:port, at which /metrics is answered while the run works"
    sub.add_argument("--metrics-port", type=_address, metavar="PORT", help=port)
    add_json(sub)


def _add_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--archive", type=uri, help="path, file:// or s3:// URI")
    sub.add_argument("--tables", type=uri, help="path, file:// or s3:// URI")
    sub.add_argument("--server", help="gRPC host:port of a running Triton; default: an embedded one for this run")
    add_tls(sub)
    sub.add_argument("--repository", type=Path, default=REPOSITORY, help="of the embedded one; default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="of the embedded one; default: %(default)s")
    sub.add_argument("--deployment", help="default: the repository's only one")
    sub.add_argument("--normality", help="default: <repository>/<deployment>/normality.json")
    sub.add_argument("--calibration", help="default: <repository>/<deployment>/calibration.json")
    add_layout(sub)
    sub.add_argument("--date", type=day, help="only this day (UTC), YYYY-MM-DD")
    sub.add_argument("--since", type=day, help="only this day (UTC) and later ones, and what has no date")
    sub.add_argument("--include", help="only hours with a file that matches one of these comma-separated globs")
    sub.add_argument("--deadline", type=float, default=60.0, help="seconds a request may take; default: %(default)s")


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number above 0")
    return number


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a port, or host:port")
    return host or "0.0.0.0", int(port)


def _plan(arguments: argparse.Namespace) -> int:
    if arguments.estimate:
        return _estimate(arguments)
    from stmae.batch.outlook import outlook
    from stmae.batch.survey import survey

    places, options = _places(arguments), _options(arguments)
    tls = tls_of(arguments)
    deployed = _deployed(arguments, tls)
    with _server(arguments) as url:
        seen = survey(*places, url, *deployed, deadline_seconds=arguments.deadline, tls=tls, **options)
    found = outlook(seen)
    show(arguments, dataclasses.asdict(found), found.message())
    for trouble in found.unlisted:
        print(f"stmae: {trouble}", file=sys.stderr)
    return 1 if found.unlisted else 0


def _estimate(arguments: argparse.Namespace) -> int:
    from stmae.batch.sizing import estimate

    if arguments.cameras is None:
        raise UsageError("plan --estimate: how many cameras? give --cameras")
    found = estimate(arguments.results, arguments.cameras, arguments.hours, arguments.fps)
    show(arguments, dataclasses.asdict(found), found.message())
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from stmae.batch.run import score_archive

    signal.signal(signal.SIGTERM, _end)
    places, options, tls = _places(arguments), _options(arguments), tls_of(arguments)
    deployed = _deployed(arguments, tls)
    with _metrics(arguments) as metrics, _server(arguments) as url:
        summary = score_archive(
            *places,
            url,
            *deployed,
            engine=arguments.engine,
            workers=arguments.workers,
            deadline_seconds=arguments.deadline,
            tls=tls,
            metrics=metrics,
            **options,
        )
        show(arguments, dataclasses.asdict(summary), summary.message())
        if not summary.complete:
            print(f"stmae: {summary.message()}", file=sys.stderr)
        sys.stdout.flush()  # before the last metrics are waited for
    return 0 if summary.complete else 1


def _end(signum: int, _: object) -> None:
    """Ends at once. What lies in the tables is whole, and the next run goes on.

    By default the first process of a container ignores SIGTERM, and a node that is drained waits for it.
    """
    os._exit(128 + signum)


@contextlib.contextmanager
def _metrics(arguments: argparse.Namespace) -> Iterator[Metrics | None]:
    """Yields the metrics of a run, and serves them, where that is asked for."""
    if arguments.metrics_port is None:
        yield None
        return
    from stmae.batch.metrics import Metrics, serving

    metrics = Metrics()
    host, port = arguments.metrics_port
    with serving(metrics, port, host):
        yield metrics


def _places(arguments: argparse.Namespace) -> tuple[str, str]:
    """Returns the archive and the tables. Raises UsageError."""
    missing = [name for name in ("archive", "tables") if getattr(arguments, name) is None]
    if missing:
        raise UsageError(f"the following arguments are required: {', '.join(f'--{name}' for name in missing)}")
    return arguments.archive, arguments.tables


def _deployed(arguments: argparse.Namespace, tls: Tls | None) -> tuple[str, str, str]:
    """Returns the deployment, and where its normality model and its calibration are. Raises UsageError."""
    deployment = arguments.deployment or _only_deployment(arguments.repository)
    if arguments.server:
        _check_served(arguments.server, deployment, arguments.repository, tls)
    published = arguments.repository / deployment
    normality = arguments.normality or str(published / "normality.json")
    calibration = arguments.calibration or str(published / "calibration.json")
    return deployment, normality, calibration


def _check_served(server: str, deployment: str, repository: Path, tls: Tls | None) -> None:
    """Raises ServingError where a repository of a models store holds another version than the server serves.

    What is fitted to the one says nothing of what the other measures.
    """
    from stmae.serving.client import Client, ServingError
    from stmae.serving.models.installation import installed

    holds = installed(repository, deployment)
    if holds is None:
        return
    with Client(server, deployment, tls=tls) as client:
        serves = client.describe().version
    if serves != holds:
        raise ServingError(
            "missing",
            f"{server}: serves {deployment} {serves or 'unbuilt'}, {repository} holds {holds}; "
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
