from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.msd import msd_of_each_atom
from dasksse.analyse.random_walk import msd_covariance, slope_error, slope_weights


def test_slope_weights_give_the_least_squares_slope() -> None:
    rng = np.random.default_rng(0)
    lags, values = np.array([1.0, 2.0, 5.0, 9.0]), rng.normal(size=4)

    assert slope_weights(lags) @ values == pytest.approx(np.polyfit(lags, values, 1)[0])


def test_the_variance_at_the_longest_lag_is_that_of_one_squared_displacement() -> None:
    covariance = msd_covariance(np.array([9]), 10, step_variance=0.3, noise_variance=0.2)

    assert covariance[0, 0] == pytest.approx(2 * (9 * 0.3 + 2 * 0.2) ** 2)


@pytest.mark.parametrize(("step", "noise"), [(1.0, 0.0), (0.2, 1.0), (0.0, 1.0)])
def test_the_covariance_is_that_of_many_sampled_walks(step: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    n_frames, n_walkers, lags = 30, 40_000, np.array([1, 3, 4])
    walks = np.cumsum(rng.normal(0, np.sqrt(step), (n_frames, n_walkers, 1)), axis=0)
    walks += rng.normal(0, np.sqrt(noise), walks.shape)

    exact = msd_covariance(lags, n_frames, step_variance=step, noise_variance=noise)

    by_atom = msd_of_each_atom(walks, lags).by_atom.sum(axis=-1)
    np.testing.assert_allclose(exact, np.cov(by_atom.T), rtol=0.05)


def test_the_slope_error_is_the_spread_of_slopes_of_many_samples() -> None:
    rng = np.random.default_rng(2)
    lags = np.arange(1, 11, 3)
    n_frames, n_walkers, n_samples = 60, 5, 4000
    walks = np.cumsum(rng.normal(size=(n_frames, n_walkers * n_samples, 3)), axis=0)
    by_atom = msd_of_each_atom(walks, lags).by_atom.sum(axis=-1)
    slopes = by_atom.reshape(n_samples, n_walkers, -1).mean(axis=1) @ slope_weights(lags)

    expected = slope_error(lags, lags[:, None] * np.ones(3), n_frames, n_walkers)

    assert slopes.std() == pytest.approx(expected, rel=0.05)
