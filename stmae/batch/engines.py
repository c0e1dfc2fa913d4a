"""Where the sources of a run are scored: in this process, or by a Ray cluster. Both write the same tables."""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stmae.batch.plan import Source
from stmae.batch.worker import Fetched, Job, Outcome, Worker

RAY_RETRIES = 2
"""Further attempts at a task whose worker was killed."""
RAY_TASKS_AHEAD = 2
"""Tasks under way for each CPU of the cluster, so that none idles between two."""


class EngineError(RuntimeError):
    """An engine that cannot be used; the message says why and the mend."""


Engine = Callable[[Job, Sequence[Source]], Generator[Outcome, None, None]]


def engine(name: str) -> Engine:
    """Returns the engine of a name. Raises EngineError for an unknown one."""
    known: dict[str, Engine] = {"local": local, "ray": ray}
    if name not in known:
        raise EngineError(f"engine {name!r}: must be one of {', '.join(known)}")
    return known[name]


def local(job: Job, sources: Sequence[Source]) -> Generator[Outcome, None, None]:
    """Scores one source after the other, and downloads the next one meanwhile."""
    with (
        tempfile.TemporaryDirectory(prefix="stmae-") as name,
        ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool,
        Worker(job) as worker,
    ):
        for source, copy in _ahead(sources, lambda source: pool.submit(worker.fetch, source, Path(name))):
            fetched = copy.result()
            yield worker.score(source, fetched)
            if fetched.path is not None:
                fetched.path.unlink(missing_ok=True)


def _ahead(
    sources: Sequence[Source], submit: Callable[[Source], Future[Fetched]]
) -> Iterator[tuple[Source, Future[Fetched]]]:
    """Yields each source with its download, which was submitted one source before its turn."""
    held: list[tuple[Source, Future[Fetched]]] = []
    for source in sources:
        held.append((source, submit(source)))
        if len(held) == 2:
            yield held.pop(0)
    yield from held


def ray(job: Job, sources: Sequence[Source]) -> Generator[Outcome, None, None]:
    """Scores each source in a Ray task, and yields them in the order in which they end.

    The task of a worker that was killed is tried again. Raises EngineError where Ray is not installed.
    """
    try:
        cluster: Any = importlib.import_module("ray")
    except ImportError as error:
        raise EngineError("engine 'ray' needs Ray: pip install 'stmae[ray]', or use the local engine") from error
    if not cluster.is_initialized():
        cluster.init(log_to_driver=False, logging_level=logging.WARNING)
    task = cluster.remote(num_cpus=1, max_retries=RAY_RETRIES)(_score_in_task)
    room = RAY_TASKS_AHEAD * max(1, int(cluster.cluster_resources().get("CPU", 1)))
    waiting, under_way = list(reversed(sources)), dict[Any, Source]()
    try:
        while waiting or under_way:
            while waiting and len(under_way) < room:
                source = waiting.pop()
                under_way[task.remote(job, source)] = source
            (done, *_), _ = cluster.wait(list(under_way), num_returns=1)
            source = under_way.pop(done)
            try:
                yield cluster.get(done)
            except cluster.exceptions.RayError as error:
                yield Outcome(source=source, failure=f"{source.uri}: its Ray task failed: {error}")
    finally:
        for left in under_way:
            cluster.cancel(left)


def _score_in_task(job: Job, source: Source) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="stmae-") as folder, Worker(job) as worker:
        return worker.score(source, worker.fetch(source, Path(folder)))
