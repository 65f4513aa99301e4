from __future__ import annotations

import json

import numpy as np
import pytest

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.errors import AnalysisError
from dasksse.units import BOLTZMANN_EV_K

AGREED_KEYS = {
    "Ea_eV",
    "Ea_err_eV",
    "D0_m2_s",
    "at_K",
    "D_m2_s",
    "D_low_m2_s",
    "D_high_m2_s",
    "sigma_mS_cm",
    "chi2_reduced",
    "one_line_ok",
}
T_K = np.array([500.0, 600.0, 800.0, 1000.0])


def line(temperature_K: np.ndarray, Ea_eV: float = 0.25, D0_m2_s: float = 3e-8) -> np.ndarray:
    return D0_m2_s * np.exp(-Ea_eV / (BOLTZMANN_EV_K * temperature_K))


def test_points_on_a_line_give_it_back() -> None:
    D = line(T_K)

    fit = fit_arrhenius(T_K, D, 0.1 * D, at_K=300.0)

    assert fit.Ea_eV == pytest.approx(0.25)
    assert fit.D0_m2_s == pytest.approx(3e-8)
    assert fit.D_m2_s == pytest.approx(float(line(np.array([300.0]))[0]))
    assert fit.chi2_reduced == pytest.approx(0.0, abs=1e-12)
    assert fit.one_line_ok is True


def test_json_has_the_agreed_keys_and_is_json() -> None:
    D = line(T_K) * np.array([0.3, 1.0, 1.0, 0.3])

    values = fit_arrhenius(T_K, D, 0.1 * D).to_json()

    assert set(values) >= AGREED_KEYS
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert "law" not in {*values, *values["alternatives"]["vtf"]}


def test_two_points_have_an_exact_line_with_propagated_errors_and_no_chi2() -> None:
    D = line(T_K[:2])

    fit = fit_arrhenius(T_K[:2], D, 0.1 * D)

    gap = np.ptp(1 / (BOLTZMANN_EV_K * T_K[:2]))
    assert fit.Ea_err_eV == pytest.approx(np.sqrt(2) * 0.1 / gap)
    assert fit.chi2_reduced is None
    assert fit.one_line_ok is None


def test_replicas_at_two_temperatures_prove_no_line_but_may_refuse_it() -> None:
    T = np.array([500.0, 500.0, 600.0, 600.0])

    agreeing = fit_arrhenius(T, line(T), 0.1 * line(T))
    scattered = fit_arrhenius(T, line(T) * np.array([1.0, 3.0, 1.0, 3.0]), 0.1 * line(T))

    assert agreeing.chance == pytest.approx(1.0)
    assert agreeing.one_line_ok is None
    assert scattered.one_line_ok is False


def test_at_a_measured_temperature_the_interval_is_that_of_the_point() -> None:
    D = line(T_K[:2])

    fit = fit_arrhenius(T_K[:2], D, 0.1 * D, at_K=500.0)

    assert fit.D_high_m2_s == pytest.approx(D[0] * np.exp(0.1))
    assert fit.D_low_m2_s == pytest.approx(D[0] * np.exp(-0.1))


def test_the_interval_covers_the_truth_two_times_in_three() -> None:
    rng = np.random.default_rng(0)
    truth, relative = line(T_K), np.array([0.3, 0.2, 0.1, 0.1])
    at_300 = float(line(np.array([300.0]))[0])
    n_hits = 0

    for _ in range(500):
        D = truth * np.exp(rng.normal(0, relative))
        fit = fit_arrhenius(T_K, D, relative * D)
        n_hits += fit.D_low_m2_s < at_300 < fit.D_high_m2_s

    assert 0.62 < n_hits / 500 < 0.80  # above 0.68: errors are widened when chi2 is large


def test_a_kink_is_seen_and_widens_the_errors() -> None:
    D = line(T_K) * np.array([0.3, 1.0, 1.0, 0.3])

    calm = fit_arrhenius(T_K, line(T_K), 0.1 * line(T_K))
    kinked = fit_arrhenius(T_K, D, 0.1 * D)

    assert kinked.one_line_ok is False
    assert kinked.chi2_reduced is not None
    assert kinked.Ea_err_eV == pytest.approx(calm.Ea_err_eV * np.sqrt(kinked.chi2_reduced))
    assert set(kinked.alternatives) == {"two-segment", "vtf"}
    assert calm.alternatives == {}


@pytest.mark.parametrize("unknown", [None, np.nan, 0.0, -1e-12])
def test_points_without_a_diffusion_coefficient_are_left_out_and_noted(
    unknown: float | None,
) -> None:
    D = list(line(T_K))
    errors = [0.1 * value for value in D]

    fit = fit_arrhenius([300.0, *T_K], [unknown, *D], [1e-13, *errors], at_K=450.0)

    assert fit.Ea_eV == pytest.approx(0.25)
    assert fit.notes == ("300 K left out: no D with an error and no upper bound",)


def test_conductivity_needs_charge_and_density() -> None:
    D = line(T_K)

    bare = fit_arrhenius(T_K, D, 0.1 * D)
    full = fit_arrhenius(T_K, D, 0.1 * D, charge=1.0, carrier_density_A3=0.02)

    assert bare.sigma_mS_cm is None
    assert full.sigma_mS_cm == pytest.approx(
        1.602176634e-19 * 0.02e30 * full.D_m2_s / (BOLTZMANN_EV_K * 300.0) * 10.0
    )


def test_fewer_than_two_temperatures_are_refused() -> None:
    with pytest.raises(AnalysisError, match="1 of 3 temperatures"):
        fit_arrhenius([500.0, 500.0, 600.0], [1e-10, 1e-10, None], [1e-11, 1e-11, None])


