"""`stmae VERB`: every verb exits 0 on success, 1 when work could not be completed, 2 on bad usage or configuration.

Modules are imported by the verb that needs them: `stmae score` runs in an image without torch.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stmae import __version__, config
from stmae.evaluation.study import STUDIES, to_json, variants

WORKSPACE = Path("work")
REPOSITORY = WORKSPACE / "model_repository"
RUNTIME = Path(".triton")


class UsageError(ValueError):
    """Arguments that don't fit together; exit status 2."""


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return int(arguments.run(arguments))
    except (config.ConfigError, UsageError) as error:
        print(f"stmae: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stmae: interrupted; finished work is kept, the same command goes on from there", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"stmae: {error}; {_extra_for(error.name or '')}", file=sys.stderr)
        return 1
    except (OSError, ValueError, RuntimeError) as error:
        # What stmae raises for bad input says the file, the field and the mend; the trace is for -v.
        logging.getLogger(__name__).info("failed", exc_info=error)
        print(f"stmae: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stmae", description="Video anomaly detection for CCTV archives.")
    parser.add_argument("--version", action="version", version=f"stmae {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    _add_dataset_verbs(verb)

    sub = verb("train-flow", _train_flow, "train the flow net on synthetic motion")
    sub.add_argument("--out", type=Path, default=WORKSPACE / "flow", help="default: %(default)s")
    sub.add_argument("--steps", type=int, help="default: those of the weights in the package")
    sub.add_argument("--seed", type=int, default=1)
    _add_json(sub)

    sub = verb("serve", _serve, "run the embedded Triton in the foreground")
    sub.add_argument("--repository", type=Path, default=REPOSITORY, help="default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="default: %(default)s")
    for protocol, port in (("http", 8000), ("grpc", 8001), ("metrics", 8002)):
        sub.add_argument(f"--{protocol}-port", type=int, default=port, help="default: %(default)s")

    sub = verb("score", _score, "score an archive into Parquet tables")
    sub.add_argument("--archive", required=True, type=_uri, help="path, file:// or s3:// URI")
    sub.add_argument("--tables", required=True, type=_uri, help="path, file:// or s3:// URI")
    sub.add_argument("--server", help="gRPC host:port of a running Triton; default: an embedded one for this run")
    sub.add_argument("--repository", type=Path, default=REPOSITORY, help="of the embedded one; default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="of the embedded one; default: %(default)s")
    sub.add_argument("--deployment", help="default: the repository's only one")
    sub.add_argument("--normality", help="default: <repository>/<deployment>/normality.json")
    sub.add_argument("--calibration", help="default: <repository>/<deployment>/calibration.json")
    sub.add_argument("--date", type=_day, help="only this day, YYYY-MM-DD")
    sub.add_argument("--include", help="only files that match one of these comma-separated globs")
    sub.add_argument("--engine", default="local", choices=("local", "ray"))
    sub.add_argument("--deadline", type=float, default=60.0, help="seconds a request may take; default: %(default)s")
    _add_json(sub)

    sub = verb("report", _report, "write the morning report of the tables")
    sub.add_argument("--tables", required=True, type=_uri, help="path, file:// or s3:// URI")
    sub.add_argument("--model", help="a model partition; default: that of the newest run")
    sub.add_argument("--date", type=_day, help="only this day, YYYY-MM-DD")
    sub.add_argument("--out", type=Path, default=WORKSPACE / "reports" / "night.html", help="default: %(default)s")
    _add_json(sub)

    sub = verb("demo", _demo, "score a small archive with a freshly trained model and report on it")
    _add_config(sub)
    sub.add_argument("--data-root", type=Path, help="default: what `stmae data-root` prints")
    sub.add_argument("--workspace", type=Path, default=WORKSPACE, help="default: %(default)s")
    sub.add_argument("--runtime", type=Path, default=RUNTIME, help="default: %(default)s")
    sub.add_argument("--started", type=float, help="seconds since the epoch at which all this began")
    return parser


def _add_dataset_verbs(
    verb: Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser],
) -> None:
    sub = verb("config", _config, "print a resolved configuration as JSON, or the variants of it that a study compares")
    _add_config(sub)
    sub.add_argument("--study", help=f"one of: {', '.join(STUDIES)}")
    sub.add_argument("--seeds", default="1,2,3", help="of the study; default: %(default)s")

    sub = verb("data-root", _data_root, "print the folder where a data set's footage is looked for by default")
    _add_config(sub)
    sub.add_argument("--workspace", type=Path, default=WORKSPACE, help="default: %(default)s")

    sub = verb("prepare", _prepare, "read a dataset and write its prepared form")
    _add_config(sub)
    sub.add_argument("--data-root", type=Path, required=True, help="folder with the footage")
    sub.add_argument("--out", type=Path, required=True, help="folder of the prepared dataset")
    _add_json(sub)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help=f"a .toml file or one of: {', '.join(config.names())}")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a value; repeatable")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _uri(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a path, file:// or s3:// URI")
    return text


