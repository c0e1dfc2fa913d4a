"""A pytest plugin that counts faults: those that tests cause, and those that were survived.

A test names the fault that it causes, `@pytest.mark.fault("kill -9 of the job")`; several tests may name the same one.
It is survived when none of them failed. One whose tests were all skipped was not tried.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-out", type=Path, metavar="FILE.json", help="write what became of each fault")


def pytest_configure(config: pytest.Config) -> None:
    # By itself, and not as the hooks of a folder: faults of other folders count too.
    config.pluginmanager.register(Ledger(config.getoption("--faults-out", default=None)), "faults")


class Ledger:
    """The account of a session."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._faults: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        for mark in item.iter_markers("fault"):
            (name,) = mark.args
            if report.failed:
                self._faults[name] = f"failed: {item.nodeid}"
            elif report.when == "call" and report.passed:
                self._faults.setdefault(name, "survived")
        return report

    def account(self) -> dict[str, Any]:
        """Returns how many faults were tried and survived, and what became of each."""
        survived = sum(state == "survived" for state in self._faults.values())
        return {"tried": len(self._faults), "survived": survived, "faults": dict(sorted(self._faults.items()))}

    def pytest_sessionfinish(self) -> None:
        if self._out is not None:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            self._out.write_text(json.dumps(self.account(), indent=2) + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        account = self.account()
        if account["tried"]:
            terminalreporter.write_line(f"{account['tried']} faults tried, {account['survived']} survived")
