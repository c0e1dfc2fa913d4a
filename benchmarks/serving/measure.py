"""Measures every way in alternating rounds."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import torch

from benchmarks.serving.bench import Bench
from benchmarks.serving.deployment import bytes_per_frame
from benchmarks.serving.eager import ceiling
from benchmarks.serving.figures import flatness, latency, rounded, spreads, ways
from benchmarks.serving.inprocess import available_bytes
from benchmarks.serving.rounds import LAST, Rounds, Ways, alternate, rate
from benchmarks.serving.served import decoded, latencies, segments, streamed
from stmae.scoring.raw import CLIP_FRAMES
from stmae.serving.tensors import MIN_SEGMENT

NAIVE_CLIPS = 8
MEMORY_SHARE = 0.7
"""Share of the free memory that longer segments may take."""


def measure(bench: Bench, most: int) -> dict[str, Any]:
    """Returns all figures; `most` is the largest number of rounds."""
    by_way = _by_way(bench, most)
    steps = bench.inprocess.steps(bench.length)
    lengths = _lengths(bench)
    by_length = _by_length(bench, lengths, most)
    segment, clip = bench.frames[: bench.length], bench.frames[:MIN_SEGMENT]
    gflop = {
        "naive": bench.eager.gflop_per_frame(clip),
        "eager": bench.eager.gflop_per_frame(segment),
        "served": bench.lean.gflop_per_frame(segment),
    }
    figures = _setting(bench) | {"rounds": len(by_way["naive"])} | ways(by_way, gflop)
    figures |= {f"frames_per_s_{name}": each for name, each in steps.items()}
    figures |= flatness(by_length, lengths)
    for frames in (clip, segment):
        figures |= latency(latencies(bench.shared, frames), len(frames))
    figures["bytes_per_frame"] = bytes_per_frame(bench.config)
    figures["decode_1080p_frames_per_s"] = rate(by_way["decode_1080p"])
    figures["batch_start_s"] = statistics.median(bench.job.starts[-LAST:])
    return rounded(figures | spreads(by_way | by_length))


def _by_way(bench: Bench, most: int) -> Rounds:
    clips = [bench.frames[first : first + MIN_SEGMENT] for first in range(NAIVE_CLIPS)]
    asked = segments(bench.frames, bench.length, bench.segments)
    each: Ways = {
        "naive": lambda: bench.eager.clip_by_clip(clips),
        "eager": lambda: bench.eager.by_segments(asked),
        "inprocess": lambda: bench.inprocess.rate(bench.length, bench.segments),
        "grpc": lambda: streamed(bench.messages, asked),
        "shm": lambda: streamed(bench.shared, asked),
        "batch": bench.job.rate,
        "decode_1080p": lambda: decoded(bench.sandbox, bench.recording, bench.config.model.frame_size),
        "ceiling": lambda: ceiling(bench.inprocess.precision),
    }
    return alternate(each, most)


def _lengths(bench: Bench) -> tuple[int, ...]:
    """Returns a quarter of T, T, and four times T, or twice, where this machine has the memory for it.

    A model holds what the longest segment so far took, in the process beside the server and in those of the server.
    """
    held, room = 2 * bench.inprocess.peak_bytes, MEMORY_SHARE * available_bytes()
    longer = [times * bench.length for times in (4, 2) if held * (times - 1) < room]
    return max(bench.length // 4, MIN_SEGMENT), bench.length, *longer[:1]


def _by_length(bench: Bench, lengths: tuple[int, ...], most: int) -> Rounds:
    """Returns the rates of segments of several lengths, in the runtime alone and through the server."""
    frames = bench.segments * (bench.length - CLIP_FRAMES)
    counts = {length: max(frames // (length - CLIP_FRAMES), 1) for length in lengths}
    asked = {length: segments(bench.frames, length, count) for length, count in counts.items()}
    each = {}
    for length, count in counts.items():
        each[f"inprocess_t{length}"] = partial(bench.inprocess.rate, length, count)
        each[f"shm_t{length}"] = partial(streamed, bench.shared, asked[length])
    return alternate(each, most)


def _setting(bench: Bench) -> dict[str, Any]:
    """Returns what a reader needs to know to judge the figures."""
    runtime = bench.inprocess
    return {
        "config": bench.config.name,
        "size": bench.config.model.frame_size,
        "segment_frames": bench.length,
        "segments_a_round": bench.segments,
        "footage": bench.footage,
        "weights": "random",
        "seed": bench.config.seed,
        "threads": torch.get_num_threads(),
        "runtime": f"{runtime.accelerator} {runtime.versions.get(runtime.accelerator)}",
        "runtime_precision": runtime.precision,
        "eager_precision": bench.eager.precision,
    }
