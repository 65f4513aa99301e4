from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointDFTCalculator
from ase.db import connect

from dasksse.errors import StoreError
from dasksse.label.importing.ase_database import read_ase_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import ase


@pytest.mark.parametrize("name", ["labels.db", "labels.json"])
def test_rows_keep_their_values(
    name: str, make_frames: Callable[..., list[ase.Atoms]], tmp_path: Path
) -> None:
    frames = make_frames(3)
    with connect(tmp_path / name) as database:
        for atoms in frames:
            database.write(atoms)

    [labels] = read_ase_database(tmp_path / name).labels

    expected = [atoms.get_potential_energy() for atoms in frames]
    np.testing.assert_allclose(labels.energies, expected)
    np.testing.assert_allclose(labels.forces[2], frames[2].get_forces())
    virial = -frames[1].get_volume() * frames[1].get_stress(voigt=False)
    np.testing.assert_allclose(labels.virials[1], virial)
    assert labels.functional == "unknown"


def test_rows_without_forces_are_counted(
    make_frames: Callable[..., list[ase.Atoms]], tmp_path: Path
) -> None:
    bare, labelled = make_frames(2)
    bare.calc = None
    with connect(tmp_path / "labels.db") as database:
        database.write(bare)
        database.write(labelled)

    reading = read_ase_database(tmp_path / "labels.db")

    assert [len(labels) for labels in reading.labels] == [1]
    assert "1 left out, the first: " in reading.notes[0]
    assert "row 1: no energy and no forces" in reading.notes[0]


def test_calculator_and_functional_are_taken_from_the_rows(
    make_frames: Callable[..., list[ase.Atoms]], tmp_path: Path
) -> None:
    with connect(tmp_path / "labels.db") as database:
        for atoms, xc in zip(make_frames(2), ("pbe", "pbesol"), strict=True):
            results = atoms.calc.results
            atoms.calc = SinglePointDFTCalculator(atoms, **results)
            atoms.calc.name = "vasp"
            atoms.calc.parameters = {"xc": xc}
            database.write(atoms)

    labels = read_ase_database(tmp_path / "labels.db").labels

    assert [(part.source, part.functional) for part in labels] == [
        ("vasp", "PBE"),
        ("vasp", "PBEsol"),
    ]


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.db").write_bytes(b"SQLite format 3\0" + 200 * b"x")

    with pytest.raises(StoreError, match=r"labels\.db: cannot be read as an ASE database"):
        read_ase_database(tmp_path / "labels.db")
