from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.msd import msd_of_each_atom
from dasksse.analyse.random_walk import msd_covariance, slope_weights


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


def test_the_covariance_of_a_stretch_is_that_of_its_time_origins() -> None:
    rng = np.random.default_rng(2)
    lags, n_frames = np.array([1, 2, 5]), 37
    walks = np.cumsum(rng.normal(size=(n_frames, 40_000, 1)), axis=0)

    exact = msd_covariance(lags, n_frames, step_variance=1.0, noise_variance=0.0, n_stretches=4)

    squares = [
        ((walks[lag:] - walks[:-lag])[: (n_frames - lag) // 4] ** 2).mean(axis=0).sum(axis=-1)
        for lag in lags
    ]
    np.testing.assert_allclose(exact, np.cov(squares), rtol=0.1)


def test_several_walks_have_a_covariance_each() -> None:
    lags = np.array([1, 2, 4])
    step, noise = np.array([0.1, 0.4]), np.array([0.3, 0.0])

    both = msd_covariance(lags, 20, step_variance=step, noise_variance=noise)

    for one, s, n in zip(both, step, noise, strict=True):
        expected = msd_covariance(lags, 20, step_variance=s, noise_variance=n)
        np.testing.assert_allclose(one, expected)
