from __future__ import annotations

import numpy as np
import pytest
from line_of_sites import follow, sites_along_x

from dasksse.analyse.ratios import ratio_of_sums
from dasksse.analyse.residence import residences, survival_curve


def test_survival_is_that_of_kaplan_and_meier_by_hand() -> None:
    durations = np.array([1, 2, 2, 3, 4, 5])
    is_censored = np.array([False, False, True, False, True, False])

    times, survival = survival_curve(durations, is_censored)

    assert times.tolist() == [0, 1, 2, 3, 5]
    np.testing.assert_allclose(
        survival, [1.0, 5 / 6, 5 / 6 * 4 / 5, 5 / 6 * 4 / 5 * 2 / 3, 0.0]
    )


def test_the_mean_counts_the_waits_that_the_run_cut_off() -> None:
    path = [0.0] * 6 + [3.0] * 4 + [0.0] * 10

    (one,) = residences(follow(path))

    assert one.mean_ps == pytest.approx(20 * 0.5 / 2)
    assert (one.n_left, one.n_censored) == (2, 1)
    assert one.err_ps is not None
    assert one.err_ps >= 5.0 / np.sqrt(2.0)
    assert one.time_ps.tolist() == [0.0, 2.0]
    assert one.survival.tolist() == [1.0, 0.5]
    assert one.half_ps == 2.0


def test_a_site_that_is_never_left_has_a_lower_bound() -> None:
    (one,) = residences(follow([0.0] * 20))

    assert one.mean_ps is None
    assert one.half_ps is None
    assert one.lower_bound_ps == pytest.approx(10.0 / -np.log(0.05))


def test_long_curves_keep_their_ends() -> None:
    rng = np.random.default_rng(0)
    waits = rng.geometric(0.02, 500)
    path = np.repeat(np.resize([0.0, 3.0], 500), waits)

    (one,) = residences(follow(path.tolist(), sites=sites_along_x(0.0, 3.0)))

    assert len(one.time_ps) <= 61
    assert one.time_ps[-1] == waits[1:-1].max() * 0.5
    assert one.mean_ps == pytest.approx(25.0, rel=0.15)


def test_a_ratio_of_sums_and_its_error_by_hand() -> None:
    above, below = np.array([1.0, 3.0]), np.array([2.0, 2.0])

    ratio, error = ratio_of_sums(above, below)

    assert ratio == 1.0
    assert error == pytest.approx(np.sqrt(2.0 * 2.0) / 4.0)
    assert np.isnan(ratio_of_sums(above, np.zeros(2))[0])
