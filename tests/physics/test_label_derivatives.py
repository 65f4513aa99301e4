"""Forces and virials of every calculator against differences of its energy."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from dasksse.config.schema import RegistrySection
from dasksse.label import LabelCalculator, Place, label_frames, load_calculator
from dasksse.records import Frames
from dasksse.units import pressure_from_virial

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms

SKEW = np.array([[0.02, 0.03, 0.0], [0.0, -0.01, 0.02], [0.01, 0.0, 0.015]])


def skewed(atoms: Atoms, *, rattle_A: float = 0.08) -> Atoms:
    """A triclinic, rattled copy: no symmetry can hide a wrong sign or a swapped index."""
    copy = atoms.copy()
    copy.set_cell(copy.cell.array @ (np.eye(3) + SKEW), scale_atoms=True)
    copy.rattle(rattle_A, seed=11)
    return copy


def rock_salt() -> Atoms:
    return skewed(bulk("LiCl", "rocksalt", a=5.3, cubic=True))


def argon() -> Atoms:
    return skewed(bulk("Ar", "fcc", a=5.3, cubic=True))


def copper_gold() -> Atoms:
    atoms = bulk("Cu", "fcc", a=3.75, cubic=True)
    atoms.symbols[0] = "Au"
    return skewed(atoms)


def lithium_sulphide() -> Atoms:
    cell = [5.7, 5.7, 5.7, 90, 90, 90]
    return skewed(
        crystal(["S", "Li"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=cell)
    )


@dataclass(frozen=True)
class Case:
    """A calculator, a crystal it knows, the step of differences and what they may be off."""

    kind: str
    make: Callable[[], Atoms]
    step: float
    force_tol_eV_A: float
    virial_tol_eV: float
    settings: dict[str, str] = field(default_factory=dict)

    def load(self) -> LabelCalculator:
        return load_calculator(RegistrySection(kind=self.kind, settings=self.settings))


CLASSICAL = [
    pytest.param(Case("toy", rock_salt, 1e-4, 1e-5, 1e-5), id="toy"),
    pytest.param(Case("lj", argon, 1e-4, 1e-6, 1e-5), id="lj"),
    pytest.param(Case("emt", copper_gold, 1e-4, 1e-5, 1e-4), id="emt"),
]
# Energies of about 50 eV in single precision carry 3e-6 eV of noise, hence wide steps.
SEVENNET = [
    pytest.param(
        Case("sevennet", lithium_sulphide, 1e-2, 2e-3, 5e-3, {"model": "7net-0"}),
        id="sevennet",
        marks=[
            pytest.mark.sevennet,
            pytest.mark.skipif(
                importlib.util.find_spec("sevenn") is None, reason="sevenn is not installed"
            ),
        ],
    )
]


def energy_of(atoms: Atoms, calculator: LabelCalculator) -> float:
    return calculator.single_point(atoms, Place(), virial=False).energy


@pytest.mark.parametrize("case", CLASSICAL + SEVENNET)
def test_forces_are_minus_the_slope_of_the_energy(case: Case) -> None:
    calculator = case.load()
    atoms = case.make()
    forces = calculator.single_point(atoms, Place()).forces

    for atom, axis in itertools.product((0, len(atoms) - 1), range(3)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * case.step
            energies.append(energy_of(moved, calculator))
        slope = (energies[0] - energies[1]) / (2 * case.step)

        assert forces[atom, axis] == pytest.approx(-slope, abs=case.force_tol_eV_A)
    assert np.abs(forces).max() > 50 * case.force_tol_eV_A


@pytest.mark.parametrize("case", CLASSICAL + SEVENNET)
def test_the_virial_is_minus_the_slope_of_the_energy_with_strain(case: Case) -> None:
    calculator = case.load()
    atoms = case.make()
    virial = calculator.single_point(atoms, Place()).virial

    for i, j in itertools.combinations_with_replacement(range(3), 2):
        strain = np.zeros((3, 3))
        strain[i, j] += case.step / 2
        strain[j, i] += case.step / 2
        energies = []
        for sign in (1, -1):
            strained = atoms.copy()
            deformation = np.eye(3) + sign * strain
            strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            energies.append(energy_of(strained, calculator))
        slope = (energies[0] - energies[1]) / (2 * case.step)

        assert virial[i, j] == pytest.approx(-slope, abs=case.virial_tol_eV)
        assert virial[j, i] == pytest.approx(virial[i, j], abs=case.virial_tol_eV)
    assert np.abs(virial).max() > 20 * case.virial_tol_eV


def test_a_squeezed_crystal_has_positive_pressure() -> None:
    calculator = load_calculator(RegistrySection(kind="toy"))
    squeezed, stretched = (bulk("LiCl", "rocksalt", a=a, cubic=True) for a in (5.0, 5.5))

    pressures = [
        pressure_from_virial(calculator.single_point(atoms, Place()).virial, atoms.get_volume())
        for atoms in (squeezed, stretched)
    ]

    assert pressures[0] > 0 > pressures[1]


@pytest.mark.parametrize("case", CLASSICAL + SEVENNET)
def test_labels_do_not_depend_on_wrapping_or_on_the_choice_of_cell(case: Case) -> None:
    calculator = case.load()
    atoms = case.make()
    shifts = np.random.default_rng(3).integers(-2, 3, (len(atoms), 3))
    other_cell = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]]) @ atoms.cell.array
    positions = np.stack([atoms.positions, atoms.positions + shifts @ atoms.cell.array] * 2)
    cells = np.stack([atoms.cell.array] * 2 + [other_cell] * 2)

    labels = label_frames(Frames(atoms.numbers, positions, cells), calculator)

    assert labels.energies == pytest.approx(labels.energies[0], abs=1e-4)
    assert np.abs(labels.forces - labels.forces[0]).max() < case.force_tol_eV_A
    assert np.abs(labels.virials - labels.virials[0]).max() < case.virial_tol_eV


@pytest.mark.parametrize("case", CLASSICAL)
def test_energy_and_virial_of_a_supercell_are_multiples(case: Case) -> None:
    calculator = case.load()
    atoms = case.make()
    small = calculator.single_point(atoms, Place())

    large = calculator.single_point(make_supercell(atoms, np.diag([2, 1, 3])), Place())

    assert large.energy == pytest.approx(6 * small.energy, abs=1e-6)
    assert np.abs(large.forces.sum(axis=0)).max() < case.force_tol_eV_A
    assert large.virial == pytest.approx(6 * small.virial, abs=6 * case.virial_tol_eV)
    assert np.abs(small.forces.sum(axis=0)).max() < case.force_tol_eV_A
