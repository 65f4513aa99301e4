from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.paths import (
    atoms_of,
    axes_along,
    follow,
    ion_blocks,
    start_of,
    unit_vectors,
)
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

TRICLINIC = np.array([[8.0, 0, 0], [1.5, 7.0, 0], [-0.7, 2.0, 9.0]])
NUMBERS = np.array([3, 16, 3, 15, 16, 3])
LI, S = np.array([0, 2, 5]), np.array([1, 4])
MASSES = {3: 6.94, 15: 30.973761998, 16: 32.06}


def trajectory(n_frames: int = 40, *, seed: int = 0, **changes: object) -> MemoryTrajectory:
    positions = np.cumsum(
        np.random.default_rng(seed).normal(0, 0.2, (n_frames, len(NUMBERS), 3)), axis=0
    )
    values = {"numbers": NUMBERS, "all_positions": positions, "all_cells": TRICLINIC}
    return MemoryTrajectory(**(values | {"frame_interval_ps": 0.1} | changes))  # type: ignore[arg-type]


def centre_of_mass(positions: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    weights = np.array([MASSES[number] for number in NUMBERS[atoms]])
    return np.einsum("fax,a->fx", positions[:, atoms], weights / weights.sum())


@pytest.mark.parametrize(
    ("reference", "standing"),
    [
        ("framework", [1, 3, 4]),
        ("all", [0, 1, 2, 3, 4, 5]),
        (("S",), [1, 4]),
        (("S", "P"), [1, 3, 4]),
    ],
)
def test_the_centre_of_mass_of_the_reference_stands_still(
    reference: str | tuple[str, ...], standing: list[int]
) -> None:
    run = trajectory()
    drift = centre_of_mass(run.all_positions, np.array(standing))

    columns = follow(run, "Li", reference=reference).columns(LI)  # type: ignore[arg-type]

    expected = run.all_positions[:, LI] - (drift - drift[0])[:, None]
    np.testing.assert_allclose(columns.transpose(2, 1, 0), expected, atol=1e-12)


def test_without_reference_positions_stay_as_they_are() -> None:
    run = trajectory()

    columns = follow(run, "Li", reference="none").columns(S)

    np.testing.assert_array_equal(columns.transpose(2, 1, 0), run.all_positions[:, S])


def test_without_a_framework_the_centre_of_all_atoms_stands_still() -> None:
    run = trajectory(numbers=np.full(6, 3))

    columns = follow(run, "Li").columns(np.arange(6))

    np.testing.assert_allclose(np.ptp(columns.mean(axis=1), axis=-1), 0.0, atol=1e-12)


def test_in_a_breathing_cell_paths_are_those_of_the_mean_cell() -> None:
    rng = np.random.default_rng(1)
    fractions = rng.integers(-5, 5, (6, 3)) + np.cumsum(
        rng.normal(0, 0.02, (700, 6, 3)), axis=0
    )
    cells = TRICLINIC + rng.normal(0, 0.05, (700, 3, 3))
    run = trajectory(all_positions=fractions @ cells, all_cells=cells, n_equilibration=100)
    mean_cell = cells[100:].mean(axis=0)
    in_mean_cell = fractions[100:] @ mean_cell
    drift = centre_of_mass(in_mean_cell, S)

    paths = follow(run, "Li", reference=("S",))

    expected = in_mean_cell[:, LI] - (drift - drift[0])[:, None]
    np.testing.assert_allclose(paths.columns(LI).transpose(2, 1, 0), expected, atol=1e-10)
    np.testing.assert_allclose(paths.mean_cell, mean_cell)


def test_equilibration_is_left_out_as_planned_or_as_given() -> None:
    run = trajectory(n_equilibration=15)

    planned, given = follow(run, "Li"), follow(run, "Li", first_frame=30)

    assert (planned.first_frame, planned.n_frames) == (15, 25)
    assert (given.first_frame, given.n_frames) == (30, 10)
    assert given.columns(LI).shape == (3, 3, 10)
    assert start_of(run) == 15


def test_frames_are_read_in_pieces_without_a_difference() -> None:
    run = trajectory(3000, all_cells=TRICLINIC + np.zeros((3000, 3, 3)))
    paths = follow(run, "Li")

    pieces, whole = paths.columns(LI, memory_bytes=1), paths.columns(LI)

    np.testing.assert_array_equal(pieces, whole)


def test_paths_are_projected_on_directions() -> None:
    run = trajectory()
    directions = unit_vectors([TRICLINIC[2], (1.0, 1.0, 0.0)])

    columns = follow(run, "Li", reference="none", axes=directions).columns(LI)

    expected = np.einsum("fax,dx->daf", run.all_positions[:, LI], directions)
    np.testing.assert_allclose(columns, expected, atol=1e-12)


def test_the_charge_path_is_the_sum_over_charged_atoms() -> None:
    run = trajectory()
    axes = axes_along(TRICLINIC[2])
    paths = follow(run, "Li", axes=axes)
    freed = [paths.columns(atoms_of(run, symbol)) for symbol in ("Li", "S")]

    path = paths.charge_path({"Li": 1.0, "S": -2.0})

    expected = freed[0].sum(axis=1) - 2.0 * freed[1].sum(axis=1)
    np.testing.assert_allclose(path[:, 0], expected, atol=1e-10)


def test_axes_along_a_direction_are_at_right_angles_and_end_with_it() -> None:
    axes = axes_along(TRICLINIC[2])

    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes[2], TRICLINIC[2] / np.linalg.norm(TRICLINIC[2]))


