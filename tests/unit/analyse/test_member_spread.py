from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from dasksse.analyse.member_spread import member_spread, spread_beyond_errors
from dasksse.errors import AnalysisError

SEEDS = 1000


def made_up(
    n_members: int, spread: float, errors: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Values of many ensembles of known spread, and their errors, shape (seed, member)."""
    rng = np.random.default_rng(seed)
    models = spread * rng.standard_normal((SEEDS, n_members))
    return 1.0 + models + errors * rng.standard_normal((SEEDS, n_members)), errors


def test_the_variance_of_sampling_is_taken_off() -> None:
    found = spread_beyond_errors([1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 1.0, 1.0])

    assert found.variance_between == pytest.approx(5.0 / 3.0)
    assert found.variance_sampling == pytest.approx(0.625)
    assert found.variance_models == pytest.approx(5.0 / 3.0 - 0.625)
    assert found.models == pytest.approx(found.variance_models**0.5)
    assert found.mean == 2.5
    assert found.mean_err == pytest.approx((5.0 / 12.0) ** 0.5)


def test_with_equal_errors_the_interval_is_that_of_the_variance_by_chi_square() -> None:
    y = np.array([0.1, 0.9, 2.2, 2.4, 4.0])

    found = spread_beyond_errors(y, np.full(5, 0.3))

    between = 4.0 * np.var(y, ddof=1) / stats.chi2.ppf([0.975, 0.025], 4)
    assert found.models_low == pytest.approx((between[0] - 0.09) ** 0.5)
    assert found.models_high == pytest.approx((between[1] - 0.09) ** 0.5)
    assert found.probability == pytest.approx(stats.chi2.sf(4.0 * np.var(y, ddof=1) / 0.09, 4))
    assert found.is_beyond_sampling


def test_values_closer_than_their_errors_leave_nothing_to_the_models() -> None:
    found = spread_beyond_errors([1.0, 1.05, 0.95, 1.0], [0.2] * 4)

    assert found.models == 0.0
    assert found.models_low == 0.0
    assert not found.is_beyond_sampling


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("n_members", [2, 4, 8])
def test_the_interval_holds_the_true_spread_as_often_as_it_says(
    n_members: int, spread: float
) -> None:
    errors = np.linspace(0.05, 0.15, n_members)
    values, errors = made_up(n_members, spread, errors)

    found = [spread_beyond_errors(y, errors) for y in values]

    held = np.mean([one.models_low <= spread <= one.models_high for one in found])
    # 0.7 % standard error; without a spread an interval cut at 0 holds it on one side more
    assert held == pytest.approx(0.95 if spread else 0.975, abs=0.02)


@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_the_estimate_is_right_on_average_over_many_ensembles(spread: float) -> None:
    values, errors = made_up(6, spread, np.linspace(0.03, 0.06, 6))

    variances = [spread_beyond_errors(y, errors).variance_models for y in values]

    assert np.mean(variances) == pytest.approx(spread**2, rel=0.06)


def test_models_that_are_alike_are_called_different_as_rarely_as_stated() -> None:
    values, errors = made_up(4, 0.0, np.full(4, 0.1))

    called = np.mean([spread_beyond_errors(y, errors).is_beyond_sampling for y in values])

    assert called == pytest.approx(0.05, abs=0.02)


def test_D_is_compared_by_its_logarithm() -> None:
    D = 1e-10 * np.exp([-0.3, 0.0, 0.3])

    found = member_spread(D, 0.05 * D)

    assert found.mean == pytest.approx(np.log(1e-10))
    assert found.variance_between == pytest.approx(0.09)
    assert found.variance_sampling == pytest.approx(0.0025)
    assert json.loads(json.dumps(found.to_json()))["is_beyond_sampling"] is True


@pytest.mark.parametrize(
    ("values", "errors", "what"),
    [
        ([1.0], [0.1], "need two or more"),
        ([1.0, 2.0], [0.1], "need two or more"),
        ([1.0, 2.0], [0.1, 0.0], "errors above 0"),
        ([1.0, np.nan], [0.1, 0.1], "must be finite"),
    ],
)
def test_values_without_spread_or_error_are_refused(
    values: list[float], errors: list[float], what: str
) -> None:
    with pytest.raises(AnalysisError, match=what):
        spread_beyond_errors(values, errors)


def test_a_D_that_is_not_above_zero_and_a_wrong_confidence_are_refused() -> None:
    with pytest.raises(AnalysisError, match="must be above 0"):
        member_spread([1e-10, -1e-10], [1e-11, 1e-11])
    with pytest.raises(AnalysisError, match="confidence is 95"):
        member_spread([1e-10, 2e-10], [1e-11, 1e-11], confidence=95.0)
