from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from dasksse.errors import StoreError
from dasksse.label.importing import read_extxyz
from dasksse.label.importing.extxyz import read_extxyz_file
from dasksse.train.dataset import read_labels

if TYPE_CHECKING:
    from pathlib import Path

    import ase


def _frame(symbol: str = "Cu", *, seed: int = 0, stress: bool = True) -> ase.Atoms:
    atoms = bulk(symbol, cubic=True)
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if stress:
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_frames_are_grouped_by_their_atoms_and_keep_their_values(tmp_path: Path) -> None:
    images = [_frame("Cu", seed=1), _frame("Au", seed=2), _frame("Cu", seed=3)]
    write(tmp_path / "set.extxyz", images)

    data = read_labels(tmp_path / "set.extxyz")

    assert [(name, len(part)) for name, part in data] == [("set-0", 2), ("set-1", 1)]
    copper = data[0][1]
    expected = [images[0].get_potential_energy(), images[2].get_potential_energy()]
    np.testing.assert_allclose(copper.energies, expected, atol=1e-7)
    np.testing.assert_allclose(copper.forces[1], images[2].get_forces(), atol=1e-7)
    np.testing.assert_allclose(copper.frames.positions[1], images[2].positions, atol=1e-7)


def test_the_virial_is_minus_volume_times_stress(tmp_path: Path) -> None:
    atoms = _frame()
    write(tmp_path / "one.xyz", atoms, format="extxyz")

    [(name, labels)] = read_extxyz(tmp_path / "one.xyz")

    assert name == "one"
    expected = -atoms.get_volume() * atoms.get_stress(voigt=False)
    np.testing.assert_allclose(labels.virials[0], expected, atol=1e-6)


def test_a_given_virial_is_taken_as_it_is(tmp_path: Path) -> None:
    atoms = _frame(stress=False)
    virial = np.arange(9.0).reshape(3, 3)
    atoms.info["virial"] = virial + virial.T
    write(tmp_path / "one.xyz", atoms, format="extxyz")

    [(_, labels)] = read_extxyz(tmp_path / "one.xyz")

    np.testing.assert_allclose(labels.virials[0], virial + virial.T)


def test_without_stress_and_virial_the_virial_is_unknown(tmp_path: Path) -> None:
    write(tmp_path / "one.xyz", _frame(stress=False), format="extxyz")

    [(_, labels)] = read_extxyz(tmp_path / "one.xyz")

    assert labels.is_good.all()
    assert not labels.has_virial.any()


def test_the_energy_that_forces_derive_from_goes_first(tmp_path: Path) -> None:
    atoms = _frame()
    results = atoms.calc.results | {"free_energy": -1.5}
    atoms.calc = SinglePointCalculator(atoms, **results)
    write(tmp_path / "one.xyz", atoms, format="extxyz")

    [(_, labels)] = read_extxyz(tmp_path / "one.xyz")

    assert labels.energies.tolist() == [-1.5]


@pytest.mark.parametrize(
    ("energy", "forces", "stress"),
    [("REF_energy", "REF_forces", "REF_stress"), ("dft_energy", "dft_force", "dft_stress")],
)
def test_labels_under_the_names_of_fitting_codes_are_found(
    tmp_path: Path, energy: str, forces: str, stress: str
) -> None:
    labelled = _frame()
    atoms = labelled.copy()
    atoms.info[energy] = labelled.get_potential_energy()
    atoms.arrays[forces] = labelled.get_forces()
    atoms.info[stress] = labelled.get_stress(voigt=False)
    write(tmp_path / "one.xyz", atoms, format="extxyz")

    [(_, labels)] = read_extxyz(tmp_path / "one.xyz")

    np.testing.assert_allclose(labels.energies, labelled.get_potential_energy(), atol=1e-7)
    np.testing.assert_allclose(labels.forces[0], labelled.get_forces(), atol=1e-7)
    expected = -labelled.get_volume() * labelled.get_stress(voigt=False)
    np.testing.assert_allclose(labels.virials[0], expected, atol=1e-6)


def test_the_virial_of_a_file_goes_before_its_stress(tmp_path: Path) -> None:
    atoms = _frame()
    atoms.info["virial"] = np.eye(3)
    write(tmp_path / "one.xyz", atoms, format="extxyz")

    [(_, labels)] = read_extxyz(tmp_path / "one.xyz")

    np.testing.assert_array_equal(labels.virials[0], np.eye(3))


def test_a_frame_without_labels_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "bare.xyz", bulk("Cu", cubic=True), format="extxyz")

    with pytest.raises(StoreError, match=r"frame 0: no energy and no forces"):
        read_extxyz(tmp_path / "bare.xyz")


def test_an_import_leaves_out_frames_that_are_no_labels_of_a_crystal(tmp_path: Path) -> None:
    lone = _frame(stress=False)
    lone.pbc = False
    write(tmp_path / "set.extxyz", [_frame(), lone, bulk("Cu", cubic=True)], format="extxyz")

    reading = read_extxyz_file(tmp_path / "set.extxyz")

    assert [len(labels) for labels in reading.labels] == [1]
    assert "2 left out, the first: " in reading.notes[0]
    assert "frame 1: not periodic in all directions" in reading.notes[0]


def test_a_molecule_is_refused(tmp_path: Path) -> None:
    atoms = _frame(stress=False)
    atoms.pbc = (True, True, False)
    write(tmp_path / "slab.xyz", atoms, format="extxyz")

    with pytest.raises(StoreError, match=r"not periodic in all directions"):
        read_extxyz(tmp_path / "slab.xyz")


def test_a_file_that_is_no_xyz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.xyz").write_text("not a number\nof atoms\n")

    with pytest.raises(StoreError, match=r"odd\.xyz: cannot be read as extended XYZ"):
        read_extxyz(tmp_path / "odd.xyz")
