from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.displacement import centre_drift, remove_drift, to_displacements
from dasksse.errors import AnalysisError

TRICLINIC = np.array([[8.0, 0.0, 0.0], [1.5, 7.0, 0.0], [-0.7, 2.0, 9.0]])


def test_a_constant_cell_leaves_positions_alone() -> None:
    positions = np.random.default_rng(0).normal(size=(5, 4, 3))

    fixed = to_displacements(positions, np.tile(TRICLINIC, (5, 1, 1)))

    assert fixed is positions


def test_one_cell_serves_all_frames() -> None:
    positions = np.random.default_rng(0).normal(size=(5, 4, 3))

    np.testing.assert_array_equal(to_displacements(positions, TRICLINIC), positions)


def test_a_variable_cell_maps_fractions_to_the_mean_cell() -> None:
    rng = np.random.default_rng(1)
    fractions = np.cumsum(rng.normal(0, 0.1, (40, 6, 3)), axis=0)
    cells = TRICLINIC + rng.normal(0, 0.2, (40, 3, 3))

    fixed = to_displacements(fractions @ cells, cells)

    np.testing.assert_allclose(fixed, fractions @ cells.mean(axis=0), atol=1e-10)


def test_masses_hold_the_centre_of_mass() -> None:
    rng = np.random.default_rng(2)
    masses = np.array([7.0, 32.0, 31.0])
    positions = rng.normal(size=(10, 3, 3))

    fixed = to_displacements(positions, TRICLINIC, masses=masses)

    centre = np.einsum("fax,a->fx", fixed, masses)
    np.testing.assert_allclose(centre, np.broadcast_to(centre[0], centre.shape))


def test_framework_drift_is_removed_exactly() -> None:
    rng = np.random.default_rng(3)
    steady = rng.normal(size=(30, 6, 3))
    is_framework = np.array([False, False, True, True, True, True])
    steady[:, is_framework] = steady[0, is_framework]
    drift = np.cumsum(rng.normal(size=(30, 1, 3)), axis=0)

    freed = remove_drift(steady + drift, mask=is_framework, weights=np.arange(1.0, 7.0))

    np.testing.assert_allclose(freed - drift[0], steady, atol=1e-12)


@pytest.mark.parametrize("mask", [None, np.zeros(5, dtype=bool)])
def test_without_a_framework_all_atoms_define_the_centre(mask: np.ndarray | None) -> None:
    positions = np.random.default_rng(4).normal(size=(12, 5, 3))

    freed = remove_drift(positions, mask=mask)

    centre = freed.mean(axis=1)
    np.testing.assert_allclose(centre, np.broadcast_to(centre[0], centre.shape), atol=1e-12)


def test_the_drift_starts_at_zero() -> None:
    positions = np.random.default_rng(5).normal(size=(12, 5, 3))

    drift = centre_drift(positions)

    np.testing.assert_array_equal(drift[0], 0.0)
    np.testing.assert_allclose(drift, (positions - positions[0]).mean(axis=1))


def test_cells_of_another_length_are_refused() -> None:
    with pytest.raises(AnalysisError, match=r"cells have shape \(4, 3, 3\)"):
        to_displacements(np.zeros((5, 2, 3)), np.zeros((4, 3, 3)))


def test_a_flat_cell_is_refused() -> None:
    cells = np.tile(TRICLINIC, (5, 1, 1))
    cells[3, 2] = 0.0

    with pytest.raises(AnalysisError, match="cell of frame 3 has no volume"):
        to_displacements(np.zeros((5, 2, 3)), cells)


def test_frames_that_are_not_finite_are_counted() -> None:
    positions = np.zeros((5, 2, 3))
    positions[3:] = np.nan

    with pytest.raises(AnalysisError, match="2 of 5 frames, first in frame 3"):
        remove_drift(positions)


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 2), (0, 2, 3)])
def test_arrays_that_are_no_trajectory_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(AnalysisError, match=r"need \(frame, atom, 3\)"):
        remove_drift(np.zeros(shape))


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(AnalysisError, match="each of 2 atoms"):
        remove_drift(np.zeros((5, 2, 3)), mask=np.ones(3, dtype=bool))


def test_weights_that_sum_to_nothing_are_refused() -> None:
    with pytest.raises(AnalysisError, match="sum to 0"):
        remove_drift(np.zeros((5, 2, 3)), weights=np.zeros(2))
