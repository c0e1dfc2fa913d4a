"""python -m pipelines compile | run: writes the pipelines as YAML, or runs one on this machine or on a cluster."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kfp import compiler

from pipelines.cluster import ClusterError, submit
from pipelines.local import RunError, run_study, run_train
from pipelines.study import study
from pipelines.train import train

COMPILED = Path("work/pipelines")


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 the work could not be completed, 2 bad usage or configuration."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
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
    run_.add_argument("--config", required=True, help="a shipped configuration's name, or a .toml file")
    run_.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a configuration value")
    run_.add_argument("--seeds", default="1,2,3", help="seeds of a study; default: 1,2,3")
    run_.add_argument(
        "--data-root",
        help="default: what `stmae data-root` prints, on a cluster /data",
    )
    run_.add_argument("--data-version", help="cluster only: a string that changes with the footage; default: the time")
    run_.add_argument("--workspace", type=Path, default=Path("work"), help="default: work")
    run_.add_argument("--host", default=os.environ.get("KFP_HOST", ""), help="default: $KFP_HOST")
    run_.set_defaults(verb=_run)
    return parser


def _compile(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.out
    if folder.suffix in (".yaml", ".yml"):
        print(f"--out {folder}: must be a folder, with a file for each pipeline; leave the suffix off", file=sys.stderr)
        return 2
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
    config, seeds = _ask(arguments, "config"), []
    if arguments.pipeline != "train":
        seeds = json.loads(_ask(arguments, "config", "--study", arguments.pipeline, "--seeds", arguments.seeds))
    return _submit(arguments, config, seeds) if arguments.host else _run_here(arguments, config, seeds)


def _ask(arguments: argparse.Namespace, verb: str, *options: str) -> str:
    """Returns what `stmae VERB` prints of the configuration.

    Pipelines know the library only through its command: a submitting machine and CI need no more.
    """
    overrides = [part for value in arguments.set for part in ("--set", value)]
    command = [sys.executable, "-m", "stmae", verb, arguments.config, *overrides, *options]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        sys.exit(answer.returncode)
    return answer.stdout.strip()


def _run_here(arguments: argparse.Namespace, config: str, seeds: list[dict[str, Any]]) -> int:
    workspace: Path = arguments.workspace
    data_root = Path(arguments.data_root or _ask(arguments, "data-root", "--workspace", str(workspace)))
    try:
        if seeds:
            summary = run_study(arguments.pipeline, config, seeds, data_root=data_root, workspace=workspace)
        else:
            repository, runtime = workspace / "model_repository", Path(".triton")
            summary = run_train(
                config, data_root=data_root, workspace=workspace, repository=repository, runtime=runtime
            )
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"workspace {workspace} cannot be written: {error}; choose another one", file=sys.stderr)
        return 1
    print(summary)
    return 0


def _submit(arguments: argparse.Namespace, config: str, seeds: list[dict[str, Any]]) -> int:
    given = {"config": config, "data_root": arguments.data_root, "data_version": arguments.data_version}
    given = {key: value for key, value in given.items() if value}
    name = json.loads(config)["name"]
    try:
        if seeds:
            title = f"{arguments.pipeline}-{name}"
            address = submit(arguments.host, study, title, study=arguments.pipeline, seeds=seeds, **given)
        else:
            address = submit(arguments.host, train, name, **given)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(address)
    return 0


if __name__ == "__main__":
    sys.exit(main())
