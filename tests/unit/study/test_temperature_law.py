from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from study_player import arrhenius

from dasksse.report.fit_values import D_of_form, chosen_form
from dasksse.study.points import fit_of
from dasksse.study.temperature_law import (
    D_at,
    shape_text,
    squared_charge_density_A3,
    used_points,
)
from dasksse.units import BOLTZMANN_EV_K

LINE = arrhenius(2e-11, 0.25)
HOT_K = (500.0, 600.0, 700.0, 800.0, 1000.0)


def point(temperature_K: float, **changes: Any) -> dict[str, Any]:
    D, error = LINE("", temperature_K)
    values = {
        "temperature_K": temperature_K,
        "D_m2_s": D,
        "D_err_m2_s": error,
        "D_low95_m2_s": 0.8 * D,
        "D_high95_m2_s": 1.25 * D,
        "upper_bound_m2_s": None,
        "framework_broken": 0.0,
        "framework_melted": [],
        "n_atoms_species": 20,
        "volume_A3": 1000.0,
    }
    return {**values, **changes}


UNRESOLVED = {"D_m2_s": None, "D_err_m2_s": None, "upper_bound_m2_s": 1e-11}


def test_a_simulated_D_comes_before_that_of_the_fit() -> None:
    one = D_at([point(300.0, D_m2_s=7e-12, D_err_m2_s=7e-13), *map(point, HOT_K)], 300.0)

    assert (one.how, one.D_m2_s) == ("simulated", 7e-12)
    assert one.ln_err == pytest.approx(0.1)


@pytest.mark.parametrize(("at_K", "how"), [(300.0, "extrapolated"), (550.0, "interpolated")])
def test_elsewhere_the_fit_gives_D_with_its_interval(at_K: float, how: str) -> None:
    one = D_at([point(t) for t in HOT_K], at_K)

    assert one.how == how
    assert one.D_m2_s == pytest.approx(LINE("", at_K)[0], rel=1e-3)
    assert one.D_low95_m2_s is not None
    assert one.D_high95_m2_s is not None
    assert one.ln_err == pytest.approx(
        np.log(one.D_high95_m2_s / one.D_low95_m2_s) / (2 * 1.96), rel=1e-6
    )


def test_without_a_fit_only_the_bound_of_the_temperature_is_known() -> None:
    one = D_at([point(300.0, **UNRESOLVED), point(600.0)], 300.0)

    assert (one.how, one.D_m2_s, one.D_high95_m2_s) == ("bound", None, 1e-11)
    assert one.text() == "< 1.0 × 10⁻¹¹ m²/s"


def test_nothing_known_says_so() -> None:
    assert D_at([], 300.0).how == "unknown"
    assert D_at([point(600.0)], 300.0).text() == "–"


def test_a_melted_crystal_counts_for_nothing() -> None:
    points = [point(t) for t in HOT_K]
    melted = point(1000.0, D_m2_s=1e-8, framework_melted=["S"])

    assert used_points([*points[:-1], melted]) == points[:-1]
    assert D_at([*points[:-1], melted], 1000.0).how == "extrapolated"


def kinked(temperature_K: float) -> float:
    D, _ = LINE("", temperature_K)
    excess = max(1 / temperature_K - 1 / 500.0, 0.0)
    return D * float(np.exp(-0.3 / BOLTZMANN_EV_K * excess))


def test_a_kink_is_found_and_described() -> None:
    temperatures = (300.0, 350.0, 400.0, 450.0, 500.0, 600.0, 700.0, 800.0, 1000.0)
    fit = fit_of(
        [point(t, D_m2_s=kinked(t), D_err_m2_s=0.03 * kinked(t)) for t in temperatures]
    )

    assert fit is not None
    form = chosen_form(fit)
    assert form["form"] == "two-segment"
    assert "one line does not describe D(T); it has a kink at" in shape_text(fit)
    drawn = D_of_form(form, np.array(temperatures))
    assert drawn == pytest.approx([kinked(t) for t in temperatures], rel=0.05)
    assert drawn[0] == pytest.approx(form["D_m2_s"], rel=1e-6)


def test_every_form_is_drawn_as_it_was_fitted() -> None:
    temperatures = (300.0, 350.0, 400.0, 450.0, 500.0, 600.0, 700.0, 800.0, 1000.0)
    fit = fit_of(
        [point(t, D_m2_s=kinked(t), D_err_m2_s=0.03 * kinked(t)) for t in temperatures]
    )

    assert fit is not None
    for form in (fit, *fit["alternatives"].values()):
        assert D_of_form(form, np.array([300.0]))[0] == pytest.approx(form["D_m2_s"], rel=1e-6)


def test_one_line_is_said_to_do_where_it_does() -> None:
    assert shape_text(fit_of([point(t) for t in HOT_K])) == "one line describes D(T)"
    assert "do not tell" in shape_text(fit_of([point(500.0), point(600.0)]))
    assert shape_text(None).startswith("no fit")


def test_carriers_are_counted_in_the_cell_next_to_the_temperature() -> None:
    points = [point(300.0), point(900.0, volume_A3=1100.0)]

    assert squared_charge_density_A3(points, 2.0) == pytest.approx(4.0 * 20 / 1000.0)
    assert squared_charge_density_A3([], 1.0) is None
