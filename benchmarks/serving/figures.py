"""Figures of measured rates, and the table of the ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.serving.rounds import Rounds, rate, spread, unsteady

WAYS = {
    "naive": "PyTorch, one clip a call",
    "eager": "PyTorch, by segments",
    "inprocess": "the server's runtime, in one process",
    "grpc": "Triton, frames in messages",
    "shm": "Triton, frames in shared memory",
    "batch": "`stmae score`, from video to tables",
}
"""The ways to score footage."""
RATIOS = (("grpc", "inprocess"), ("shm", "inprocess"), ("batch", "shm"))
"""Pairs of ways whose ratio is a figure, beside the ratios to `naive`."""
DIGITS = 4

Figures = dict[str, Any]


def ways(by_way: Rounds, gflop: Mapping[str, float]) -> Figures:
    """Returns the speed of each way, what it is beside others, and what it is beside the processor's.

    `gflop` has the operations of a scored frame, in billions: `served`, by segments in PyTorch (`eager`), and of a call
    for each clip (`naive`).
    """
    rates = {way: rate(by_way[way]) for way in WAYS}
    operations = {way: each * gflop.get(way, gflop["served"]) for way, each in rates.items()}
    most = rate(by_way["ceiling"])
    return {
        **{f"frames_per_s_{way}": each for way, each in rates.items()},
        **{f"ratio_{way}_naive": each / rates["naive"] for way, each in rates.items() if way != "naive"},
        **{f"ratio_{way}_{other}": rates[way] / rates[other] for way, other in RATIOS},
        "gflop_per_frame": gflop["served"],
        "gflop_per_frame_eager": gflop["eager"],
        "gflop_per_frame_naive": gflop["naive"],
        **{f"gflops_{way}": each for way, each in operations.items()},
        "ceiling_gflops": most,
        "ceiling_share": operations["inprocess"] / most,
    }


def flatness(by_length: Rounds, lengths: Sequence[int]) -> Figures:
    """Returns the speed at each length of a segment, and by what factor the fastest is above the slowest."""
    figures: Figures = {}
    for way in ("inprocess", "shm"):
        rates = {length: rate(by_length[f"{way}_t{length}"]) for length in lengths}
        figures |= {f"frames_per_s_{way}_t{length}": each for length, each in rates.items()}
        figures[f"flatness_{way}"] = max(rates.values()) / min(rates.values())
    return figures


def latency(milliseconds: Sequence[float], length: int) -> Figures:
    """Returns the median and the 99th percentile of requests of `length` frames."""
    half, most = np.percentile(milliseconds, (50, 99))
    return {
        f"latency_p50_ms_t{length}": float(half),
        f"latency_p99_ms_t{length}": float(most),
        f"latency_requests_t{length}": len(milliseconds),
    }


def spreads(rounds: Rounds) -> Figures:
    """Returns by how much the last rounds of each way differ, and whether that is too much."""
    return {
        **{f"spread_{name}": spread(rates) for name, rates in rounds.items()},
        "machine_busy": bool(unsteady(rounds)),
    }


def rounded(figures: Figures) -> Figures:
    """Returns figures of DIGITS digits."""
    return {
        name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for name, value in figures.items()
    }


def table(figures: Mapping[str, Any]) -> str:
    """Returns a Markdown table with a line for each way."""
    lines = ["| way | what is timed | frames/s | times `naive` | GFLOP/s |", "|---|---|---|---|---|"]
    for way, words in WAYS.items():
        speed = figures[f"frames_per_s_{way}"]
        times = speed / figures["frames_per_s_naive"]
        lines.append(f"| `{way}` | {words} | {speed:.3g} | {times:.2f} | {figures[f'gflops_{way}']:.3g} |")
    return "\n".join(lines)