@pytest.mark.parametrize(
    ("megabytes", "widest"), [(256, 64), (44.0, 64), (38.0, 32), (14.7, 11)]
)
def test_blocks_hold_every_atom_once_and_keep_neighbours_of_a_chunk_together(
    megabytes: float, widest: int
) -> None:
    atoms = np.sort(np.random.default_rng(2).permutation(900)[:600])

    blocks = ion_blocks(atoms, 16_000, memory_bytes=int(megabytes * 1e6))

    np.testing.assert_array_equal(np.concatenate(blocks), atoms)
    spans = [block[-1] - block[0] + 1 for block in blocks]
    assert max(spans) == widest
    chunks = [set((block // 32).tolist()) for block in blocks]
    if widest >= 32:
        assert sum(map(len, chunks)) == len(set.union(*chunks))  # no chunk is read twice


def test_memory_for_not_even_one_ion_is_refused_with_what_is_needed() -> None:
    with pytest.raises(AnalysisError, match=r"1 MB is too little .* 1000000 frames: .* 566 MB"):
        ion_blocks(np.arange(4), 1_000_000, memory_bytes=1_000_000)

    assert len(ion_blocks(np.arange(4), 1_000_000, memory_bytes=566_000_000)) == 4


def test_a_position_that_is_no_number_is_refused_with_its_frame() -> None:
    run = trajectory(n_equilibration=5, name="runs.zarr run 3")
    run.all_positions[[17, 20], 2, 1] = np.nan

    with pytest.raises(AnalysisError, match=r"run 3: .* in 2 of 35 frames, first in frame 17"):
        follow(run, "Li", reference="none").columns(LI)


def test_an_absent_element_is_refused_with_those_present() -> None:
    with pytest.raises(
        AnalysisError, match="no 'Na' among the atoms; elements present: Li, P, S"
    ):
        follow(trajectory(), "Na")
    with pytest.raises(AnalysisError, match="no 'Cl' among the atoms"):
        follow(trajectory(), "Li", reference=("Cl",))
    with pytest.raises(AnalysisError, match="no 'Cl' among the atoms"):
        follow(trajectory(), "Li").charge_path({"Cl": -1.0})


def test_an_unknown_reference_is_refused() -> None:
    with pytest.raises(AnalysisError, match="'box', must be one of framework, all, none, or"):
        follow(trajectory(), "Li", reference="box")  # type: ignore[arg-type]


def test_one_frame_is_refused() -> None:
    with pytest.raises(AnalysisError, match="40 frames, of which 39 are equilibration"):
        follow(trajectory(n_equilibration=39), "Li")


@pytest.mark.parametrize("directions", [[(0.0, 0.0, 0.0)], [(1.0, 2.0)]])
def test_a_direction_without_length_or_component_is_refused(directions: list[tuple]) -> None:
    with pytest.raises(AnalysisError, match="three components and some length"):
        unit_vectors(directions)
