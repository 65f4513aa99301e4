from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from scipy.special import erfc

from dasksse.label import label_frames
from dasksse.label.toy import (
    COULOMB_EV_A,
    REPULSION_EV,
    REPULSION_LENGTH_A,
    ToyIonicCalculator,
    _neighbours,
)
from dasksse.records import Frames

if TYPE_CHECKING:
    from dasksse.label import LabelCalculator


def pair(distance_A: float, symbols: str = "LiCl", **settings: float) -> Atoms:
    """Two ions alone in a wide box."""
    atoms = Atoms(symbols, [[0, 0, 0], [distance_A, 0, 0]], cell=[40, 40, 40], pbc=True)
    atoms.calc = ToyIonicCalculator(**settings)
    return atoms


def test_the_energy_of_one_pair_is_the_formula() -> None:
    def bare(r: float) -> float:
        repulsion = REPULSION_EV * np.exp((0.76 + 1.81 - r) / REPULSION_LENGTH_A)
        return -COULOMB_EV_A * erfc(0.3 * r) / r + repulsion

    step = 1e-5
    slope = (bare(6.0 + step) - bare(6.0 - step)) / (2 * step)
    expected = bare(2.5) - bare(6.0) - (2.5 - 6.0) * slope

    assert pair(2.5).get_potential_energy() == pytest.approx(expected, abs=1e-7)


def test_energy_and_force_vanish_smoothly_at_the_cut_off() -> None:
    inside, outside = pair(5.999), pair(6.001)

    assert inside.get_potential_energy() == pytest.approx(0.0, abs=1e-6)
    assert inside.get_forces() == pytest.approx(np.zeros((2, 3)), abs=1e-3)
    assert outside.get_potential_energy() == 0.0
    assert not outside.get_forces().any()


def test_unlike_ions_attract_and_then_repel() -> None:
    assert pair(4.0).get_forces()[0, 0] > 0.1
    assert pair(1.5).get_forces()[0, 0] < -0.1


@pytest.mark.parametrize(
    "cell",
    [
        np.diag([5.3, 5.3, 5.3]),
        [[3.0, 0, 0], [1.5, 2.6, 0], [-1.4, 0.9, 4.0]],
        [[0, 9, 0], [9, 0, 0], [2, 1, 12]],
    ],
    ids=["cubic", "small triclinic", "left-handed"],
)
def test_neighbours_are_those_of_ase(cell: Any) -> None:
    rng = np.random.default_rng(2)
    positions = rng.normal(scale=8.0, size=(6, 3))
    atoms = Atoms("Li3Cl3", positions, cell=cell, pbc=True)
    expected_first, expected_vector = neighbor_list("iD", atoms, 5.17)

    first, _, vector = _neighbours(atoms, 5.17)

    assert len(first) == len(expected_first) > 0
    for atom in range(6):
        ours, theirs = (
            np.array(sorted(np.round(vectors, 6).tolist()))
            for vectors in (vector[first == atom], expected_vector[expected_first == atom])
        )
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_rock_salt_has_its_minimum_near_the_sum_of_radii() -> None:
    lengths = np.arange(4.9, 5.71, 0.1)
    energies = []
    for length in lengths:
        atoms = bulk("LiCl", "rocksalt", a=length)
        atoms.calc = ToyIonicCalculator()
        energies.append(atoms.get_potential_energy())

    assert lengths[np.argmin(energies)] == pytest.approx(2 * (0.76 + 1.81), abs=0.25)


def test_rock_salt_is_stable_against_every_displacement_of_its_atoms() -> None:
    atoms = bulk("LiCl", "rocksalt", a=5.3, cubic=True)
    atoms.calc = ToyIonicCalculator()
    home, step = atoms.positions.copy(), 1e-3
    hessian = []
    for atom, axis in itertools.product(range(8), range(3)):
        forces = []
        for sign in (1, -1):
            atoms.positions = home
            atoms.positions[atom, axis] += sign * step
            forces.append(atoms.get_forces().ravel())
        hessian.append((forces[1] - forces[0]) / (2 * step))

    modes = np.linalg.eigvalsh(hessian)

    assert modes[:3] == pytest.approx(np.zeros(3), abs=1e-4)  # the crystal as a whole moves
    assert modes[3] > 0.3


def test_a_cell_with_a_net_charge_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sum to \+2 e, not 0"):
        pair(2.5, "Li2").get_potential_energy()


def test_an_element_without_charge_is_refused_and_can_be_given_one() -> None:
    with pytest.raises(ValueError, match=r"no charge or radius for \['Au'\]"):
        pair(2.5, "AuCl").get_potential_energy()

    energy = pair(2.5, "AuCl", charges={"Au": 1.0}, radii_A={"Au": 1.37}).get_potential_energy()

    assert np.isfinite(energy)


def test_two_atoms_on_one_spot_are_no_label(toy: LabelCalculator) -> None:
    frames = Frames(np.array([3, 17]), np.ones((1, 2, 3)), np.eye(3)[None] * 5.0)

    labels = label_frames(frames, toy)

    assert labels.reasons == ("energy or forces are not finite",)
