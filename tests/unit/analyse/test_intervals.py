from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.intervals import Spread, chi_square, log_normal

CERTAIN = np.ones(1)


def test_a_known_variance_gives_a_normal_distribution() -> None:
    spread = Spread(4.0, CERTAIN)

    assert spread.error == pytest.approx(2.0, rel=1e-3)
    assert spread.half_width(0.95) == pytest.approx(3.92, rel=1e-3)


def test_a_scatter_as_large_as_expected_changes_little() -> None:
    spread = Spread(1.0, CERTAIN).exceeding(1.0, 20, doubt=0.5)

    assert 1.0 < spread.error < 1.1


def test_a_scatter_far_beyond_chance_replaces_the_variance() -> None:
    spread = Spread(1.0, CERTAIN).exceeding(16.0, 40, doubt=0.5)

    assert spread.error == pytest.approx(4.0, rel=0.05)


def test_a_scatter_of_few_has_wide_tails() -> None:
    few, many = (Spread(1.0, CERTAIN).exceeding(16.0, dof, doubt=0.5) for dof in (4, 400))

    assert few.half_width(0.95) / few.error > 1.1 * many.half_width(0.95) / many.error


def test_a_small_scatter_does_not_shrink_the_error() -> None:
    assert Spread(1.0, CERTAIN).exceeding(0.0, 20, doubt=0.5).error >= 1.0


def test_the_stated_error_covers_whether_there_is_an_excess_or_not() -> None:
    """Mean of eight numbers whose scatter is believed to be 1 and is 1 or 3."""
    rng = np.random.default_rng(0)
    for truth, low, high in [(1.0, 0.66, 0.76), (3.0, 0.62, 0.74)]:
        values = rng.normal(0.0, truth, (2000, 8))
        inside = [
            abs(row.mean())
            < Spread(1 / 8, CERTAIN).exceeding(np.var(row, ddof=1) / 8, 7, doubt=0.5).error
            for row in values
        ]
        assert low < np.mean(inside) < high


def test_no_variance_has_no_width() -> None:
    assert Spread(0.0, CERTAIN).exceeding(1.0, 5, doubt=0.5).half_width(0.95) == 0.0


def test_intervals_of_sums_are_symmetric_in_the_logarithm() -> None:
    estimate = log_normal(2.0, Spread(0.04, CERTAIN))

    assert estimate.within68.low * estimate.within68.high == pytest.approx(4.0)
    assert estimate.within68.high == pytest.approx(2.0 * np.exp(0.1), rel=1e-3)


def test_intervals_of_few_squares_hold_their_mean_as_often_as_stated() -> None:
    rng = np.random.default_rng(1)
    means = rng.chisquare(6, 4000) / 6
    error = np.sqrt(2 / 6)

    estimates = [chi_square(mean, mean * error) for mean in means]

    for name, share in [("within68", 0.683), ("within95", 0.95)]:
        ends = np.array([getattr(estimate, name) for estimate in estimates])
        assert np.mean((ends[:, 0] < 1) & (ends[:, 1] > 1)) == pytest.approx(share, abs=0.02)


def test_a_ratio_is_as_uncertain_as_both_together() -> None:
    precise = log_normal(3.0, Spread(1e-8, CERTAIN))
    rough = chi_square(2.0, 0.5)

    ratio = precise.over(rough)

    assert ratio.value == 1.5
    assert ratio.error == pytest.approx(1.5 * 0.25, rel=1e-3)
    assert ratio.within95.low == pytest.approx(3.0 / rough.within95.high, rel=1e-2)
    assert ratio.within95.high == pytest.approx(3.0 / rough.within95.low, rel=1e-2)


def test_multiples_scale_everything() -> None:
    doubled = chi_square(2.0, 0.5).scaled(2.0)

    assert doubled.value == 4.0
    assert doubled.error == 1.0
    assert doubled.within95 == pytest.approx(chi_square(4.0, 1.0).within95)
