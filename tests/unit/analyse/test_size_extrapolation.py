from __future__ import annotations

import json

import numpy as np
import pytest

from dasksse.analyse.diffusion_points import DiffusionPoint
from dasksse.analyse.size_extrapolation import extrapolate_points, extrapolate_size
from dasksse.errors import AnalysisError

L_A = np.array([10.0, 15.0, 20.0, 30.0])


def D_of(length: np.ndarray, D_inf: float = 1e-11, a: float = 8.0) -> np.ndarray:
    return D_inf * (1.0 + a / length)


def test_an_exact_ladder_gives_infinite_size_and_effect() -> None:
    D = D_of(L_A)

    fit = extrapolate_size(L_A, D, 0.05 * D)

    assert fit.D_m2_s == pytest.approx(1e-11)
    assert fit.a == pytest.approx(8.0)
    assert fit.chi2_reduced == pytest.approx(0.0, abs=1e-12)
    assert fit.n_sizes == 4
    assert fit.notes == ("the largest cell is still 27 % off",)
    assert json.loads(json.dumps(fit.to_json()))["a"] == fit.a


def test_the_errors_hold_over_many_ladders() -> None:
    rng = np.random.default_rng(0)
    errors = 0.1 * D_of(L_A)
    fits = [
        extrapolate_size(L_A, D_of(L_A) + errors * rng.standard_normal(4), errors)
        for _ in range(600)
    ]

    hits = np.array([abs(fit.D_m2_s - 1e-11) < fit.D_err_m2_s for fit in fits])
    effects = np.array([abs(fit.a - 8.0) < 1.96 * fit.a_err for fit in fits])
    assert 0.66 < hits.mean() < 0.80  # errors are widened when chi² is large
    assert effects.mean() > 0.85  # a is a ratio, its error a linear one


def test_two_sizes_are_no_proof_and_small_effects_none() -> None:
    D = D_of(L_A[:2], a=0.3)

    fit = extrapolate_size(L_A[:2], D, 0.05 * D)

    assert fit.chi2_reduced is None
    assert fit.notes[0].startswith("two sizes always lie on a line")
    assert fit.notes[1].startswith("no size effect beyond the errors")


def test_a_ladder_that_is_no_line_in_1_over_L_is_doubted() -> None:
    D = D_of(L_A) * np.array([1.0, 1.6, 0.6, 1.2])

    fit = extrapolate_size(L_A, D, 0.05 * D)

    assert any("does not go as 1/L" in note for note in fit.notes)


def test_diffusion_that_vanishes_at_infinite_size_is_said() -> None:
    D = 1e-10 / L_A

    fit = extrapolate_size(L_A, D, 0.05 * D)

    assert "D of an infinite cell cannot be told from 0" in fit.notes


@pytest.mark.parametrize(
    ("lengths", "D", "message"),
    [
        ([10.0, 10.0], [1e-11, 1e-11], "1 cell size"),
        ([10.0, -20.0], [1e-11, 1e-11], "must be numbers above 0"),
        ([10.0, 20.0], [1e-11], "one of each for every cell"),
    ],
)
def test_bad_ladders_are_refused(lengths: list[float], D: list[float], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        extrapolate_size(lengths, D, D)


def ladder(temperature_K: float, sizes: np.ndarray, D_inf: float) -> list[DiffusionPoint]:
    return [
        DiffusionPoint(temperature_K, D, 0.05 * D, n_atoms=float(size) ** 3)
        for size, D in zip(sizes, D_of(sizes, D_inf), strict=True)
    ]


def test_ladders_are_replaced_by_infinite_size_temperature_by_temperature() -> None:
    bound = DiffusionPoint(600.0, upper_bound_m2_s=1e-9, n_atoms=64.0)
    points = [
        *ladder(600.0, L_A, 1e-11),
        bound,
        *ladder(800.0, L_A[:2], 4e-11),
        *ladder(900.0, L_A[:1], 8e-11),
    ]

    replaced, fits = extrapolate_points(points)

    used = [point for point in replaced if not point.left_out]
    assert [point.temperature_K for point in used] == [600.0, 800.0]
    assert [point.D_m2_s for point in used] == pytest.approx([1e-11, 4e-11])
    assert list(fits) == [600.0, 800.0]
    reasons = {point.left_out for point in replaced if point.temperature_K == 900.0}
    assert reasons == {"fewer than two sizes with a D"}
    assert len(replaced) == len(points) + 2


def test_points_without_sizes_are_refused() -> None:
    with pytest.raises(AnalysisError, match=r"needs a length \(L_A\) or n_atoms"):
        extrapolate_points([DiffusionPoint(600.0, 1e-11, 1e-12)])


def test_points_of_one_size_are_refused() -> None:
    with pytest.raises(AnalysisError, match="no temperature has D of two cell sizes"):
        extrapolate_points(ladder(600.0, L_A[:1], 1e-11))