def test_bounds_alone_give_no_slope() -> None:
    with pytest.raises(AnalysisError, match=r"1 of 2 .*; 1 upper bound\(s\) alone give none"):
        fit_arrhenius(
            [600.0, 500.0], [1e-10, None], [1e-11, None], upper_bound_m2_s=[None, 1e-12]
        )


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(AnalysisError, match="2 temperatures, 1 D, 2 errors and 2 bounds"):
        fit_arrhenius([500.0, 600.0], [1e-10], [1e-11, 1e-11])


@pytest.mark.parametrize(("temperature", "at"), [(-5.0, 300.0), (500.0, 0.0)])
def test_temperatures_must_be_above_zero(temperature: float, at: float) -> None:
    with pytest.raises(AnalysisError, match="must be above 0"):
        fit_arrhenius([temperature, 600.0], [1e-10, 2e-10], [1e-11, 1e-11], at_K=at)


def test_a_bound_far_above_the_line_changes_nothing() -> None:
    D = line(T_K)
    plain = fit_arrhenius(T_K, D, 0.1 * D)

    bound = 10.0 * float(line(np.array([400.0]))[0])
    bounded = fit_arrhenius(
        [*T_K, 400.0], [*D, None], [*0.1 * D, None], upper_bound_m2_s=[*[None] * 4, bound]
    )

    assert (bounded.n_points, bounded.n_bounds) == (4, 1)
    assert bounded.Ea_eV == pytest.approx(plain.Ea_eV, abs=1e-6)
    assert bounded.Ea_err_eV == pytest.approx(plain.Ea_err_eV, rel=1e-4)
    assert bounded.one_line_ok is True


def test_a_bound_below_the_line_pulls_it_and_that_is_said() -> None:
    D = line(T_K)
    bound = 0.5 * float(line(np.array([400.0]))[0])

    fit = fit_arrhenius(
        [*T_K, 400.0],
        [*D, None],
        [*0.3 * D, None],
        upper_bound_m2_s=[*[None] * 4, bound],
        at_K=450.0,
    )

    assert fit.Ea_eV > 0.27
    assert fit.notes[0].startswith("the upper bounds at 400 K pull the line: Ea 0.")
    assert "0.250 ±" in fit.notes[0]


def test_a_bound_counts_only_where_D_is_unknown() -> None:
    D = line(T_K)

    fit = fit_arrhenius(T_K, D, 0.1 * D, upper_bound_m2_s=0.1 * D)

    assert (fit.n_bounds, fit.Ea_eV) == (0, pytest.approx(0.25))


def test_two_points_that_run_above_a_bound_are_no_line() -> None:
    D = line(T_K[1:3])
    bound = 0.01 * float(line(np.array([400.0]))[0])

    fit = fit_arrhenius(
        [*T_K[1:3], 400.0],
        [*D, None],
        [*0.02 * D, None],
        upper_bound_m2_s=[None, None, bound],
    )

    assert fit.one_line_ok is False
    assert any("the line fit is above the upper bound at 400 K" in note for note in fit.notes)


def test_a_bend_is_seen_where_the_scatter_is_not() -> None:
    temperatures = np.linspace(400.0, 1200.0, 15)
    x = 1.0 / (BOLTZMANN_EV_K * temperatures)
    D = line(temperatures) * np.exp(-0.004 * (x - x.mean()) ** 2)

    fit = fit_arrhenius(temperatures, D, 0.2 * D)

    assert fit.chance is not None
    assert fit.chance > 0.5
    assert fit.curvature_chance is not None
    assert fit.curvature_chance < 0.025
    assert fit.one_line_ok is False


def test_the_95_percent_interval_is_1_96_times_as_wide_in_ln_D() -> None:
    D = line(T_K)

    fit = fit_arrhenius(T_K, D, 0.1 * D)

    assert np.log(fit.D_high95_m2_s / fit.D_m2_s) == pytest.approx(
        1.96 * np.log(fit.D_high_m2_s / fit.D_m2_s)
    )
    assert fit.D_low95_m2_s * fit.D_high95_m2_s == pytest.approx(fit.D_m2_s**2)


def test_a_line_is_known_best_at_its_pivot() -> None:
    D = line(T_K)
    fit = fit_arrhenius(T_K, D, np.array([0.4, 0.3, 0.1, 0.1]) * D)
    assert fit.pivot_K is not None
    around = fit.pivot_K * np.array([0.97, 1.0, 1.03])

    value, _, high = fit.D_at(around)

    widths = np.log(high / value)
    assert widths[1] < min(widths[0], widths[2])


@pytest.mark.parametrize(("at_K", "reach"), [(300.0, 7 / 3), (600.0, 1.0), (2000.0, 1.5)])
def test_the_reach_of_an_extrapolation_is_counted_in_ranges_of_1_over_T(
    at_K: float, reach: float
) -> None:
    D = line(T_K)

    fit = fit_arrhenius(T_K, D, 0.1 * D, at_K=at_K)

    assert fit.reach == pytest.approx(reach)
    assert any("far outside the data" in note for note in fit.notes) is (at_K == 300.0)


def test_a_large_error_of_D_is_noted() -> None:
    D = line(T_K)

    fit = fit_arrhenius(T_K, D, np.array([0.7, 0.1, 0.1, 0.1]) * D, at_K=450.0)

    assert fit.notes == ("D at 500 K has an error of 70 %: the interval is a rough one there",)


def test_forms_need_enough_temperatures() -> None:
    D = line(T_K[:3])

    with pytest.raises(AnalysisError, match=r"two-segment fit needs 4 temperatures .* found 3"):
        fit_arrhenius(T_K[:3], D, 0.1 * D, form="two-segment")
