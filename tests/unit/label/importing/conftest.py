"""Files with labels that are known, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[3] / "golden" / "importing"
VASP = Path(ase.__file__).parent / "test" / "testdata" / "vasp"


@pytest.fixture
def golden() -> Path:
    """Folder with output of CP2K, cut down to the lines that matter."""
    return GOLDEN


@pytest.fixture
def make_frames() -> Callable[..., list[ase.Atoms]]:
    """Strained and rattled copper-gold labelled by EMT, close to one another."""

    def make(
        n_frames: int = 6, *, seed: int = 0, rattle_A: float = 0.02, strain: float = 0.01
    ) -> list[ase.Atoms]:
        rng = np.random.default_rng(seed)
        frames = []
        for _ in range(n_frames):
            atoms = bulk("Cu", cubic=True)
            atoms.symbols[0] = "Au"
            change = rng.uniform(-strain, strain, (3, 3))
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + change + change.T), scale_atoms=True)
            atoms.positions += rng.normal(scale=rattle_A, size=atoms.positions.shape)
            frames.append(labelled(atoms))
        return frames

    return make


def labelled(atoms: ase.Atoms) -> ase.Atoms:
    atoms = atoms.copy()
    atoms.calc = EMT()
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture
def vasprun() -> str:
    """Text of a vasprun.xml of one step: PBE, 2 atoms."""
    return (VASP / "vasprun_dfpt.xml").read_text()


@pytest.fixture
def outcar() -> str:
    """Text of an OUTCAR of one step: PBE, 18 atoms of nickel."""
    return (VASP / "OUTCAR_example_1").read_text()
