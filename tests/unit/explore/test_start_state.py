from __future__ import annotations

import numpy as np
import pytest
from ase.data import atomic_masses
from ase.units import fs, kB

from dasksse.errors import StructureError
from dasksse.explore.start_state import rotated_box, start_state, thermal_velocities
from dasksse.records import Frames

CELLS = {
    "triclinic": [[0.3, 5.0, 1.0], [-6.0, 0.2, 0.4], [1.0, 0.5, 7.0]],
    "left-handed": [[0.0, 5.0, 1.0], [0.3, 0.2, 7.0], [-6.0, 0.5, 0.4]],
    "orthogonal": [[5.0, 0.0, 0.0], [0.0, 6.0, 0.0], [0.0, 0.0, 7.0]],
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_rotated_box_is_lower_triangular_and_turns_back_into_the_cell(
    cell: list[list[float]],
) -> None:
    box, rotation = rotated_box(np.array(cell))

    np.testing.assert_allclose(box @ rotation, cell, atol=1e-14)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
    np.testing.assert_array_equal(box, np.tril(box))
    assert (np.diag(box) > 0).all()


def test_positions_outside_the_cell_are_wrapped_and_counted() -> None:
    cell = np.array(CELLS["triclinic"])
    fractions = np.array([[0.25, 0.5, 0.75], [-1.75, 2.5, 0.25]])
    start = Frames(np.array([3, 16]), (fractions @ cell)[None], cell[None])

    state = start_state(start, ("S", "Li"), temperature_K=300.0, seed=1)

    np.testing.assert_array_equal(state["image"], [[0, 0, 0], [-2, 2, 0]])
    np.testing.assert_array_equal(state["types"], [2, 1])
    box, _ = rotated_box(cell)
    expected = np.array([[0.25, 0.5, 0.75], [0.25, 0.5, 0.25]]) @ box
    np.testing.assert_allclose(state["x"], expected, atol=1e-12)


def test_velocities_have_the_temperature_exactly_and_no_net_momentum() -> None:
    numbers = np.array([3] * 30 + [16] * 20)
    masses = atomic_masses[numbers][:, None]

    velocities = thermal_velocities(numbers, 450.0, seed=7) / (1000.0 * fs)

    temperature = (masses * velocities**2).sum() / (3 * 50 - 3) / kB
    assert temperature == pytest.approx(450.0, rel=1e-12)
    np.testing.assert_allclose((masses * velocities).sum(axis=0), 0.0, atol=1e-10)


def test_light_and_heavy_atoms_share_the_energy_equally() -> None:
    numbers = np.array([3] * 4000 + [82] * 4000)
    masses = atomic_masses[numbers][:, None]

    energy = (masses * thermal_velocities(numbers, 300.0, seed=2) ** 2).sum(axis=1)

    assert energy[:4000].mean() / energy[4000:].mean() == pytest.approx(1.0, abs=0.05)


def test_the_seed_decides_the_velocities() -> None:
    numbers = np.array([3, 16, 16])

    first, again, other = (thermal_velocities(numbers, 300.0, seed=s) for s in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_single_atom_rests() -> None:
    assert (thermal_velocities(np.array([3]), 300.0, seed=1) == 0.0).all()


def test_more_than_one_start_frame_is_refused() -> None:
    frames = Frames(np.array([3]), np.zeros((2, 1, 3)), np.array([np.eye(3)] * 2))

    with pytest.raises(StructureError, match="one configuration, got 2"):
        start_state(frames, ("Li",), temperature_K=300.0, seed=1)


def test_a_flat_cell_is_refused() -> None:
    frames = Frames(np.array([3]), np.zeros((1, 1, 3)), np.diag([5.0, 5.0, 0.0])[None])

    with pytest.raises(StructureError, match="the cell has no volume"):
        start_state(frames, ("Li",), temperature_K=300.0, seed=1)


def test_an_element_outside_the_type_map_is_named() -> None:
    frames = Frames(np.array([3, 11]), np.zeros((1, 2, 3)), np.eye(3)[None])

    with pytest.raises(StructureError, match="elements Na are not in the type map Li, S"):
        start_state(frames, ("Li", "S"), temperature_K=300.0, seed=1)
