"""python -m pipelines compile | run | schedule: writes the pipelines as YAML, runs one here or on a cluster, or
has the cluster train again and again.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from components.images import ImageError
from pipelines.request import Request, RequestError
from pipelines.site import SiteError

COMPILED = Path("work/pipelines")
WEEKLY = "0 0 3 * * 0"
CRON_FIELDS = 6


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 the work could not be completed, 2 bad usage or configuration."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except (SiteError, ImageError) as error:
        print(error, file=sys.stderr)
        return 2
    except RequestError as error:
        return error.status
    except KeyboardInterrupt:
        print("interrupted; the steps that had finished are kept in the run's folder", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    compile_ = verbs.add_parser("compile", help="write each pipeline as YAML for Kubeflow")
    compile_.add_argument("--out", type=Path, default=COMPILED, metavar="FOLDER", help=f"default: {COMPILED}")
    compile_.set_defaults(verb=_compile)

    run_ = verbs.add_parser("run", help="run a pipeline, on the cluster at KFP_HOST where that is set, else here")
    run_.add_argument("--pipeline", default="train", help="train, or a study of `stmae config --study`; default: train")
    run_.add_argument("--seeds", default="1,2,3", help="seeds of a study; default: 1,2,3")
    run_.add_argument("--workspace", type=Path, default=Path("work"), help="default: work")
    _add_request(run_)
    run_.set_defaults(verb=_run)

    schedule_ = verbs.add_parser("schedule", help="train on the cluster again and again, as footage comes in")
    schedule_.add_argument(
        "--cron",
        default=WEEKLY,
        help="six fields: second, minute, hour, day, month, day of the week; default: Sundays at three, %(default)r",
    )
    _add_request(schedule_)
    schedule_.set_defaults(verb=_schedule)
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="a shipped configuration's name, or a .toml file")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a configuration value")
    parser.add_argument(
        "--data-root", help="folder or s3:// URI; default: what `stmae data-root` prints, on a cluster /data"
    )
    parser.add_argument(
        "--data-version", help="cluster only: a string that changes with the footage; default: its listing's digest"
    )
    parser.add_argument("--host", default=os.environ.get("KFP_HOST", ""), help="default: $KFP_HOST")


def _compile(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.out
    if folder.suffix in (".yaml", ".yml"):
        print(f"--out {folder}: must be a folder, with a file for each pipeline; leave the suffix off", file=sys.stderr)
        return 2
    from kfp import compiler

    from pipelines.study import study
    from pipelines.train import train

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for pipeline in (train, study):
            path = folder / f"{pipeline.name.removeprefix('stmae-')}.yaml"
            compiler.Compiler().compile(pipeline, str(path))
            print(path)
    except OSError as error:
        print(f"{folder} cannot be written: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> int:
    study = "" if arguments.pipeline == "train" else arguments.pipeline
    request = Request.of(arguments.config, arguments.set, study, arguments.seeds)
    return _submit(arguments, request) if arguments.host else _run_here(arguments, request)


def _run_here(arguments: argparse.Namespace, request: Request) -> int:
    from pipelines.local import RunError, run_study, run_train

    workspace: Path = arguments.workspace
    data_root = arguments.data_root or request.data_root(workspace)
    try:
        if request.study:
            summary = run_study(request, data_root=data_root, workspace=workspace)
        else:
            repository, runtime = workspace / "model_repository", Path(".triton")
            summary = run_train(
                request, data_root=data_root, workspace=workspace, repository=repository, runtime=runtime
            )
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"workspace {workspace} cannot be written: {error}; choose another one", file=sys.stderr)
        return 1
    print(summary)
    return 0


def _submit(arguments: argparse.Namespace, request: Request) -> int:
    from pipelines.cluster import ClusterError, submit
    from pipelines.resources import SITE
    from pipelines.study import study
    from pipelines.train import train

    name = f"{request.study}-{request.name}" if request.study else request.name
    try:
        address = submit(
            arguments.host,
            study if request.study else train,
            name,
            SITE.service_account,
            **_given(arguments, request),
        )
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(address)
    return 0


def _schedule(arguments: argparse.Namespace) -> int:
    if not arguments.host:
        print("schedule: no cluster; set KFP_HOST (http://host:port), or give --host", file=sys.stderr)
        return 2
    if len(arguments.cron.split()) != CRON_FIELDS:
        print(f"--cron {arguments.cron!r}: must have six fields, the first one seconds, as {WEEKLY!r}", file=sys.stderr)
        return 2
    request = Request.of(arguments.config, arguments.set)
    from pipelines.cluster import ClusterError, schedule
    from pipelines.resources import SITE
    from pipelines.train import train

    name = f"retrain-{request.name}"
    try:
        address = schedule(
            arguments.host, train, name, SITE.service_account, arguments.cron, **_given(arguments, request)
        )
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(address)
    return 0


def _given(arguments: argparse.Namespace, request: Request) -> dict[str, Any]:
    """Returns the parameters of a pipeline on a cluster; those that nobody named keep their defaults."""
    registry = os.environ.get("MODEL_REGISTRY", "") if not request.study else ""
    more = {"data_root": arguments.data_root, "data_version": arguments.data_version, "model_registry": registry}
    return request.parameters | {key: value for key, value in more.items() if value}


if __name__ == "__main__":
    sys.exit(main())
