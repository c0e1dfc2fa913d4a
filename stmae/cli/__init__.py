"""`stmae VERB`: every verb exits 0 on success, 1 when work could not be completed, 2 on bad usage or configuration.

Modules are imported by the verb that needs them: `stmae score` runs in an image without torch.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable

from stmae import __version__, config
from stmae.cli import archive, machine, models, score, training, upkeep
from stmae.cli.arguments import UsageError


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

    for room in (training, machine, models, score, archive, upkeep):
        room.add_verbs(verb)
    return parser


def _extra_for(module: str) -> str:
    extras = dict.fromkeys(("boto3", "botocore", "pandas", "prometheus_client", "tritonclient"), "batch")
    extras |= {"ray": "ray", "opentelemetry": "trace"}
    return f"pip install 'stmae[{extras.get(module.split('.', maxsplit=1)[0], 'train')}]'"
