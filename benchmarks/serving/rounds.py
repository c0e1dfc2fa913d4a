"""Rounds: ways are measured in turn, again and again, so that a machine that slows down slows all of them down."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

LAST = 3
"""The figure of a way is the median of its last rounds; those before warm it up."""
STEADY = 0.10
"""Largest spread of a way on a machine that does nothing else."""

Ways = Mapping[str, Callable[[], float]]
"""Each measures once, and returns a rate."""
Rounds = dict[str, list[float]]
"""Rates of all rounds by way."""


def alternate(ways: Ways, most: int) -> Rounds:
    """Returns the rates of rounds until each way is steady, at most `most` of them."""
    measured: Rounds = {name: [] for name in ways}
    for number in range(1, most + 1):
        for name, measure in ways.items():
            measured[name].append(measure())
        rates = ", ".join(f"{name} {rates[-1]:.4g}" for name, rates in measured.items())
        print(f"round {number}: {rates}", file=sys.stderr, flush=True)
        if not unsteady(measured):
            break
    return measured


def rate(rates: Sequence[float]) -> float:
    """Returns the median of the last rounds."""
    return statistics.median(rates[-LAST:])


def spread(rates: Sequence[float]) -> float:
    """Returns by how much the last rounds differ, as a fraction of their median."""
    last = rates[-LAST:]
    return (max(last) - min(last)) / statistics.median(last)


def unsteady(measured: Rounds) -> list[str]:
    """Returns the ways that had fewer than LAST rounds, or whose last ones differ by STEADY or more."""
    return [name for name, rates in measured.items() if len(rates) < LAST or spread(rates) >= STEADY]
