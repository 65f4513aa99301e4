from __future__ import annotations

import json

import pytest

from dasksse.analyse.size_convergence import CellD, ConvergenceInSize, convergence_in_size
from dasksse.errors import AnalysisError


def cell(n_atoms: int, D: float | None, error: float = 0.0) -> CellD:
    length_A = (20.0 * n_atoms) ** (1.0 / 3.0)
    if D is None:
        return CellD(f"cell{n_atoms}", n_atoms, length_A, None, None, 3e-10)
    return CellD(f"cell{n_atoms}", n_atoms, length_A, D * 1e-10, error * 1e-10)


def compare(*cells: CellD, extrapolates: bool = False) -> ConvergenceInSize:
    return convergence_in_size(
        cells, temperature_K=600.0, tolerance=0.1, extrapolates=extrapolates
    )


def test_the_largest_two_decide_whatever_the_order() -> None:
    found = compare(cell(1600, 4.1, 0.2), cell(50, 9.0, 0.2), cell(900, 4.2, 0.2))

    assert found.state == "agree"
    assert found.compared == ("cell900", "cell1600")
    assert [each.n_atoms for each in found.cells] == [50, 900, 1600]
    assert found.difference == pytest.approx(-0.1 / 4.1)
    assert found.length_factor is None
    assert found.text == "1600 against 900 atoms: D agrees within 10 % (-2 ± 7 %)"


def test_a_difference_beyond_error_and_tolerance_asks_for_larger_cells() -> None:
    found = compare(cell(200, 6.0, 0.2), cell(900, 4.0, 0.2))

    assert found.state == "differ"
    assert found.text == (
        "900 against 200 atoms: D differs by -50 ± 7 %, more than 10 %: larger cells are needed"
    )


@pytest.mark.parametrize("small", [4.0, 5.0])
def test_errors_that_could_hide_a_difference_are_undecided(small: float) -> None:
    found = compare(cell(200, small, 0.6), cell(900, 4.0, 0.5))

    assert found.state == "undecided"
    # the error of the difference is 20 %, wanted 5 %
    assert found.length_factor == pytest.approx(0.61 / 16.0 / 0.05**2)
    assert "smaller errors are needed" in found.text


def test_a_bound_decides_nothing() -> None:
    found = compare(cell(200, 4.0, 0.1), cell(900, None), extrapolates=True)

    assert (found.state, found.difference, found.infinite) == ("undecided", None, None)
    assert "D of cell900 is not known" in found.text


def test_of_cells_of_one_size_the_better_known_is_compared() -> None:
    twin = CellD("twin", 900, 26.0, 4.05e-10, 1e-12)

    found = compare(cell(900, 4.8, 0.5), twin, cell(200, 4.0, 0.1))

    assert found.compared == ("cell200", "twin")
    assert found.state == "agree"


def test_infinite_size_comes_from_all_known_cells_when_asked() -> None:
    cells = [
        cell(n, 4.0 * (1.0 + 5.0 / (20.0 * n) ** (1.0 / 3.0)), 0.1) for n in (50, 200, 900)
    ]

    assert compare(*cells).infinite is None
    found = compare(*cells, extrapolates=True)

    assert found.infinite is not None
    assert found.infinite.D_m2_s == pytest.approx(4e-10)
    assert json.loads(json.dumps(found.to_json()))["infinite"]["n_sizes"] == 3


def test_one_size_cannot_be_compared() -> None:
    with pytest.raises(AnalysisError, match=r"cells of \[200\] atoms.*need two sizes"):
        compare(cell(200, 4.0, 0.1), cell(200, 4.1, 0.1))
