from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.calculators.vasp import VaspChargeDensity
from ase.io.cube import read_cube_data
from pymatgen.io.common import VolumetricData
from pymatgen.io.vasp import Chgcar

from dasksse.analyse.density import ion_density
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from pathlib import Path

CELL = np.array([[6.0, 0.0, 0.0], [1.5, 5.0, 0.0], [-1.0, 0.5, 7.0]])
SITES = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.8], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
NUMBERS = np.array([3, 3, 16, 15])


def rattle(n_frames: int = 200, *, seed: int = 0, drift_A: float = 0.0) -> MemoryTrajectory:
    """Two Li that stay in the grid's voxels of their sites, in any image, and a framework."""
    rng = np.random.default_rng(seed)
    images = rng.integers(-2, 3, (1, 4, 3))
    noise = rng.uniform(-0.004, 0.004, (n_frames, 4, 3))
    noise[:, 2:] = 0.0
    positions = (SITES + images + noise) @ CELL
    positions += drift_A * np.arange(n_frames)[:, None, None]
    return MemoryTrajectory(NUMBERS, positions, CELL, 0.1)


@pytest.mark.parametrize("drift_A", [0.0, 0.02])
def test_ions_are_where_they_were_relative_to_the_framework(drift_A: float) -> None:
    density = ion_density([rattle(drift_A=drift_A)], "Li", spacing_A=0.7)

    assert density.values_A3.shape == (9, 8, 11)
    voxel_A3 = np.linalg.det(CELL) / density.values_A3.size
    ions = density.values_A3 * voxel_A3
    places = {tuple(place) for place in np.argwhere(ions > 0)}
    assert places == {(1, 2, 3), (5, 6, 9)}
    assert ions.max() == pytest.approx(1.0)
    np.testing.assert_array_equal(density.frame.numbers, [15, 16])
    apart = density.frame.get_scaled_positions() - SITES[[3, 2]]
    np.testing.assert_allclose(apart - np.rint(apart), 0.0, atol=1e-9)


def test_the_integral_is_the_number_of_ions() -> None:
    rng = np.random.default_rng(1)
    positions = rng.uniform(-20, 20, (300, 4, 3))
    runs = [MemoryTrajectory(NUMBERS, positions[:n], CELL, 0.1) for n in (300, 100)]

    density = ion_density(runs, "Li", spacing_A=0.3)

    voxel_A3 = np.linalg.det(CELL) / density.values_A3.size
    assert density.values_A3.sum() * voxel_A3 == pytest.approx(2.0)
    assert density.n_ions == 2.0
    assert (density.n_runs, density.n_frames) == (2, 400)
    assert max(density.spacing_A) <= 0.3


def test_a_cell_that_varies_is_mapped_to_its_mean() -> None:
    calm = rattle()
    scale = np.random.default_rng(2).uniform(0.95, 1.05, (200, 1, 1))
    breathing = MemoryTrajectory(NUMBERS, calm.all_positions * scale, CELL * scale, 0.1)

    density = ion_density([breathing], "Li", spacing_A=0.7)

    np.testing.assert_allclose(density.frame.cell, CELL * scale.mean())
    expected = ion_density([calm], "Li", spacing_A=0.7)
    np.testing.assert_array_equal(density.values_A3 > 0, expected.values_A3 > 0)


def test_a_supercell_is_folded() -> None:
    shifts = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]])
    sites = (SITES[:, None] + shifts).reshape(-1, 3)
    noise = np.random.default_rng(3).uniform(-0.004, 0.004, (100, 16, 3))
    positions = (sites + noise) @ CELL
    supercell = CELL * np.array([[2], [1], [2]])
    run = MemoryTrajectory(np.repeat(NUMBERS, 4), positions, supercell, 0.1)

    density = ion_density([run], "Li", spacing_A=0.7, supercell=(2, 1, 2))

    np.testing.assert_allclose(density.frame.cell, CELL)
    np.testing.assert_array_equal(density.frame.numbers, [15, 16])
    voxel_A3 = np.linalg.det(CELL) / density.values_A3.size
    assert density.values_A3[1, 2, 3] * voxel_A3 == pytest.approx(1.0, abs=0.02)
    assert density.values_A3.sum() * voxel_A3 == pytest.approx(2.0)
    assert density.n_ions == 2.0


@pytest.mark.parametrize("name", ["li.cube", "CHGCAR", "CHGCAR_li", "li.vasp"])
def test_files_read_back_by_ase_and_pymatgen_integrate_to_the_ions(
    tmp_path: Path, name: str
) -> None:
    density = ion_density([rattle()], "Li", spacing_A=0.4)
    volume = abs(np.linalg.det(CELL))

    density.write(tmp_path / name)

    if name.endswith("cube"):
        values, atoms = read_cube_data(str(tmp_path / name))
        pymatgen = VolumetricData.from_cube(tmp_path / name)
        read = pymatgen.data["total"]
        assert "1/angstrom^3" in (tmp_path / name).read_text().splitlines()[0]
    else:
        chgcar = VaspChargeDensity(str(tmp_path / name))
        values, atoms = chgcar.chg[0], chgcar.atoms[0]
        pymatgen = Chgcar.from_file(tmp_path / name)
        read = pymatgen.data["total"] / volume
    for found in (values, read):
        np.testing.assert_allclose(found, density.values_A3, rtol=1e-4, atol=1e-5)
        assert found.mean() * volume == pytest.approx(2.0, rel=1e-4)
    np.testing.assert_allclose(atoms.cell, CELL, atol=1e-4)
    np.testing.assert_allclose(pymatgen.structure.lattice.matrix, CELL, atol=1e-4)
    np.testing.assert_array_equal(atoms.numbers, [15, 16])
    np.testing.assert_allclose(atoms.positions, density.frame.positions, atol=1e-4)


def test_little_memory_gives_the_same_numbers() -> None:
    run = rattle(500)

    little = ion_density([run], "Li", memory_bytes=320_000)

    np.testing.assert_array_equal(little.values_A3, ion_density([run], "Li").values_A3)


def test_ions_without_a_framework_have_a_density_too() -> None:
    run = MemoryTrajectory(np.array([3, 3, 3]), rattle().all_positions[:, :3], CELL, 0.1)

    assert len(ion_density([run], "Li").frame) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing_A": 0.0}, "grid spacing 0 Å; allowed"),
        ({"spacing_A": 0.001}, "at most 16 million points"),
        ({"supercell": (0, 1, 1)}, r"supercell \(0, 1, 1\); allowed"),
    ],
)
def test_what_makes_no_grid_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        ion_density([rattle(5)], "Li", **options)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    other = MemoryTrajectory(NUMBERS[:3], rattle().all_positions[:, :3], CELL, 0.1, name="b")

    with pytest.raises(AnalysisError, match="found: none"):
        ion_density([], "Li")
    with pytest.raises(AnalysisError, match="found: trajectory, b"):
        ion_density([rattle(), other], "Li")
    with pytest.raises(AnalysisError, match="no 'Na' among the atoms"):
        ion_density([rattle()], "Na")
    with pytest.raises(AnalysisError, match=r"allowed are names \*\.cube"):
        ion_density([rattle()], "Li").write(tmp_path / "li.xsf")
