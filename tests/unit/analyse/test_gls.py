from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.gls import fit_line, variance_of
from dasksse.analyse.msd import msd_of_each_atom
from dasksse.analyse.random_walk import slope_weights

LAGS = np.arange(1, 21)
ALL = np.ones(len(LAGS), dtype=bool)


def sampled(noise: float, *, n_samples: int = 2000, n_frames: int = 100) -> np.ndarray:
    """MSDs of lone walkers along three axes, shape ``(sample, lag, xyz)``."""
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(n_frames, n_samples, 3)), axis=0)
    return msd_of_each_atom(walks + rng.normal(0, noise, walks.shape), LAGS).by_atom


def test_a_straight_line_is_found_exactly() -> None:
    msd = np.stack([0.3 * LAGS, 1.0 + 0.1 * LAGS, 0.0 * LAGS], axis=1)

    line = fit_line(LAGS, msd, 100, LAGS > 3)

    np.testing.assert_allclose(line.slope_xyz, [0.3, 0.1, 0.0], atol=1e-12)
    np.testing.assert_allclose(line.noise_variance, [0.0, 0.5, 0.0], atol=1e-9)
    np.testing.assert_allclose(line.weights[:3], 0.0)
    assert line.slope == pytest.approx(0.4)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_the_line_is_right_on_average_and_its_variance_known(noise: float) -> None:
    msds = sampled(noise)

    lines = [fit_line(LAGS, msd, 100, ALL) for msd in msds]

    truth = fit_line(LAGS, (2 * noise**2 + LAGS)[:, None] * np.ones(3), 100, ALL)
    fixed = np.tensordot(msds, truth.weights, axes=2)
    assert np.mean([line.slope for line in lines]) == pytest.approx(3.0, rel=0.05)
    assert fixed.var() == pytest.approx(variance_of(truth.weights, truth, LAGS, 100), rel=0.1)


def test_the_line_is_better_than_plain_least_squares() -> None:
    msds = sampled(0.0)

    slopes = [fit_line(LAGS, msd, 100, ALL).slope for msd in msds]

    assert np.std(slopes) < 0.7 * np.std(msds.sum(axis=-1) @ slope_weights(LAGS))


def test_a_frozen_species_has_a_slope_of_zero_without_warnings() -> None:
    with np.errstate(all="raise"):
        line = fit_line(LAGS, np.zeros((20, 3)), 100, ALL)

    assert line.slope == 0.0
    assert variance_of(line.weights, line, LAGS, 100) == 0.0
