"""P-values: how rare a nonconformity is on normal footage, within what was seen and beyond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stmae.evaluation.fitting import fit_pareto
from stmae.scoring.pvalues import PValues

THRESHOLD = 0.95
DISTRIBUTIONS = {
    "normal": lambda random, count: random.normal(size=count),
    "lognormal": lambda random, count: random.lognormal(size=count),
    "exponential": lambda random, count: random.exponential(size=count),
    "two groups": lambda random, count: random.normal(np.repeat([0, 50], [count - count // 5, count // 5]), 1),
}
samples = arrays(np.float64, st.integers(2, 200), elements=st.floats(-50, 50))
shapes = st.sampled_from([0.0, 0.2, 0.5])


def p_of(fitted: PValues, values: np.ndarray) -> np.ndarray:
    return 10 ** -fitted.log10(values)


@given(
    st.sampled_from(sorted(DISTRIBUTIONS)),
    st.integers(0, 2**32 - 1),
    st.integers(1000, 5000),
    st.floats(-100, 100),
    st.floats(1e-3, 1e3),
)
def test_p_of_normal_values_is_uniform_in_whatever_unit_they_are(
    name: str, seed: int, count: int, offset: float, scale: float
) -> None:
    values = offset + scale * DISTRIBUTIONS[name](np.random.default_rng(seed), count)
    p = p_of(PValues.fit(values, THRESHOLD, 0.0), values)
    for probability in (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05):
        assert (p <= probability).mean() == pytest.approx(probability, abs=0.03)
    assert (p <= 0.01).mean() == pytest.approx(0.01, abs=0.01)


def pareto(count: int, shape: float, seed: int) -> np.ndarray:
    """Returns a sample of the generalised Pareto distribution of scale 1."""
    exponential = np.random.default_rng(seed).exponential(size=count)
    return np.expm1(shape * exponential) / shape if shape else exponential


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_p_of_unseen_normal_values_is_uniform_in_the_tail_too(shape: float) -> None:
    fitted = PValues.fit(pareto(200_000, shape, seed=0), 0.99, shape)
    unseen = fitted.log10(pareto(1_000_000, shape, seed=1))
    for level in (1, 2, 3, 4):
        assert (unseen >= level).mean() == pytest.approx(10.0**-level, rel=0.25)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_among_values_that_repeat_p_is_never_too_small(seed: int, most: int) -> None:
    values = np.random.default_rng(seed).integers(0, most + 1, 2000).astype(np.float64)
    p = p_of(PValues.fit(values, THRESHOLD, 0.5), values)
    assert all((p <= probability).mean() <= probability + 0.06 for probability in (0.5, 0.2, 0.1, 0.05, 0.01))


@given(samples, shapes, arrays(np.float64, 20, elements=st.floats(-200, 200)), st.sampled_from([1e-6, 1.0, 1e6]))
def test_a_larger_value_never_has_a_larger_p(values: np.ndarray, shape: float, asked: np.ndarray, unit: float) -> None:
    log10_p = PValues.fit(unit * values, THRESHOLD, shape).log10(unit * np.sort(asked))
    assert np.isfinite(log10_p).all()
    assert (np.diff(log10_p) >= 0).all()
    assert log10_p.min() >= 0


@given(samples, shapes)
def test_beyond_what_was_seen_a_larger_value_has_a_smaller_p(values: np.ndarray, shape: float) -> None:
    beyond = values.max() + np.array([1.0, 2.0, 20.0, 2000.0])
    assert (np.diff(PValues.fit(values, THRESHOLD, shape).log10(beyond)) > 0).all()


@pytest.mark.parametrize("threshold", [0.95, 0.99])
@pytest.mark.parametrize("shape", [0.0, 0.5])
def test_the_tail_begins_where_the_body_ends(threshold: float, shape: float) -> None:
    values = np.random.default_rng(0).normal(size=5000)
    fitted = PValues.fit(values, threshold, shape)
    at = np.quantile(values, threshold)
    below, on, above = fitted.log10(at + np.array([-1e-6, 0.0, 1e-6]))
    assert on == pytest.approx(-np.log10(1 - threshold), abs=1e-3)
    assert below == pytest.approx(on, abs=1e-3)
    assert above == pytest.approx(on, abs=1e-3)


def test_a_heavier_tail_claims_less_of_what_was_never_seen() -> None:
    values = np.random.default_rng(0).exponential(size=5000)
    light, heavy = (PValues.fit(values, THRESHOLD, shape).log10(np.array([1.0, 20.0, 40.0])) for shape in (0.0, 0.5))
    assert light[0] == heavy[0], "what was often seen has one p-value"
    assert (heavy[1:] < light[1:] - 1).all()


def test_every_value_is_normal_where_none_was_seen() -> None:
    log10_p = PValues.fit(np.zeros(0), THRESHOLD, 0.5).log10(np.array([-1e9, 0.0, 1e9]))
    assert log10_p.tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e4])
@pytest.mark.parametrize("shape", [0.0, 0.5])
def test_where_all_values_were_the_same_it_is_normal_and_a_larger_one_is_rare(value: float, shape: float) -> None:
    fitted = PValues.fit(np.full(100, value), THRESHOLD, shape)
    assert fitted.log10(np.array([value - 1, value])) == pytest.approx([0, 0], abs=0.1)
    assert fitted.log10(np.array([value + 1]))[0] > 3


def test_p_values_keep_the_shape_of_what_they_are_of() -> None:
    fitted = PValues.fit(np.random.default_rng(0).normal(size=1000), THRESHOLD, 0.0)
    values = np.random.default_rng(1).normal(size=(3, 4, 5))
    np.testing.assert_array_equal(fitted.log10(values)[1, 2], fitted.log10(values[1, 2]))


@pytest.mark.parametrize("shape", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_scale_and_shape_of_a_large_sample_are_recovered(shape: float, scale: float) -> None:
    found_scale, found_shape = fit_pareto(scale * pareto(100_000, shape, seed=0))
    assert found_scale == pytest.approx(scale, rel=0.03)
    assert found_shape == pytest.approx(shape, abs=0.03)


def test_a_shape_stays_where_a_sample_can_tell_it() -> None:
    """A uniform sample has a largest value and a Cauchy one no mean; neither is believed."""
    random = np.random.default_rng(0)
    assert fit_pareto(random.random(1000))[1] == 0
    assert fit_pareto(np.abs(random.standard_cauchy(1000)))[1] == 0.5


@pytest.mark.parametrize(
    ("excesses", "scale"), [([], 0.0), ([2.0], 2.0), ([2.0, 2.0], 2.0), ([2.0] * 50, 2.0), ([0.0, 0.0], 0.0)]
)
def test_few_or_equal_excesses_have_an_exponential_tail(excesses: list[float], scale: float) -> None:
    assert fit_pareto(np.array(excesses)) == (pytest.approx(scale), 0.0)
