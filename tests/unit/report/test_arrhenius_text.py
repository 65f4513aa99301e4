from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.analyse.experiment import ExperimentPoint
from dasksse.analyse.fitted_points import FittedPoints, fit_points
from dasksse.report.arrhenius_table import latex_table, markdown_table
from dasksse.report.arrhenius_text import (
    experiment_rows,
    form_rows,
    point_rows,
    result_lines,
    verdict,
)
from dasksse.units import BOLTZMANN_EV_K

T_K = np.array([400.0, 450.0, 500.0, 600.0, 700.0, 800.0, 1000.0, 1200.0])


def line(T: np.ndarray) -> np.ndarray:
    return 3e-8 * np.exp(-0.25 / (BOLTZMANN_EV_K * T))


def kinked(T: np.ndarray, cold_eV: float = 0.45) -> np.ndarray:
    Ea = np.where(T < 620.0, cold_eV, 0.2)
    return 1e-10 * np.exp(-Ea / BOLTZMANN_EV_K * (1 / T - 1 / 620.0))


def test_a_good_line_is_called_one() -> None:
    fit = fit_arrhenius(T_K, line(T_K), 0.1 * line(T_K), charge=1.0, carrier_density_A3=0.02)

    lines = result_lines(fit)

    assert verdict(fit).startswith("One line fits 8 points: χ² 0.00 per degree of freedom")
    assert lines[0].startswith("Ea = 0.250 ± 0.005 eV, D0 = 3.00 × 10⁻⁸ m²/s (one line)")
    assert lines[1].startswith("D(300 K) = 1.9 (")
    assert "95 %" in lines[1]
    assert lines[2].startswith("σ(300 K) = ")


def test_two_points_prove_nothing() -> None:
    fit = fit_arrhenius(T_K[:2], line(T_K[:2]), 0.1 * line(T_K[:2]))

    assert verdict(fit).startswith("Two temperatures always lie on a line")


def test_a_kink_is_named_with_what_it_would_give() -> None:
    fit = fit_arrhenius(T_K, kinked(T_K), 0.05 * kinked(T_K))

    text = verdict(fit)
    rows = form_rows(fit)

    assert text.startswith("One line does not fit (its scatter has a chance of below 0.1 %")
    assert "What fits: two segments (kink at 62" in text
    assert "VTF" not in text
    assert [row["form"] for row in rows] == ["one line", "two segments", "VTF"]
    assert rows[1]["Ea"].startswith("0.45")
    assert rows[0]["F-test"] == "–"


def test_forms_that_fit_alike_are_not_told_apart() -> None:
    D = kinked(T_K, cold_eV=0.35)

    text = verdict(fit_arrhenius(T_K, D, 0.16 * D))

    assert "two segments" in text
    assert "VTF (T0" in text
    assert text.endswith("The data cannot tell these apart.")


def test_scatter_that_nothing_explains_is_said() -> None:
    D = line(T_K) * np.array([1, 3, 1, 3, 1, 3, 1, 3.0])

    text = verdict(fit_arrhenius(T_K, D, 0.1 * D))

    assert "Nor do two segments or VTF: errors of D may be too small" in text


def test_too_few_temperatures_for_a_bent_form_are_said() -> None:
    D = line(T_K[:3]) * np.array([1.0, 5.0, 1.0])

    text = verdict(fit_arrhenius(T_K[:3], D, 0.1 * D))

    assert text.endswith("There are too few temperatures to tell what does: add some.")


def test_rows_of_points_say_what_takes_part() -> None:
    points = leave_out(
        [
            DiffusionPoint(600.0, 1e-10, 1e-11),
            DiffusionPoint(300.0, upper_bound_m2_s=1e-13),
            DiffusionPoint(900.0, 1e-9, 1e-10, framework_broken=0.3),
        ]
    )

    assert [tuple(row.values()) for row in point_rows(points)] == [
        ("300", "< 1.0 × 10⁻¹³ m²/s", "as upper bound"),
        ("600", "(1.00 ± 0.10) × 10⁻¹⁰ m²/s", "yes"),
        ("900", "(1.00 ± 0.10) × 10⁻⁹ m²/s", "no: framework broken in 30 % of frames"),
    ]


def test_experiment_is_compared_at_its_own_temperature() -> None:
    fit = fit_arrhenius(T_K, line(T_K), 0.1 * line(T_K))
    half = float(line(np.array([350.0]))[0]) / 2

    measured = ExperimentPoint(350.0, half, None, "NMR", from_conductivity=False)

    (row,) = experiment_rows(fit, [measured])

    assert row["fit / experiment"] == "2.0"
    assert row["source"] == "NMR"


def fitted() -> FittedPoints:
    points = [
        DiffusionPoint(T, D, 0.1 * D) for T, D in zip(T_K.tolist(), line(T_K), strict=True)
    ]
    points.append(DiffusionPoint(300.0, upper_bound_m2_s=1e-11))
    return fit_points(points, name="Li", squared_charge_density_A3=0.02)


def test_the_latex_table_is_complete() -> None:
    text = latex_table([fitted()])

    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert text.count("{") == text.count("}")
    assert text.count("$") % 2 == 0
    assert r"300 & $< 1$ \\" in text
    assert r"400 & $2.12 \pm 0.21$ \\" in text
    assert r"$E_\mathrm{a}$ (eV) & $0.250 \pm 0.005$ \\" in text
    assert r"\mathrm{mS\,cm^{-1}}" in text
    assert not [letter for letter in text if ord(letter) > 127]


def test_the_markdown_table_has_equal_columns() -> None:
    text = markdown_table([fitted()])

    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len(rows) == len(T_K) + 3
    assert {row.count("|") for row in rows} == {4}
    assert "- Ea = 0.250 ± 0.005 eV" in text


@pytest.mark.parametrize("table", [latex_table, markdown_table])
def test_points_without_a_fit_are_tabled_too(table: object) -> None:
    lone = fit_points([DiffusionPoint(600.0, 1e-10, 1e-11)])

    assert "600" in table([lone])  # type: ignore[operator]
