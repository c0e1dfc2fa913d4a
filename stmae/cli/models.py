"""Verbs of the models store: show versions, promote one, roll back, and bring them to a Triton."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import threading
from pathlib import Path
from typing import Any

from stmae.cli.arguments import Verb, add_json, add_tls, positive, show, tls_of, uri
from stmae.serving.pbtxt import ACCELERATORS, EMBEDDED


def add_verbs(verb: Verb) -> None:
    """Adds versions, promote, rollback, sync and serve-models."""
    sub = verb("versions", _versions, "show the published versions of a models store")
    _add_store(sub)
    sub.add_argument("deployment", nargs="?", help="only this one")
    add_json(sub)

    sub = verb("promote", _promote, "make a published version the one that is served")
    _add_store(sub)
    sub.add_argument("deployment")
    sub.add_argument("version", help="as `stmae versions` shows it")
    add_json(sub)

    sub = verb("rollback", _rollback, "return to the version that was promoted before")
    _add_store(sub)
    sub.add_argument("deployment")
    add_json(sub)

    sub = verb("sync", _sync, "install what is promoted into a Triton repository")
    _add_target(sub)

    sub = verb("serve-models", _serve_models, "keep a running Triton at what is promoted, and answer for its health")
    _add_target(sub)
    sub.add_argument(
        "--server", required=True, metavar="HOST:PORT", help="gRPC of a Triton with explicit model control"
    )
    add_tls(sub)
    sub.add_argument("--every", type=positive, default=30, metavar="SECONDS", help="default: %(default)s")
    sub.add_argument("--health", type=positive, metavar="PORT", help="answer /live, /ready and /metrics here")


def _add_store(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("models", type=uri, help="the models store: path, file:// or s3:// URI")


def _add_target(sub: argparse.ArgumentParser) -> None:
    _add_store(sub)
    sub.add_argument("repository", type=Path, help="folder of the Triton repository")
    sub.add_argument(
        "--trust", type=Path, metavar="KEY.pem", help="install only what the private key of this one signed"
    )
    sub.add_argument("--accelerator", choices=ACCELERATORS, default=EMBEDDED, help="default: %(default)s")


def _versions(arguments: argparse.Namespace) -> int:
    from stmae.serving import models
    from stmae.storage import open_store

    store = open_store(arguments.models)
    names = [arguments.deployment] if arguments.deployment else models.deployments(store, promoted=False)
    rows: list[dict[str, Any]] = []
    for name in names:
        now = models.current(store, name)
        for each in models.versions(store, name):
            row = {
                key: value
                for key, value in dataclasses.asdict(each).items()
                if key not in ("files", "evaluation", "parity")
            }
            row["auc"] = each.evaluation.get("figures", {}).get("combined_auc_micro_raw")
            row["current"] = now is not None and now.version == each.version
            rows.append(row)
    lines = [f"{'':2}{'deployment':20} {'version':12}  {'published (UTC)':25}  {'AUC':5}  signed"]
    for row in rows:
        auc = "-" if row["auc"] is None else f"{row['auc']:.3f}"
        mark, signed = "* " if row["current"] else "  ", "yes" if row["signed"] else "no"
        lines.append(f"{mark}{row['deployment']:20} {row['version']:12}  {row['published']:25}  {auc:5}  {signed}")
    show(arguments, {"versions": rows}, "\n".join(lines) if rows else f"{store.root}: no versions")
    return 0


def _promote(arguments: argparse.Namespace) -> int:
    from stmae.serving import models
    from stmae.storage import open_store

    version = models.promote(open_store(arguments.models), arguments.deployment, arguments.version)
    _tell(arguments, version.deployment, version.version)
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    from stmae.serving import models
    from stmae.storage import open_store

    version = models.rollback(open_store(arguments.models), arguments.deployment)
    _tell(arguments, version.deployment, version.version)
    return 0


def _tell(arguments: argparse.Namespace, deployment: str, version: str) -> None:
    show(arguments, {"deployment": deployment, "version": version}, f"{deployment}: {version} is promoted")


def _sync(arguments: argparse.Namespace) -> int:
    from stmae.serving.models.installation import sync
    from stmae.storage import open_store

    store, repository = open_store(arguments.models), arguments.repository
    for version in sync(store, repository, trust=arguments.trust, accelerator=arguments.accelerator):
        print(f"{version.deployment}: {version.version} is installed in {repository}")
    return 0


def _serve_models(arguments: argparse.Namespace) -> int:
    from stmae.serving.models.control import Control
    from stmae.serving.models.sidecar import Sidecar, health_server, serve_models
    from stmae.storage import open_store

    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with Control(arguments.server, tls_of(arguments)) as server:
        sidecar = Sidecar(
            open_store(arguments.models), arguments.repository, server, arguments.trust, arguments.accelerator
        )
        health = health_server(sidecar, arguments.health) if arguments.health else None
        serve_models(sidecar, every_seconds=arguments.every, health=health, wait=over.wait)
    return 0
