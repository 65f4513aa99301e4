from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_ndtr

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.analyse.censored_fit import (
    BOUND_WIDTH,
    ONE_SIDED_95,
    Observations,
    fit_linear,
)
from dasksse.analyse.law_fit import fit_law
from dasksse.analyse.temperature_laws import FORMS, LAWS
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_BOUNDS: Mapping[float, float] = MappingProxyType({})
T_K = np.array([400.0, 450.0, 500.0, 600.0, 700.0, 800.0, 1000.0, 1200.0])


def observed(
    ln_D: np.ndarray, error: float, bounds: Mapping[float, float] = NO_BOUNDS
) -> Observations:
    return Observations(
        temperature_K=T_K,
        ln_D=ln_D,
        ln_err=np.full(len(T_K), error),
        bound_K=np.array(list(bounds)),
        ln_bound=np.array(list(bounds.values())),
    )


def kinked(T: np.ndarray) -> np.ndarray:
    Ea = np.where(T < 620.0, 0.45, 0.2)
    return np.log(1e-10) - Ea / BOLTZMANN_EV_K * (1 / T - 1 / 620.0)


def vtf(T: np.ndarray, T0_K: float = 200.0) -> np.ndarray:
    return np.log(2e-8) - 900.0 / (T - T0_K)


@pytest.mark.parametrize("seed", range(20))
def test_newton_finds_the_largest_likelihood_of_points_and_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = -17.0 - 0.25 / (BOLTZMANN_EV_K * T_K)
    bounds = {300.0: -26.7 + rng.normal(0, 4), 350.0: -25.3 + rng.normal(0, 4)}
    data = observed(truth + rng.normal(0, 0.2, len(T_K)), 0.2, bounds)
    points, at_bounds = (LAWS["line"].design(T, 0.0) for T in (T_K, data.bound_K))

    def half_deviance(c: np.ndarray) -> float:
        scores = (data.ln_bound - at_bounds @ c) / BOUND_WIDTH - ONE_SIDED_95
        residuals = (data.ln_D - points @ c) / data.ln_err
        return 0.5 * float(residuals @ residuals) - float(log_ndtr(scores).sum())

    fit = fit_linear(points, at_bounds, data)

    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000}
    found = minimize(
        half_deviance, fit.coefficients * 1.01, method="Nelder-Mead", options=options
    )
    np.testing.assert_allclose(fit.coefficients, found.x, rtol=1e-5)
    assert fit.deviance == pytest.approx(2.0 * found.fun)


def test_a_kink_is_given_back() -> None:
    fit = fit_law("two-segment", observed(kinked(T_K), 0.05))

    values = fit.parameters()

    assert values["kink_K"] == pytest.approx(620.0, abs=3.0)
    assert values["Ea_cold_eV"] == pytest.approx(0.45, abs=0.003)
    assert values["Ea_hot_eV"] == pytest.approx(0.2, abs=0.003)
    assert fit.chi2 < 0.05
    np.testing.assert_allclose(fit.ln_D(T_K), kinked(T_K), atol=0.02)


def test_errors_of_both_activation_energies_are_close_to_those_of_two_lines() -> None:
    error = 0.05
    values = fit_law("two-segment", observed(kinked(T_K), error)).parameters()

    for side, name in ((T_K < 620.0, "Ea_cold_err_eV"), (T_K > 620.0, "Ea_hot_err_eV")):
        x = 1.0 / (BOLTZMANN_EV_K * T_K[side])
        of_line = error / np.sqrt(np.sum((x - x.mean()) ** 2))
        assert values[name] == pytest.approx(of_line, rel=0.35)


def test_a_vtf_law_is_given_back() -> None:
    values = fit_law("vtf", observed(vtf(T_K), 0.05)).parameters()

    assert values["T0_K"] == pytest.approx(200.0, abs=3.0)
    assert values["B_K"] == pytest.approx(900.0, rel=0.02)


def test_the_slope_of_a_vtf_law_is_its_derivative() -> None:
    fit = fit_law("vtf", observed(vtf(T_K), 0.05))
    step = 1e-3
    x = 1.0 / (BOLTZMANN_EV_K * 500.0)
    T = 1.0 / (BOLTZMANN_EV_K * np.array([x - step, x + step]))

    slope = -np.diff(fit.ln_D(T))[0] / (2 * step)

    assert fit.activation_energy(500.0)[0] == pytest.approx(slope, rel=1e-5)


def test_a_vtf_law_has_no_diffusion_below_T0() -> None:
    T = np.linspace(550.0, 1000.0, 8)
    D = np.exp(vtf(T, T0_K=400.0))

    fit = fit_arrhenius(T, D, 0.03 * D, form="vtf", at_K=300.0)

    assert (fit.D_m2_s, fit.D_low_m2_s, fit.D_high_m2_s) == (0.0, 0.0, 0.0)
    assert fit.to_json()["D_m2_s"] == 0.0


def test_a_bound_says_which_way_a_law_goes_on() -> None:
    hot = T_K > 650.0
    D = np.exp(kinked(T_K))
    with_bounds = fit_arrhenius(
        T_K,
        np.where(hot, D, np.nan),
        0.1 * D,
        upper_bound_m2_s=np.where(hot, np.nan, 1.5 * D),
    )

    assert with_bounds.one_line_ok is False


@pytest.mark.parametrize("form", FORMS)
def test_intervals_hold_the_best_value_and_grow_with_the_score(form: str) -> None:
    rng = np.random.default_rng(4)
    fit = fit_law(form, observed(kinked(T_K) + rng.normal(0, 0.2, len(T_K)), 0.2))
    T = np.array([250.0, 500.0, 1500.0])

    best = fit.ln_D(T)
    low, high = fit.ln_D_interval(T, 1.0)
    low95, high95 = fit.ln_D_interval(T, 1.96)

    assert np.all(low95 <= low)
    assert np.all(low <= best)
    assert np.all(best <= high)
    assert np.all(high <= high95)


def test_a_form_with_as_many_parameters_as_points_is_not_judged() -> None:
    data = observed(kinked(T_K), 0.1)
    four = Observations(T_K[::2], data.ln_D[::2], data.ln_err[::2], data.bound_K, data.ln_bound)

    fit = fit_law("two-segment", four)

    assert (fit.freedom, fit.chance, fit.chi2_reduced) == (0, None, None)
