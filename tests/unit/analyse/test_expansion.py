from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.expansion import linear_expansion
from dasksse.errors import AnalysisError

T = (300.0, 400.0, 500.0, 600.0, 700.0)


def test_exact_line_gives_its_coefficient_at_the_reference() -> None:
    sizes = [8.7 * (1.0 + 3.2e-5 * (at - 300.0)) for at in T]
    found = linear_expansion(T, sizes, [0.001] * 5, reference_K=300.0)
    assert found.coefficient_per_K == pytest.approx(3.2e-5)
    assert found.at_reference == pytest.approx(8.7)
    assert found.chi2_reduced == pytest.approx(0.0, abs=1e-12)
    elsewhere = linear_expansion(T, sizes, [0.001] * 5, reference_K=500.0)
    assert elsewhere.coefficient_per_K == pytest.approx(3.2e-5 / (1.0 + 3.2e-5 * 200.0))


def test_errors_are_those_of_repeated_measurements() -> None:
    rng = np.random.default_rng(0)
    errors = np.array([0.002, 0.003, 0.002, 0.004, 0.003])
    truth = 8.7 * (1.0 + 3.2e-5 * (np.array(T) - 300.0))
    found = [
        linear_expansion(T, truth + rng.normal(0.0, errors), errors, reference_K=300.0)
        for _ in range(800)
    ]
    values = np.array([one.coefficient_per_K for one in found])
    plain = [one.coefficient_err_per_K for one in found if (one.chi2_reduced or 0.0) <= 1.0]
    assert values.mean() == pytest.approx(3.2e-5, abs=3e-7)
    assert values.std() == pytest.approx(np.mean(plain), rel=0.1)
    chances = np.array([one.chance for one in found])
    assert np.mean(chances < 0.05) == pytest.approx(0.05, abs=0.025)


def test_points_off_the_line_enlarge_the_error() -> None:
    sizes = np.array([8.70, 8.72, 8.71, 8.74, 8.73])
    found = linear_expansion(T, sizes, [1e-4] * 5, reference_K=300.0)
    scaled = linear_expansion(T, sizes, [1e-2] * 5, reference_K=300.0)
    assert found.chi2_reduced is not None
    assert found.chi2_reduced > 100.0
    residual = np.polyfit(T, sizes, 1, cov=True)[1]
    assert found.coefficient_err_per_K == pytest.approx(
        np.sqrt(residual[0, 0]) / found.at_reference, rel=0.01
    )
    assert scaled.coefficient_err_per_K > found.coefficient_err_per_K


def test_two_points_have_no_chi2_and_one_no_line() -> None:
    found = linear_expansion(T[:2], [8.70, 8.71], [0.001, 0.001], reference_K=300.0)
    assert found.chi2_reduced is None
    assert found.chance is None
    with pytest.raises(AnalysisError, match="two temperatures, found 1"):
        linear_expansion([300.0, 300.0], [8.7, 8.7], [0.1, 0.1], reference_K=300.0)
    with pytest.raises(AnalysisError, match="above 0"):
        linear_expansion(T[:2], [8.70, 8.71], [0.0, 0.1], reference_K=300.0)
