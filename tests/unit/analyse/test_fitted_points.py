from __future__ import annotations

import json

import numpy as np
import pytest

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.analyse.diffusion_points import (
    DiffusionPoint,
    leave_out,
    left_out_notes,
    squared_charge_density_A3,
)
from dasksse.analyse.fitted_points import fit_points
from dasksse.units import BOLTZMANN_EV_K


def point(temperature_K: float, **changes: float | None) -> DiffusionPoint:
    D = 3e-8 * float(np.exp(-0.25 / (BOLTZMANN_EV_K * temperature_K)))
    return DiffusionPoint(temperature_K, **{"D_m2_s": D, "D_err_m2_s": 0.1 * D, **changes})


def points(*temperatures_K: float) -> list[DiffusionPoint]:
    return [point(temperature_K) for temperature_K in temperatures_K]


def test_broken_excluded_outer_and_empty_points_are_left_out_with_the_reason() -> None:
    given = [
        *points(400.0, 500.0, 600.0, 700.0, 800.0),
        point(900.0, framework_broken=0.2),
        point(950.0, framework_broken=0.005),
        DiffusionPoint(550.0),
        point(1000.0),
    ]

    marked = leave_out(given, exclude_K=[600.0], min_K=450.0, max_K=975.0)

    assert {p.temperature_K: p.left_out for p in marked if p.left_out} == {
        400.0: "below 450 K",
        550.0: "no D with an error and no upper bound",
        600.0: "excluded",
        900.0: "framework broken in 20 % of frames",
        1000.0: "above 975 K",
    }
    assert left_out_notes(marked)[1] == "600 K left out: excluded"


def test_only_points_that_are_not_left_out_are_fitted() -> None:
    melted = point(1200.0, D_m2_s=1e-8, framework_broken=0.9)

    fitted = fit_points(leave_out([*points(500.0, 600.0, 800.0), melted]))

    assert fitted.fit is not None
    assert fitted.fit.Ea_eV == pytest.approx(0.25)
    assert len(fitted.points) == 4


def test_without_a_fit_the_agreed_keys_are_null_and_the_reason_is_given() -> None:
    fitted = fit_points(points(600.0), name="Li")

    values = json.loads(json.dumps(fitted.to_json(), allow_nan=False))

    assert values["Ea_eV"] is values["one_line_ok"] is None
    assert values["trouble"].startswith("1 of 1 temperatures have a D")
    assert values["points"][0]["temperature_K"] == 600.0
    assert values["name"] == "Li"


def test_sizes_are_extrapolated_first_when_asked() -> None:
    ladder = [
        DiffusionPoint(T, D * (1 + 5 / L), 0.02 * D, length_A=L)
        for T, D in ((p.temperature_K, p.D_m2_s or 0.0) for p in points(500.0, 600.0, 800.0))
        for L in (10.0, 20.0, 40.0)
    ]

    plain = fit_points(ladder)
    infinite = fit_points(ladder, is_size_extrapolated=True)

    assert plain.fit is not None
    assert any("several sizes are in one fit" in note for note in plain.fit.notes)
    assert infinite.fit is not None
    assert infinite.fit.n_points == 3
    assert infinite.fit.D0_m2_s == pytest.approx(3e-8)
    assert list(infinite.sizes) == [500.0, 600.0, 800.0]
    assert infinite.to_json()["sizes"][0]["a"] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("at_K", "transition_K", "words"),
    [
        (300.0, 400.0, "the extrapolation to 300 K crosses the transition at 400 K"),
        (300.0, 700.0, "points lie on both sides of the transition at 700 K"),
        (900.0, 1000.0, ""),
    ],
)
def test_known_transitions_are_flagged(at_K: float, transition_K: float, words: str) -> None:
    fitted = fit_points(points(500.0, 600.0, 800.0), at_K=at_K, transitions_K=[transition_K])

    assert fitted.fit is not None
    found = [note for note in fitted.fit.notes if "transition" in note]
    assert [words in note for note in found] == [True] * bool(words)


def test_values_in_other_units_are_suspected() -> None:
    wrong = [
        DiffusionPoint(p.temperature_K, 1e4 * (p.D_m2_s or 0.0), 1e3 * (p.D_m2_s or 0.0))
        for p in points(600.0, 800.0, 1000.0)
    ]

    fitted = fit_points(wrong)

    assert fitted.fit is not None
    assert any("is it in cm²/s?" in note for note in fitted.fit.notes)


def test_carriers_follow_from_points_with_D_and_conductivity() -> None:
    D = 1e-10
    sigma = nernst_einstein_mS_cm(D, carrier_density_A3=0.02, temperature_K=600.0, charge=2.0)

    found = squared_charge_density_A3([point(600.0, D_m2_s=D, sigma_mS_cm=sigma)])

    assert found == pytest.approx(4 * 0.02)
    assert squared_charge_density_A3(points(600.0)) is None
