"""kill -9 of a Ray worker at its work: another takes its place, and the tables are those of an undisturbed run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jobs
import pytest
import ray
from depots import SECOND, Depot
from nights import Night, bytes_of
from processes import find, kill_9
from proxy import at_once


@pytest.fixture
def cluster(depot: Depot) -> Iterator[None]:
    """A real Ray of one CPU on loopback, in the environment that reaches the depot."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.fault("kill -9 of a Ray worker")
@pytest.mark.usefixtures("cluster")
def test_the_task_of_a_worker_that_is_killed_is_done_by_another(
    night: Night, depot: Depot, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    killed = []

    def kill() -> None:
        killed.append(find(os.getpid(), "ray::_score_in_task"))
        kill_9(killed[0])

    depot.proxy.spoil(f"GET /.*{SECOND}", at_once(kill), times=1)
    assert jobs.run(night, depot.site, tmp_path, "--engine=ray") == 0
    assert killed
    assert bytes_of(tmp_path) == undisturbed
