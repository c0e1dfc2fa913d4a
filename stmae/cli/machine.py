"""Verbs of one machine: serve a repository, ask a server whether it is alive, and the demo."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from stmae import config
from stmae.cli.arguments import (
    REPOSITORY,
    RUNTIME,
    WORKSPACE,
    Verb,
    add_config,
    add_json,
    add_tls,
    positive,
    show,
    tls_of,
)


def add_verbs(verb: Verb) -> None:
    """Adds serve, probe and demo."""
    sub = verb("serve", _serve, "run the embedded Triton in the foreground")
    sub.add_argument("--repository", type=Path, default=REPOSITORY, help="default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="default: %(default)s")
    for protocol, port in (("http", 8000), ("grpc", 8001), ("metrics", 8002)):
        sub.add_argument(f"--{protocol}-port", type=int, default=port, help="default: %(default)s")

    sub = verb("probe", _probe, "ask a server for an inference: it may call itself ready while a model is dead")
    sub.add_argument("server", metavar="HOST:PORT", help="gRPC of a Triton")
    sub.add_argument("deployment", nargs="+")
    sub.add_argument("--deadline", type=positive, default=10, metavar="SECONDS", help="default: %(default)s")
    add_tls(sub)
    add_json(sub)

    sub = verb("demo", _demo, "score a small archive with a freshly trained model and report on it")
    add_config(sub)
    sub.add_argument("--data-root", type=Path, help="default: what `stmae data-root` prints")
    sub.add_argument("--workspace", type=Path, default=WORKSPACE, help="default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="default: %(default)s")
    sub.add_argument("--started", type=float, help="seconds since the epoch at which all this began")


def _serve(arguments: argparse.Namespace) -> int:
    from stmae.serving.triton.launcher import serve
    from stmae.serving.triton.ports import Ports

    ports = Ports(arguments.http_port, arguments.grpc_port, arguments.metrics_port)
    serve(arguments.repository, arguments.runtime, ports)
    return 0


def _probe(arguments: argparse.Namespace) -> int:
    from stmae.serving.client import ServingError
    from stmae.serving.models.control import Control

    tls, answers = tls_of(arguments), {}
    with Control(arguments.server, tls) as server:
        for deployment in arguments.deployment:
            began = time.monotonic()
            try:
                server.infer(deployment, arguments.deadline)
                answers[deployment] = f"answers after {1000 * (time.monotonic() - began):.0f} ms"
            except ServingError as error:
                if error.cause != "busy":
                    raise
                answers[deployment] = "is busy"
    show(arguments, answers, "\n".join(f"{deployment} {answer}" for deployment, answer in answers.items()))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from stmae.datasets.readers import default_data_root
    from stmae.demo import demo

    settings = config.load(arguments.config, arguments.set)
    data_root = arguments.data_root or default_data_root(settings, arguments.workspace)
    line = demo(settings, data_root, arguments.workspace, arguments.runtime, arguments.started)
    print(json.dumps(line))
    return 0
