"""Measures how fast footage is scored, on all cores of this machine, from a research loop to the nightly job.

python -m benchmarks.serving --out DIR [--config ped2] [--set a.b=c] [--data-root DIR]

Weights are random, by the configuration's seed: speed does not depend on them. All processes have the allocator's
settings that the manifests give a server. The ways, each on the same frames:
- `naive`: PyTorch in fp32, five frames a call, of which one is scored; `eager`: PyTorch by segments of
  `serve.segment_frames`, in bf16 where the hardware computes in it;
- `inprocess`: the runtime of the embedded server on the same ONNX files, without Triton; `grpc`, `shm`: the ensemble on
  the embedded Triton, with frames in messages and in shared memory, two requests under way;
- `batch`: `stmae score` on a recording of the same frames, from the listing to the last table, without the start of
  Python (`batch_start_s`).

Rounds of all ways alternate until the last three of each differ by less than a tenth (`spread_*`); where they never do,
`machine_busy` is true. A figure is the median of its last three rounds.
- `frames_per_s_*`: scored frames; of the ways, of the steps of `inprocess`, and of other lengths of a segment (`_t16`).
  `flatness_*`: the fastest of these over the slowest. The longest is four times `serve.segment_frames`, or twice, as
  the memory allows. `ratio_a_b`: of two ways.
- `gflop_per_frame`: billions of floating point operations of a scored frame as it is served, `_eager` by segments in
  PyTorch, `_naive` by clips.
  `ceiling_gflops`: of a large matrix product in the runtime's precision; `ceiling_share`: what `inprocess` has of it.
- `bytes_per_frame`: what one step makes and another takes. `latency_*_ms`: of single requests in shared memory.
- `decode_1080p_frames_per_s`: frames of a recording in 1080p H.264, 25 frames/s, that the job's decoder hands over.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.record import record
from stmae import config as configs
from stmae.cli.arguments import positive
from stmae.config import ConfigError
from stmae.datasets.manifest import DatasetError
from stmae.serving.triton import runtime as runtimes
from stmae.serving.triton.launcher import LauncherError
from stmae.serving.triton.process import ALLOCATOR

NAME = "serving-cpu"
ROUNDS = 8


def main() -> int:
    """Returns 0, 1 where no server can be started, or 2 for a bad configuration or data set."""
    arguments = _parser().parse_args()
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        # An allocator reads its settings once, at the start.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ALLOCATOR})
    try:
        config = configs.load(arguments.config, arguments.set)
        figures = _measured(config, arguments)
    except (ConfigError, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    except (LauncherError, runtimes.RuntimeFolderError) as error:
        print(error, file=sys.stderr)
        return 1
    from benchmarks.serving.figures import table

    print(table(figures))
    overrides = "".join(f" --set {each}" for each in arguments.set)
    data = " --data-root DIR" if arguments.data_root else ""
    command = f"python -m benchmarks.serving --config {arguments.config}{overrides}{data}"
    print(record(NAME, command, figures, arguments.out))
    return 0


def _measured(config: configs.Config, arguments: argparse.Namespace) -> dict[str, object]:
    import torch

    from benchmarks.serving.bench import prepared
    from benchmarks.serving.measure import measure

    logging.getLogger("stmae").setLevel(logging.ERROR)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))  # as many as the runtime takes
    with (
        tempfile.TemporaryDirectory(prefix="stmae-") as folder,
        prepared(config, arguments.data_root, arguments.runtime, Path(folder)) as bench,
    ):
        return measure(bench, arguments.rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="ped2", help="default: ped2")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="override a value of it")
    parser.add_argument("--data-root", type=Path, help="folder of its data set; default: synthetic footage")
    parser.add_argument("--runtime", type=Path, default=runtimes.DEFAULT, help="default: .triton")
    parser.add_argument("--rounds", type=positive, default=ROUNDS, help=f"at most; default: {ROUNDS}")
    parser.add_argument("--out", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
