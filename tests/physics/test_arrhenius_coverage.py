"""Stated errors of Ea hold over many draws, and one line is refused when it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import chi2

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.analyse.arrhenius_result import ArrheniusResult

EA_EV, D0_M2_S = 0.25, 3e-8
N_DRAWS = 600
SEGMENTS = {"kink_K": 620.0, "Ea_cold_eV": 0.45, "Ea_hot_eV": 0.2}
VTF = {"T0_K": 200.0, "B_K": 900.0}
T_BENT = np.array([400.0, 450.0, 500.0, 600.0, 700.0, 800.0, 1000.0, 1200.0])


def line(T_K: Any) -> Any:
    return D0_M2_S * np.exp(-EA_EV / (BOLTZMANN_EV_K * T_K))


def kinked(temperature: Any) -> Any:
    kink_K, cold_eV, hot_eV = SEGMENTS.values()
    Ea = np.where(temperature < kink_K, cold_eV, hot_eV)
    return 1e-10 * np.exp(-Ea / BOLTZMANN_EV_K * (1 / temperature - 1 / kink_K))


def vtf(T_K: Any) -> Any:
    return 2e-8 * np.exp(-VTF["B_K"] / (T_K - VTF["T0_K"]))


def draws(seed: int, draw: Callable[[np.random.Generator], ArrheniusResult]) -> list:
    rng = np.random.default_rng(seed)
    return [draw(rng) for _ in range(N_DRAWS)]


def share(fits: list, is_so: Callable[[ArrheniusResult], bool]) -> float:
    return float(np.mean([is_so(fit) for fit in fits]))


def counted_jumps(rng: np.random.Generator) -> ArrheniusResult:
    """Jumps are counted; fewer than four give the exact Poisson bound instead of a value."""
    T_K = np.array([300.0, 400.0, 500.0, 600.0, 800.0, 1000.0])
    jumps_per_D = 30.0 / line(600.0)  # 0.2 jumps expected at 300 K, 2.7 at 400 K
    n = rng.poisson(jumps_per_D * line(T_K))
    is_known = n >= 4
    D = np.where(is_known, n / jumps_per_D, np.nan)
    bound = np.where(is_known, np.nan, chi2.ppf(0.95, 2 * (n + 1)) / 2 / jumps_per_D)
    return fit_arrhenius(T_K, D, D / np.sqrt(np.maximum(n, 1)), upper_bound_m2_s=bound)


def close_bounds(rng: np.random.Generator) -> ArrheniusResult:
    """Subdiffusive cold runs: true bounds, one to three times D."""
    T_K = np.array([300.0, 400.0, 500.0, 600.0, 800.0, 1000.0])
    is_cold = T_K < 450.0
    D = line(T_K) * np.exp(rng.normal(0, 0.15, len(T_K)))
    bound = np.where(is_cold, line(T_K) * rng.uniform(1, 3, len(T_K)), np.nan)
    D = np.where(is_cold, np.nan, D)
    return fit_arrhenius(T_K, D, 0.15 * D, upper_bound_m2_s=bound)


def of_points(
    T_K: np.ndarray, law: Callable[[Any], Any], error: Any, form: str = "line"
) -> Callable[[np.random.Generator], ArrheniusResult]:
    def draw(rng: np.random.Generator) -> ArrheniusResult:
        D = law(T_K) * np.exp(error * rng.standard_normal(len(T_K)))
        return fit_arrhenius(T_K, D, error * D, form=form)

    return draw


@pytest.mark.parametrize("n_temperatures", [4, 8])
def test_the_errors_of_Ea_and_D_hold_and_one_line_is_rarely_refused(
    n_temperatures: int,
) -> None:
    T_K = np.linspace(450.0, 1100.0, n_temperatures)

    fits = draws(1, of_points(T_K, line, np.linspace(0.3, 0.1, n_temperatures)))

    # errors are widened where chi² exceeds 1 by chance, so 68 % become 70 to 76 %
    assert 0.66 < share(fits, lambda f: abs(f.Ea_eV - EA_EV) < f.Ea_err_eV) < 0.79
    assert 0.93 < share(fits, lambda f: abs(f.Ea_eV - EA_EV) < 1.96 * f.Ea_err_eV) < 0.985
    truth = line(300.0)
    assert 0.66 < share(fits, lambda f: f.D_low_m2_s < truth < f.D_high_m2_s) < 0.79
    assert 0.93 < share(fits, lambda f: f.D_low95_m2_s < truth < f.D_high95_m2_s) < 0.985
    assert share(fits, lambda f: f.one_line_ok is False) < 0.07  # 5 % and 2 of its errors


def test_the_errors_hold_with_bounds_from_counted_jumps() -> None:
    fits = draws(2, counted_jumps)

    assert share(fits, lambda f: f.n_bounds > 0) > 0.95
    assert 0.63 < share(fits, lambda f: abs(f.Ea_eV - EA_EV) < f.Ea_err_eV) < 0.77
    assert 0.92 < share(fits, lambda f: abs(f.Ea_eV - EA_EV) < 1.96 * f.Ea_err_eV) < 0.985
    assert share(fits, lambda f: f.one_line_ok is False) < 0.075


def test_the_errors_hold_roughly_with_bounds_close_above_the_true_D() -> None:
    fits = draws(3, close_bounds)

    assert 0.58 < share(fits, lambda f: abs(f.Ea_eV - EA_EV) < f.Ea_err_eV) < 0.8
    assert share(fits, lambda f: abs(f.Ea_eV - EA_EV) < 1.96 * f.Ea_err_eV) > 0.9
    assert share(fits, lambda f: f.one_line_ok is False) < 0.12


@pytest.mark.parametrize(
    ("law", "form"), [(kinked, "two-segment"), (vtf, "vtf")], ids=["kink", "vtf"]
)
def test_bent_data_are_recognised_with_their_form(law: Callable[[Any], Any], form: str) -> None:
    rng = np.random.default_rng(5)
    draw = of_points(T_BENT, law, 0.06)
    fits = [draw(rng) for _ in range(120)]

    refused = [fit for fit in fits if fit.one_line_ok is False]
    fitting = [fit for fit in refused if fit.alternatives[form].fits]
    best = [
        fit
        for fit in fitting
        if min(fit.alternatives, key=lambda name: fit.alternatives[name].aic) == form
    ]
    assert len(refused) / len(fits) > 0.97
    assert len(fitting) / len(fits) > 0.88
    assert len(best) / len(fits) > 0.6


@pytest.mark.parametrize(
    ("law", "form"), [(kinked, "two-segment"), (vtf, "vtf")], ids=["kink", "vtf"]
)
def test_extrapolations_and_parameters_of_bent_forms_hold(
    law: Callable[[Any], Any], form: str
) -> None:
    rng = np.random.default_rng(6)
    draw = of_points(T_BENT, law, 0.1, form)

    fits = [draw(rng) for _ in range(150)]

    truth = law(300.0)
    assert 0.6 < share(fits, lambda f: f.D_low_m2_s < truth < f.D_high_m2_s) < 0.85
    assert share(fits, lambda f: f.D_low95_m2_s < truth < f.D_high95_m2_s) > 0.9
    for name, value in {"two-segment": SEGMENTS, "vtf": VTF}[form].items():
        stem, unit = name.rsplit("_", 1)
        errors = np.array(
            [abs(f.parameters[name] - value) / f.parameters[f"{stem}_err_{unit}"] for f in fits]
        )
        assert 0.6 < np.mean(errors < 1.0) < 0.88
        assert np.mean(errors < 1.96) > 0.9
