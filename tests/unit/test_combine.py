"""The combination of p-values: what it claims is true however they depend on each other, and it misses little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae.scoring.combine import e_value, merge, together

COUNT = 400_000
_uniform = np.random.default_rng(0).random((4, COUNT))
DEPENDENCES = {
    "identical": np.stack([_uniform[0]] * 4),
    "independent": _uniform,
    "opposite": np.stack([_uniform[0], 1 - _uniform[0], _uniform[0], 1 - _uniform[0]]),
    "opposite and independent": np.stack([_uniform[0], 1 - _uniform[0], _uniform[1], _uniform[2]]),
    "one at a time": np.stack([(_uniform[0] + shift) % 1 for shift in (0, 0.25, 0.5, 0.75)]),
}
log10_ps = st.floats(0, 50)


def merged_of(log10_p: list[float]) -> float:
    """Returns what detectors say of one frame together."""
    return float(merge(np.array(log10_p)[None])[0])


@pytest.mark.parametrize("dependence", DEPENDENCES)
@pytest.mark.parametrize("detectors", [1, 2, 4])
def test_at_most_a_tenth_a_hundredth_and_so_on_of_normal_values_reach_1_2_and_so_on(
    dependence: str, detectors: int
) -> None:
    merged = merge(-np.log10(DEPENDENCES[dependence][:detectors].T))
    assert (10**merged).mean() < 1.05, "an e-value is 1 on average"
    for x in (0.1, 0.3, 1, 2, 3, 4):
        assert (merged >= x).mean() <= 10.0**-x


def test_an_e_value_is_1_on_average_where_p_is_uniform() -> None:
    p = (np.arange(10**6) + 0.5) / 10**6
    assert (10 ** e_value(-np.log10(p))).mean() == pytest.approx(1, abs=0.1)
    assert (10 ** e_value(-np.log10(p))).mean() <= 1


@given(st.lists(log10_ps, min_size=1, max_size=5), st.integers(0, 4))
def test_what_is_rarer_to_any_detector_is_no_less_rare(log10_p: list[float], which: int) -> None:
    before = merged_of(log10_p)
    log10_p[which % len(log10_p)] += 1
    assert merged_of(log10_p) >= before
    assert merged_of([each + 1 for each in log10_p]) >= before + 0.5 - 1e-9


@given(st.lists(log10_ps, min_size=2, max_size=5))
def test_detectors_that_say_nothing_cost_next_to_nothing(log10_p: list[float]) -> None:
    """At most the logarithm of their number, and the order of detectors does not matter."""
    merged = merged_of(log10_p)
    highest = float(e_value(np.array(max(log10_p))))
    assert highest - np.log10(len(log10_p)) - 1e-9 <= merged <= highest + 1e-9
    assert merged_of(log10_p[::-1]) == pytest.approx(merged)


def test_what_two_detectors_agree_on_is_rarer_than_what_one_says() -> None:
    one, both = (merged_of([3.0, second]) for second in (0.0, 3.0))
    assert both == pytest.approx(float(e_value(np.array(3.0))))
    assert both > one + 0.2


def test_a_detector_that_is_always_saturated_takes_no_other_ones_voice() -> None:
    calm, seen = (merged_of([3.0, 0.0, loud]) for loud in (0.0, 8.0))
    assert seen > calm + 2


def test_together_is_valid_for_detectors_that_do_not_depend_on_each_other() -> None:
    first, second, *_ = DEPENDENCES["independent"]
    found = together(-np.log10(first), -np.log10(second))
    assert all((found >= x).mean() <= 10.0**-x for x in (0.1, 1, 2, 3))


@given(log10_ps, log10_ps)
def test_together_multiplies_the_e_values_of_a_tile(first: float, second: float) -> None:
    found = 10 ** float(together(np.array(first), np.array(second)))
    assert found == pytest.approx(10 ** float(e_value(np.array(first))) * 10 ** float(e_value(np.array(second))))


def test_together_wants_both_detectors_at_one_tile() -> None:
    first, second = np.zeros((2, 1, 16, 16))
    first[0, 3, :4], second[0, 3, :4] = 5.0, 5.0
    elsewhere = np.roll(second, 8, axis=1)
    assert together(first, second).max() > together(first, elsewhere).max() + 2
