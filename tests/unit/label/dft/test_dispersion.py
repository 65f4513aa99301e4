"""The D3 correction that is added to any engine's answer."""

from __future__ import annotations

import importlib.util
import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.build import bulk

from dasksse.errors import ProgramMissingError
from dasksse.label.contract import Answer, Place
from dasksse.label.dft.base import DftCalculator
from dasksse.label.dft.dispersion import add_dispersion, missing_dispersion
from dasksse.label.dft.settings import DftSettings

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from dasksse.label.dft.base import Job

HARTREE_EV = 27.211386245988
BOHR_A = 0.529177210903
STEP = 1e-2


@pytest.fixture
def crystal() -> Atoms:
    """A skewed and rattled sulphide."""
    atoms = bulk("Li2S", "fluorite", a=5.7)
    atoms.set_cell(atoms.cell.array @ np.array([[1.02, 0.03, 0], [0, 0.99, 0], [0, 0.02, 1]]))
    atoms.rattle(0.1, seed=5)
    return atoms


class NoElectrons(DftCalculator[DftSettings]):
    """An engine that gives zeros, so that the correction is all there is."""

    engine = "none"

    def describe(self) -> str:
        return "none"

    def compute(self, atoms: Atoms, settings: DftSettings, job: Job) -> Answer:
        return nothing(atoms) if job.virial else Answer(0.0, np.zeros((len(atoms), 3)), None)


def nothing(atoms: Atoms) -> Answer:
    return Answer(0.0, np.zeros((len(atoms), 3)), np.zeros((3, 3)))


def energy_of(atoms: Atoms) -> float:
    return add_dispersion(atoms, nothing(atoms), "PBE").energy


@pytest.mark.d3
def test_it_is_two_body_d3_with_the_published_parameters_of_pbe(crystal: Atoms) -> None:
    from dftd3.interface import DispersionModel, RationalDampingParam

    model = DispersionModel(
        crystal.numbers, crystal.positions / BOHR_A, crystal.cell.array / BOHR_A, crystal.pbc
    )
    grimme_2011 = RationalDampingParam(s6=1.0, s8=0.7875, s9=0.0, a1=0.4289, a2=4.4407)
    expected = model.get_dispersion(grimme_2011, grad=True)

    answer = add_dispersion(crystal, nothing(crystal), "PBE")

    assert answer.energy == pytest.approx(expected["energy"] * HARTREE_EV, rel=1e-6)
    gradient = expected["gradient"] * HARTREE_EV / BOHR_A
    np.testing.assert_allclose(answer.forces, -gradient, atol=1e-6)
    np.testing.assert_allclose(answer.virial, -expected["virial"] * HARTREE_EV, atol=1e-6)


@pytest.mark.d3
def test_forces_are_minus_the_slope_of_the_energy(crystal: Atoms) -> None:
    forces = add_dispersion(crystal, nothing(crystal), "PBE").forces

    for atom, axis in itertools.product(range(len(crystal)), range(3)):
        energies = []
        for sign in (1, -1):
            moved = crystal.copy()
            moved.positions[atom, axis] += sign * STEP
            energies.append(energy_of(moved))
        slope = (energies[0] - energies[1]) / (2 * STEP)
        assert forces[atom, axis] == pytest.approx(-slope, abs=2e-5)
    assert np.abs(forces).max() > 1e-3


@pytest.mark.d3
def test_the_virial_is_minus_the_slope_of_the_energy_with_strain(crystal: Atoms) -> None:
    virial = add_dispersion(crystal, nothing(crystal), "PBE").virial

    for i, j in itertools.combinations_with_replacement(range(3), 2):
        strain = np.zeros((3, 3))
        strain[i, j] += STEP / 2
        strain[j, i] += STEP / 2
        energies = []
        for sign in (1, -1):
            strained = crystal.copy()
            strained.set_cell(
                crystal.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True
            )
            energies.append(energy_of(strained))
        slope = (energies[0] - energies[1]) / (2 * STEP)
        # the cut-off at 60 Bohr costs 8e-4 eV: shells of pairs leave and enter with strain
        assert virial[i, j] == pytest.approx(-slope, abs=1.5e-3)
    assert np.abs(virial).max() > 0.5


@pytest.mark.d3
def test_it_is_added_to_the_answer_of_the_bare_functional(crystal: Atoms) -> None:
    rng = np.random.default_rng(1)
    bare = Answer(-7.0, rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), 12, 5e8, "gentle")

    answer, alone = (add_dispersion(crystal, a, "PBE") for a in (bare, nothing(crystal)))

    assert answer.energy == bare.energy + alone.energy
    np.testing.assert_array_equal(answer.forces, bare.forces + alone.forces)
    np.testing.assert_array_equal(answer.virial, bare.virial + alone.virial)
    assert (answer.scf_steps, answer.memory_bytes, answer.fallback) == (12, 5e8, "gentle")


@pytest.mark.d3
def test_an_engine_adds_it_for_pbe_d3_and_for_nothing_else(
    crystal: Atoms, tmp_path: Path
) -> None:
    answers = {
        name: NoElectrons(DftSettings(functional=name)).single_point(crystal, Place(tmp_path))
        for name in ("PBE", "PBE+D3")
    }

    assert answers["PBE"].energy == 0.0
    assert answers["PBE+D3"].energy == energy_of(crystal) < -0.1


@pytest.mark.d3
def test_no_virial_stays_no_virial(crystal: Atoms, tmp_path: Path) -> None:
    calculator = NoElectrons(DftSettings(functional="PBE+D3"))

    answer = calculator.single_point(crystal, Place(tmp_path), virial=False)

    assert answer.virial is None
    assert answer.energy == energy_of(crystal)


def test_a_missing_package_is_told_before_any_dft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(ProgramMissingError, match=r'pip install "dasksse\[d3\]"'):
        NoElectrons(DftSettings(functional="PBE+D3"))

    assert NoElectrons(DftSettings(functional="PBE")).functional == "PBE"
    (text,) = missing_dispersion("PBE+D3")
    assert "dftd3 is not installed" in text
    assert missing_dispersion("PBE") == []
