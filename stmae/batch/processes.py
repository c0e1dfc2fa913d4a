"""Worker processes on this machine: camera-days side by side, for a server that is faster than one of them."""

from __future__ import annotations

import multiprocessing
import os
import queue
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

from stmae.archive.timeline import Unit
from stmae.batch.job import Job
from stmae.batch.worker import Outcome, Worker

RETRIES = 2
"""Further attempts at what a process was doing when it was killed."""


def score_side_by_side(job: Job, days: Sequence[Sequence[Unit]], workers: int) -> Generator[Outcome, None, None]:
    """Scores camera-days in so many processes, and yields units in the order in which they end.

    A process that is killed is replaced, and its unit tried again.
    """
    waiting, outcomes = deque(days), queue.SimpleQueue[Outcome | BaseException | None]()

    def lane() -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="stmae-") as folder, _Process(job, folder) as process:
                while waiting:
                    try:
                        day = waiting.popleft()
                    except IndexError:  # another lane was faster
                        break
                    for number, unit in enumerate(day):
                        if stopped.is_set():
                            return
                        outcomes.put(process.score(unit, day[number + 1] if number + 1 < len(day) else None))
        except BaseException as error:  # for the thread that waits
            outcomes.put(error)
        finally:
            outcomes.put(None)

    stopped, running = threading.Event(), min(workers, len(days))
    with ThreadPoolExecutor(running) as pool:
        for _ in range(running):
            pool.submit(lane)
        try:
            while running:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    running -= 1
                else:
                    yield outcome
        finally:
            stopped.set()


class _Process:
    """A process with a worker of its own."""

    def __init__(self, job: Job, folder: str) -> None:
        self._job, self._folder = job, folder
        self._pool = self._start()

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def _start(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")  # gRPC and threads do not survive a fork
        return ProcessPoolExecutor(1, spawn, _begin, (self._job, self._folder))

    def score(self, unit: Unit, following: Unit | None) -> Outcome:
        for _ in range(1 + RETRIES):
            try:
                return self._pool.submit(_score, unit, following).result()
            except BrokenProcessPool:
                self._pool.shutdown()
                self._pool = self._start()
        killed = f"{unit.own[0].uri}: its worker process was killed {1 + RETRIES} times; look at the machine's memory"
        return Outcome(unit=unit, attempts=1 + RETRIES, failures=(killed,), reason="worker")


_workers: list[Worker] = []
"""The one of this process."""


def _begin(job: Job, folder: str) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _workers.append(Worker(job, Path(folder)))


def _end_with(parent: BaseProcess) -> None:
    """Ends this process when the one that started it is gone, however it ended."""
    parent.join()
    os._exit(1)


def _score(unit: Unit, following: Unit | None) -> Outcome:
    (worker,) = _workers
    outcome = worker.score(unit)
    worker.copies.keep(following.stream if following else ())
    return outcome
