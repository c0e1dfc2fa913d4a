"""Checks the images for real: builds, pushes and runs them. Needs root, and the Debian packages of `make images-check`.

It runs every test of tests/images, those that `make test` leaves out too, and ends with one line: `N checks, N passed`.
"""

from __future__ import annotations

import sys

import pytest

from k8s.images.locks import ROOT


class Count:
    """Counts the tests that ran. One that was skipped has not passed."""

    def __init__(self) -> None:
        self.passed: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed[report.nodeid] = self.passed.get(report.nodeid, True) and report.passed


def main() -> int:
    """Returns the exit status: 0 where every check passed, 1 otherwise."""
    count = Count()
    status = pytest.main([str(ROOT / "tests" / "images"), "-m", "slow or not slow", "-v", "--durations=5"], [count])
    checks, passed = len(count.passed), sum(count.passed.values())
    print(f"{checks} checks, {passed} passed", flush=True)
    return 0 if status == 0 and checks == passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
