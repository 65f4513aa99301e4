from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.analyse.arrhenius import fit_arrhenius, read_arrhenius_csv
from dasksse.errors import AnalysisError, ConfigError
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from pathlib import Path

JSON_KEYS = {
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


def test_json_has_the_agreed_keys() -> None:
    D = line(T_K)

    assert set(fit_arrhenius(T_K, D, 0.1 * D).to_json()) == JSON_KEYS


def test_two_points_have_an_exact_line_with_propagated_errors_and_no_chi2() -> None:
    D = line(T_K[:2])

    fit = fit_arrhenius(T_K[:2], D, 0.1 * D)

    gap = np.ptp(1 / (BOLTZMANN_EV_K * T_K[:2]))
    assert fit.Ea_err_eV == pytest.approx(np.sqrt(2) * 0.1 / gap)
    assert fit.chi2_reduced is None
    assert fit.one_line_ok is None


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
    assert "fit each stretch" in kinked.notes[-1]


@pytest.mark.parametrize("unknown", [None, np.nan, 0.0, -1e-12])
def test_points_without_a_diffusion_coefficient_are_left_out_and_noted(
    unknown: float | None,
) -> None:
    D = list(line(T_K))
    errors = [0.1 * value for value in D]

    fit = fit_arrhenius([300.0, *T_K], [unknown, *D], [1e-13, *errors])

    assert fit.Ea_eV == pytest.approx(0.25)
    assert fit.notes == ("300 K left out: no D with an error",)


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


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(AnalysisError, match="2 temperatures, 1 D and 2 errors"):
        fit_arrhenius([500.0, 600.0], [1e-10], [1e-11, 1e-11])


@pytest.mark.parametrize(("temperature", "at"), [(-5.0, 300.0), (500.0, 0.0)])
def test_temperatures_must_be_above_zero(temperature: float, at: float) -> None:
    with pytest.raises(AnalysisError, match="must be above 0"):
        fit_arrhenius([temperature, 600.0], [1e-10, 2e-10], [1e-11, 1e-11], at_K=at)


def test_a_table_is_read_in_any_column_order_with_gaps(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("note, D_m2_s,D_err_m2_s,T_K\na,1e-10,2e-11,600\nb,,,300\n")

    temperatures, D, D_err = read_arrhenius_csv(path)

    np.testing.assert_array_equal(temperatures, [600.0, 300.0])
    np.testing.assert_array_equal(D, [1e-10, np.nan])
    np.testing.assert_array_equal(D_err, [2e-11, np.nan])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("T,D,D_error\n600,1,1\n", r"d\.csv: no column T_K, D_m2_s, D_err_m2_s; found T, D"),
        ("", "found none"),
        ("T_K,D_m2_s,D_err_m2_s\n", "no row below the header"),
        ("T_K,D_m2_s,D_err_m2_s\n600,1,1\n700,fast,1\n", r"d\.csv:3: D_m2_s is 'fast'"),
        ("T_K,D_m2_s,D_err_m2_s\n,1,1\n", r"d\.csv:2: T_K is '', must be a number above 0"),
        ("T_K,D_m2_s,D_err_m2_s\n600,1,-1\n", r"d\.csv:2: D_err_m2_s is '-1'"),
        ("T_K,D_m2_s,D_err_m2_s\nnan,1,1\n", r"d\.csv:2: T_K is 'nan'"),
    ],
)
def test_a_bad_table_is_refused_with_file_and_row(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "d.csv"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_arrhenius_csv(path)


def test_a_missing_table_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.csv: cannot be read"):
        read_arrhenius_csv(tmp_path / "absent.csv")
