"""python -m benchmarks.gpu folder | run | record: a measurement on a machine with a GPU (README.md)."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from stmae.config import ConfigError
from stmae.datasets.manifest import DatasetError

SECONDS = 480.0


def main() -> int:
    """Returns 0, 1 where a stage did not come to its end or nothing can be recorded, or 2 on bad usage."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.verb(arguments))
    except (ConfigError, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    folder = verbs.add_parser("folder", help="here: assemble the folder that travels to the machine")
    folder.add_argument("--data-root", type=Path, required=True, help="folder of UCSD Ped2, or the one above")
    folder.add_argument("--out", type=Path, default=Path(".gpu"), help="default: .gpu")
    folder.set_defaults(verb=_folder)
    run = verbs.add_parser("run", help="there: measure, and write gpu.json")
    run.add_argument("--data", type=Path, default=Path(".gpu"), help="the assembled folder; default: .gpu")
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--seeds", default="1,2,3", help="trained side by side; default: 1,2,3")
    run.add_argument("--seconds", type=float, default=SECONDS, help=f"time for all stages; default: {SECONDS:.0f}")
    run.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a value of `ped2`")
    run.set_defaults(verb=_run)
    record = verbs.add_parser("record", help="here: turn gpu.json into results files")
    record.add_argument("source", type=Path, metavar="gpu.json")
    record.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="default: benchmarks/results")
    record.set_defaults(verb=_record)
    return parser


def _folder(arguments: argparse.Namespace) -> int:
    from benchmarks.gpu.folder import assemble

    print(f"{arguments.out}: {assemble(arguments.data_root, arguments.out):.1f} MiB")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from benchmarks.gpu.run import measure

    try:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
    except ValueError:
        seeds = []
    if not seeds or len(set(seeds)) < len(seeds):
        print(f"--seeds {arguments.seeds!r}: must be whole numbers, each once, as in 1,2,3", file=sys.stderr)
        return 2
    command = shlex.join(["python3", "-m", "benchmarks.gpu", *sys.argv[1:]])
    return measure(arguments.data, arguments.out, seeds, arguments.seconds, arguments.set, command)


def _record(arguments: argparse.Namespace) -> int:
    from benchmarks.gpu.results import MeasurementError, record_all

    try:
        written = record_all(arguments.source, arguments.out)
    except MeasurementError as error:
        print(error, file=sys.stderr)
        return 1
    for path in written:
        print(path)
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