def _print(arguments: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    print(json.dumps(result, sort_keys=True) if arguments.json else text)


def _day(text: str) -> str:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a day of the calendar, YYYY-MM-DD") from None


def _config(arguments: argparse.Namespace) -> int:
    from stmae.datasets.readers import resolve

    settings = resolve(config.load(arguments.config, arguments.set))
    if arguments.study is None:
        print(settings.to_json())
    else:
        print(to_json(settings, variants(settings, arguments.study, _whole_numbers(arguments.seeds))))
    return 0


def _whole_numbers(text: str) -> list[int]:
    parts = text.replace(",", " ").split()
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--seeds {text!r}: must be whole numbers, each once, like 1,2,3")
    return [int(part) for part in parts]


def _data_root(arguments: argparse.Namespace) -> int:
    from stmae.datasets.readers import default_data_root

    print(default_data_root(config.load(arguments.config, arguments.set), arguments.workspace))
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from stmae.datasets.manifest import SPLITS
    from stmae.datasets.prepare import prepare

    manifest = prepare(config.load(arguments.config, arguments.set), arguments.data_root, arguments.out)
    counts = {split: len(manifest.split(split)) for split in SPLITS}
    frames = sum(clip.frames for clip in manifest.clips)
    text = ", ".join(f"{count} {split}" for split, count in counts.items())
    result = {"path": str(arguments.out), "digest": manifest.digest, "frames": frames, "clips": counts}
    _print(arguments, result, f"{arguments.out}: {frames} frames; clips: {text}")
    return 0


def _train_flow(arguments: argparse.Namespace) -> int:
    from stmae.training.flow import FlowRecipe, train_flow

    recipe = FlowRecipe(seed=arguments.seed)
    if arguments.steps:
        recipe = dataclasses.replace(recipe, steps=arguments.steps)
    figures = train_flow(recipe, arguments.out)
    weights = arguments.out / "model.safetensors"
    text = f"{weights}: end-point error {figures['end_point_error']:.3f} px"
    _print(arguments, {"weights": str(weights), **figures}, text)
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from stmae.serving.triton.launcher import serve
    from stmae.serving.triton.ports import Ports

    ports = Ports(arguments.http_port, arguments.grpc_port, arguments.metrics_port)
    serve(arguments.repository, arguments.runtime, ports)
    return 0


@contextlib.contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[str]:
    """Yields the gRPC address of the server that was named, or of an embedded one for as long as it is needed."""
    if arguments.server:
        yield arguments.server
        return
    from stmae.serving.triton.launcher import EmbeddedTriton

    with EmbeddedTriton(arguments.repository, runtime=arguments.runtime) as triton:
        yield triton.grpc_url


def _score(arguments: argparse.Namespace) -> int:
    from stmae.batch.run import score_archive

    deployment = arguments.deployment or _only_deployment(arguments.repository)
    published = arguments.repository / deployment
    with _server(arguments) as url:
        summary = score_archive(
            arguments.archive,
            arguments.tables,
            url,
            deployment,
            arguments.normality or str(published / "normality.json"),
            arguments.calibration or str(published / "calibration.json"),
            date=arguments.date,
            include=arguments.include,
            engine=arguments.engine,
            deadline_seconds=arguments.deadline,
        )
    _print(arguments, dataclasses.asdict(summary), summary.message())
    if not summary.complete:
        print(f"stmae: {summary.message()}", file=sys.stderr)
    return 0 if summary.complete else 1


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
    _print(arguments, {"night_report": str(path)}, str(path))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from stmae.datasets.readers import default_data_root
    from stmae.demo import demo

    settings = config.load(arguments.config, arguments.set)
    data_root = arguments.data_root or default_data_root(settings, arguments.workspace)
    line = demo(settings, data_root, arguments.workspace, arguments.runtime, arguments.started)
    print(json.dumps(line))
    return 0


def _extra_for(module: str) -> str:
    extras = {"boto3": "batch", "botocore": "batch", "pandas": "batch", "tritonclient": "batch", "ray": "ray"}
    return f"pip install 'stmae[{extras.get(module.split('.', maxsplit=1)[0], 'train')}]'"
