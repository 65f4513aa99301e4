from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dasksse.analyse.correlated_mean import correlated_mean


def autoregressive(rng: np.random.Generator, memory: float, count: int) -> np.ndarray:
    """Series with correlation ``memory ** lag`` and variance 1, mean 5."""
    noise = rng.normal(0.0, np.sqrt(1.0 - memory**2), count + 500)
    return 5.0 + lfilter([1.0], [1.0, -memory], noise)[500:]


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.98])
def test_error_of_an_autoregressive_series_is_the_exact_one(memory: float) -> None:
    rng = np.random.default_rng(int(100 * memory))
    count = 10_000
    inefficiency = (1.0 + memory) / (1.0 - memory)
    found = [correlated_mean(autoregressive(rng, memory, count)) for _ in range(40)]
    errors = np.array([one.error for one in found])
    means = np.array([one.mean for one in found])
    exact = np.sqrt(inefficiency / count)
    assert np.mean(errors) == pytest.approx(exact, rel=0.1)
    assert np.mean(((means - 5.0) / errors) ** 2) == pytest.approx(1.0, abs=0.6)
    assert np.mean([one.inefficiency for one in found]) == pytest.approx(inefficiency, rel=0.2)


def test_naive_error_would_be_several_times_too_small() -> None:
    series = autoregressive(np.random.default_rng(1), 0.95, 4000)
    naive = series.std() / np.sqrt(len(series))
    assert correlated_mean(series).error > 4.0 * naive


def test_series_as_long_as_its_memory_is_worth_few_values() -> None:
    found = correlated_mean(autoregressive(np.random.default_rng(2), 0.99, 400))
    assert found.n_independent < 10.0


def test_constant_has_no_error_and_a_short_series_an_unknown_one() -> None:
    constant = correlated_mean(np.full(50, 3.0))
    assert (constant.mean, constant.error, constant.n_independent) == (3.0, 0.0, 50.0)
    assert np.isnan(correlated_mean(np.arange(5.0)).error)
    assert correlated_mean(np.arange(5.0)).mean == 2.0
