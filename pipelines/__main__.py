"""python -m pipelines compile | run: the training pipeline as YAML, on this machine, or on a cluster."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from kfp import compiler

from pipelines.cluster import ClusterError, submit
from pipelines.local import RunError, run
from pipelines.train import train

COMPILED = Path("work/pipelines/train.yaml")


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 the work could not be completed, 2 bad usage or configuration."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.verb(arguments))
    except KeyboardInterrupt:
        print("interrupted; the steps that had finished are kept in the run's folder", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    compile_ = verbs.add_parser("compile", help="write the pipeline as YAML for Kubeflow")
    compile_.add_argument("--out", type=Path, default=COMPILED, help=f"default: {COMPILED}")
    compile_.set_defaults(verb=_compile)
    run_ = verbs.add_parser("run", help="run it: on the cluster at KFP_HOST where that is set, else here")
    run_.add_argument("--config", required=True, help="a shipped configuration's name, or a .toml file")
    run_.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a configuration value")
    run_.add_argument("--data-root", help="default: <workspace>/datasets/<reader>, on a cluster /data")
    run_.add_argument("--data-version", help="cluster only: changes when the footage does; default: the time")
    run_.add_argument("--workspace", type=Path, default=Path("work"), help="default: work")
    run_.add_argument("--host", default=os.environ.get("KFP_HOST", ""), help="default: $KFP_HOST")
    run_.set_defaults(verb=_run)
    return parser


def _compile(arguments: argparse.Namespace) -> int:
    if arguments.out.suffix not in (".yaml", ".yml"):
        print(f"--out {arguments.out}: must end in .yaml", file=sys.stderr)
        return 2
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        compiler.Compiler().compile(train, str(arguments.out))
    except OSError as error:
        print(f"{arguments.out} cannot be written: {error}", file=sys.stderr)
        return 1
    print(arguments.out)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    overrides = [part for value in arguments.set for part in ("--set", value)]
    # Pipelines know the library only through its command: a submitting machine and CI need no more.
    resolved = subprocess.run(
        [sys.executable, "-m", "stmae", "config", arguments.config, *overrides],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if resolved.returncode != 0:
        return resolved.returncode
    config = resolved.stdout.strip()
    return _submit(arguments, config) if arguments.host else _run_here(arguments, config)


def _run_here(arguments: argparse.Namespace, config: str) -> int:
    workspace: Path = arguments.workspace
    default = workspace / "datasets" / json.loads(config)["data"]["reader"]
    try:
        summary = run(
            config,
            data_root=Path(arguments.data_root) if arguments.data_root else default,
            workspace=workspace,
            repository=workspace / "model_repository",
            runtime=Path(".triton"),
        )
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"workspace {workspace} cannot be written: {error}; choose another one", file=sys.stderr)
        return 1
    print(summary)
    return 0


def _submit(arguments: argparse.Namespace, config: str) -> int:
    given = {"data_root": arguments.data_root, "data_version": arguments.data_version}
    try:
        address = submit(arguments.host, config, **{key: value for key, value in given.items() if value})
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(address)
    return 0


if __name__ == "__main__":
    sys.exit(main())
