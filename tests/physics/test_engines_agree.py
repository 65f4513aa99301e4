"""Two DFT programs that share no code, on the same cells: what they agree on, and how well.

CP2K has Gaussians and GTH pseudopotentials, GPAW plane waves and PAW data sets. The bounds are
about twice what was measured; most of it is the Gaussian basis and the pseudopotentials, not
the cut-offs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms

from dasksse.config.schema import RegistrySection
from dasksse.label import Place, label_frames, load_calculator
from dasksse.label.contract import Answer
from dasksse.label.dft import cp2k_shell, gpaw_client
from dasksse.label.dft.dispersion import add_dispersion
from dasksse.label.dft.settings import k_mesh
from dasksse.records import Frames
from dasksse.units import EV_A3_PER_GPA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dasksse.label import LabelCalculator

SKEW = np.array([[0.02, 0.03, 0.0], [0.0, -0.01, 0.02], [0.01, 0.0, 0.015]])
GPAW = pytest.param("gpaw", {"ecut_eV": 400.0}, id="gpaw", marks=pytest.mark.gpaw)
CP2K = pytest.param(
    "cp2k", {"cutoff_Ry": 400.0, "rel_cutoff_Ry": 40.0}, id="cp2k", marks=pytest.mark.cp2k
)


def load(engine: Any, **settings: Any) -> LabelCalculator:
    kind, ours = engine.values
    return load_calculator(RegistrySection(kind=kind, settings=ours | settings))


@pytest.fixture(autouse=True, scope="module")
def _no_child_is_left() -> Iterator[None]:
    yield
    gpaw_client.close_child()
    cp2k_shell.close_shell()


def thiophosphate() -> Frames:
    """Two frames of Li3PS4 with PS4 tetrahedra, both triclinic, one squeezed and wilder."""
    x = 0.197
    tetrahedron = [(x, x, x), (x, -x, -x), (-x, x, -x), (-x, -x, x)]
    sites = [(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), *tetrahedron]
    crystal = Atoms("PLi3S4", scaled_positions=sites, cell=6.0 * np.eye(3), pbc=True)
    positions, cells = [], []
    for seed, strain, rattle_A in ((3, 0.0, 0.08), (4, -0.02, 0.13)):
        atoms = crystal.copy()
        deformation = (1.0 + strain) * np.eye(3) + SKEW
        atoms.set_cell(crystal.cell.array @ deformation, scale_atoms=True)
        atoms.rattle(rattle_A, seed=seed)
        positions.append(atoms.positions)
        cells.append(atoms.cell.array)
    return Frames(crystal.numbers, np.stack(positions), np.stack(cells))


def molecules() -> Atoms:
    """Hydrogen sulphide, packed: quick for Gaussian bases, which are compact here."""
    positions = [(0.0, 0.0, 0.0), (0.96, 0.93, 0.0), (-0.96, 0.93, 0.0)]
    atoms = Atoms("SH2", positions=positions, cell=[4.2, 4.0, 3.6], pbc=True)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + SKEW), scale_atoms=True)
    atoms.rattle(0.08, seed=11)
    return atoms


@pytest.mark.cp2k
@pytest.mark.gpaw
@pytest.mark.slow
@pytest.mark.parametrize("spacing", [None, 0.7], ids=["gamma", "mesh-2x2x2"])
def test_cp2k_and_gpaw_agree_on_a_thiophosphate(spacing: float | None) -> None:
    frames = thiophosphate()
    ours, theirs = (
        label_frames(frames, load(engine, kspacing_per_A=spacing)) for engine in (CP2K, GPAW)
    )
    assert ours.reasons == theirs.reasons == ("", "")

    force_rmse = np.sqrt(np.mean((ours.forces - theirs.forces) ** 2))
    # their zeros of energy are 1873 eV apart: only the way from frame to frame compares
    energy_error = (np.diff(ours.energies) - np.diff(theirs.energies)) / frames.n_atoms
    volumes = np.linalg.det(frames.cells)[:, None, None]
    stress_error_GPa = (ours.virials - theirs.virials) / volumes / EV_A3_PER_GPA
    stress_rmse_GPa = np.sqrt(np.mean(stress_error_GPa**2))
    assert force_rmse < 0.09
    assert np.abs(energy_error).max() < 0.012
    assert stress_rmse_GPa < 0.12


@pytest.mark.parametrize(("kind", "settings"), [GPAW, CP2K])
def test_a_mesh_of_k_points_is_gamma_of_a_larger_cell(
    kind: str, settings: dict[str, Any]
) -> None:
    cell = molecules()
    double = cell.repeat((1, 1, 2))
    spacing = 1.6
    assert k_mesh(cell.cell.array, spacing) == (1, 1, 2)

    mesh = load_calculator(
        RegistrySection(kind=kind, settings=settings | {"kspacing_per_A": spacing})
    ).single_point(cell, Place())
    gamma = load_calculator(
        RegistrySection(kind=kind, settings=settings | {"kspacing_per_A": None})
    ).single_point(double, Place())

    assert 2 * mesh.energy == pytest.approx(gamma.energy, abs=5e-4)
    np.testing.assert_allclose(gamma.forces[:3], mesh.forces, atol=2e-3)
    np.testing.assert_allclose(gamma.forces[3:], mesh.forces, atol=2e-3)
    np.testing.assert_allclose(gamma.virial, 2 * mesh.virial, atol=2e-3)


@pytest.mark.parametrize("spacing", [None, 0.9], ids=["gamma", "mesh"])
@pytest.mark.parametrize(("kind", "settings"), [GPAW, CP2K])
def test_the_same_frame_has_the_same_label_whatever_came_before(
    kind: str, settings: dict[str, Any], spacing: float | None
) -> None:
    settings = settings | {"kspacing_per_A": spacing}
    calculator = load_calculator(RegistrySection(kind=kind, settings=settings))
    frame = molecules()
    other = molecules()
    other.rattle(0.1, seed=1)

    first = calculator.single_point(frame, Place(reproducible=True))
    calculator.single_point(other, Place())
    reused = calculator.single_point(frame, Place())
    again = calculator.single_point(frame, Place(reproducible=True))

    assert again.energy == first.energy
    np.testing.assert_array_equal(again.forces, first.forces)
    np.testing.assert_array_equal(again.virial, first.virial)
    assert reused.energy == pytest.approx(first.energy, abs=1e-5)
    np.testing.assert_allclose(reused.forces, first.forces, atol=2e-3)
    np.testing.assert_allclose(reused.virial, first.virial, atol=5e-3)


OWN_D3 = """
&FORCE_EVAL
  &DFT
    &XC
      &VDW_POTENTIAL
        POTENTIAL_TYPE PAIR_POTENTIAL
        &PAIR_POTENTIAL
          TYPE DFTD3(BJ)
          REFERENCE_FUNCTIONAL PBE
          PARAMETER_FILE_NAME dftd3.dat
          R_CUTOFF [angstrom] 31.75
        &END
      &END
    &END
  &END
&END
"""


@pytest.mark.cp2k
@pytest.mark.d3
def test_our_d3_correction_is_that_of_cp2k() -> None:
    frame = molecules()
    quick = {"cutoff_Ry": 100.0, "kspacing_per_A": None}
    bare, corrected = (
        load(CP2K, **quick, **template).single_point(frame, Place())
        for template in ({}, {"input": OWN_D3})
    )

    nothing = Answer(0.0, np.zeros((3, 3)), np.zeros((3, 3)))
    ours = add_dispersion(frame, nothing, "PBE")

    # dftd3 stops at 60 Bohr: what lies beyond is a thousandth of the energy
    assert corrected.energy - bare.energy == pytest.approx(ours.energy, rel=2e-3)
    np.testing.assert_allclose(corrected.forces - bare.forces, ours.forces, atol=2e-4)
    np.testing.assert_allclose(corrected.virial - bare.virial, ours.virial, atol=1e-3)
