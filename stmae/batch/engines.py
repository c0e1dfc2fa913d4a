"""Where the camera-hours of a run are scored: on this machine, or by a Ray cluster. Both write the same tables."""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from stmae.archive.timeline import Unit
from stmae.batch.job import Job
from stmae.batch.processes import RETRIES, score_side_by_side
from stmae.batch.worker import Outcome, Worker

RAY_TASKS_AHEAD = 2
"""Tasks under way for each CPU of the cluster, so that none idles between two."""


class EngineError(RuntimeError):
    """An engine that cannot be used; the message says why and the mend."""


Engine = Callable[[Job, Sequence[Unit], int | None], Generator[Outcome, None, None]]
"""Scores units; the number of workers is up to the engine where it is None."""


def engine(name: str) -> Engine:
    """Returns the engine of a name. Raises EngineError for an unknown one."""
    known: dict[str, Engine] = {"local": local, "ray": ray}
    if name not in known:
        raise EngineError(f"engine {name!r}: must be one of {', '.join(known)}")
    return known[name]


def local(job: Job, units: Sequence[Unit], workers: int | None = None) -> Generator[Outcome, None, None]:
    """Scores units on this machine, in one process for every two cores: a decoder goes with each.

    Where that is one it is this process, which scores one unit after the other. Downloads and decoding go on beside the
    server's work.
    """
    days = camera_days(units)
    workers = min(workers or max(1, len(os.sched_getaffinity(0)) // 2), len(days))
    yield from _in_turn(job, units) if workers <= 1 else score_side_by_side(job, days, workers)


def camera_days(units: Sequence[Unit]) -> list[list[Unit]]:
    """Returns units by camera and day: what is scored in turn, so that hours need no warming up."""
    return [list(day) for _, day in itertools.groupby(units, key=lambda unit: (unit.camera, unit.date))]


def _in_turn(job: Job, units: Sequence[Unit]) -> Generator[Outcome, None, None]:
    with tempfile.TemporaryDirectory(prefix="stmae-") as folder, Worker(job, Path(folder)) as worker:
        for unit, following in itertools.zip_longest(units, units[1:]):
            yield worker.score(unit)
            worker.copies.keep(following.stream if following else ())


def ray(job: Job, units: Sequence[Unit], workers: int | None = None) -> Generator[Outcome, None, None]:
    """Scores camera-days as Ray tasks of one CPU each, at most `workers` at a time, and yields them as they end.

    The task of a worker that was killed is tried again. Raises EngineError where Ray is not installed.
    """
    try:
        cluster: Any = importlib.import_module("ray")
    except ImportError as error:
        raise EngineError("engine 'ray' needs Ray: pip install 'stmae[ray]', or use the local engine") from error
    if not cluster.is_initialized():
        cluster.init(log_to_driver=False, logging_level=logging.WARNING)
    task = cluster.remote(num_cpus=1, max_retries=RETRIES)(_score_in_task)
    shared = cluster.put(job)  # once for all tasks
    room = workers or RAY_TASKS_AHEAD * max(1, int(cluster.cluster_resources().get("CPU", 1)))
    waiting, under_way = camera_days(units)[::-1], dict[Any, list[Unit]]()
    try:
        while waiting or under_way:
            while waiting and len(under_way) < room:
                day = waiting.pop()
                under_way[task.remote(shared, day)] = day
            (done, *_), _ = cluster.wait(list(under_way), num_returns=1)
            day = under_way.pop(done)
            try:
                yield from cluster.get(done)
            except cluster.exceptions.RayError as error:
                for unit in day:
                    failures = (f"{unit.own[0].uri}: its Ray task failed: {error}",)
                    yield Outcome(unit=unit, failures=failures, reason="worker")
    finally:
        for left in under_way:
            cluster.cancel(left)


def _score_in_task(job: Job, units: Sequence[Unit]) -> list[Outcome]:
    outcomes = []
    for outcome in _in_turn(job, units):
        outcomes.append(outcome)
        if outcome.hopeless:
            break
    return outcomes
