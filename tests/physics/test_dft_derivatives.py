"""Forces and virials of DFT engines against differences of their energy, on tiny skewed cells.

Random directions test all components at once: with n atoms two energies tell the slope along
3n coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from dasksse.config.schema import RegistrySection
from dasksse.label import Place, load_calculator
from dasksse.label.dft import cp2k_shell, gpaw_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dasksse.label import Answer

SKEW = np.array([[0.02, 0.03, 0.0], [0.0, -0.01, 0.02], [0.01, 0.0, 0.015]])


def skewed(atoms: Atoms) -> Atoms:
    """A triclinic, rattled copy: no symmetry can hide a wrong sign or a swapped index."""
    copy = atoms.copy()
    copy.set_cell(copy.cell.array @ (np.eye(3) + SKEW), scale_atoms=True)
    copy.rattle(0.08, seed=11)
    return copy


def sulphide() -> Atoms:
    return skewed(bulk("Li2S", "fluorite", a=5.7))


def hydride() -> Atoms:
    return skewed(bulk("LiH", "rocksalt", a=4.0))


def metal() -> Atoms:
    return skewed(bulk("Li", "bcc", a=3.5, cubic=True))


def molecules() -> Atoms:
    """Hydrogen sulphide, packed: Gaussian bases are quick where they are compact."""
    positions = [(0.0, 0.0, 0.0), (0.96, 0.93, 0.0), (-0.96, 0.93, 0.0)]
    return skewed(Atoms("SH2", positions=positions, cell=[4.2, 4.0, 3.6], pbc=True))


@dataclass(frozen=True)
class Case:
    """An engine, a crystal, and what forces and virial may be off."""

    kind: str
    make: Callable[[], Atoms]
    settings: dict[str, Any]
    force_tol_eV_A: float
    virial_tol_eV: float
    step: float
    """Of displacements [Å] and strains."""
    cut_off: str = ""
    """Setting that counts the plane waves; it follows the volume and keeps their number."""

    def label(self, atoms: Atoms, *, virial: bool = True, cut_off_scale: float = 1.0) -> Answer:
        settings = dict(self.settings)
        if self.cut_off:
            settings[self.cut_off] *= cut_off_scale
        calculator = load_calculator(RegistrySection(kind=self.kind, settings=settings))
        return calculator.single_point(atoms, Place(), virial=virial)

    def strained_energy(self, atoms: Atoms, strain: NDArray[np.float64]) -> float:
        copy = atoms.copy()
        copy.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        scale = (atoms.get_volume() / copy.get_volume()) ** (2 / 3)
        return self.label(copy, virial=False, cut_off_scale=scale).energy


TIGHT_GPAW = {
    "energy_tolerance_eV": 1e-8,
    "force_tolerance_eV_A": 1e-4,
    "parameters": {"convergence": {"density": 1e-7, "eigenstates": 1e-11}},
}
QUICK_CP2K = {
    "cutoff_Ry": 200.0,
    "rel_cutoff_Ry": 40.0,
    "energy_tolerance_eV": 1e-8,
    "fallbacks": False,
}


def gpaw(
    name: str,
    make: Callable[[], Atoms],
    force_tol_eV_A: float,
    virial_tol_eV: float,
    **settings: Any,
) -> Any:
    tolerances = (force_tol_eV_A, virial_tol_eV)
    # plane waves that enter and leave with strain make noise, hence the wide step
    case = Case("gpaw", make, TIGHT_GPAW | settings, *tolerances, 0.01, cut_off="ecut_eV")
    return pytest.param(case, id=f"gpaw-{name}", marks=pytest.mark.gpaw)


def cp2k(name: str, *marks: pytest.MarkDecorator, **settings: Any) -> Any:
    case = Case("cp2k", molecules, QUICK_CP2K | settings, 2e-3, 3e-3, 0.003)
    return pytest.param(case, id=f"cp2k-{name}", marks=[pytest.mark.cp2k, *marks])


CASES = [
    gpaw("mesh", sulphide, 3e-4, 1e-2, ecut_eV=400.0, kspacing_per_A=1.0),
    gpaw("smeared", metal, 3e-4, 5e-3, ecut_eV=400.0, kspacing_per_A=1.0, smearing_eV=0.3),
    gpaw("lda", hydride, 1e-3, 2e-2, ecut_eV=500.0, kspacing_per_A=None, functional="LDA"),
    gpaw(
        "r2scan", hydride, 1e-3, 2e-2, ecut_eV=500.0, kspacing_per_A=None, functional="r2SCAN"
    ),
    cp2k("mesh", kspacing_per_A=0.9),
    cp2k("smeared", kspacing_per_A=None, smearing_eV=1.0),
    cp2k("r2scan", pytest.mark.slow, kspacing_per_A=None, functional="r2SCAN"),
]


@pytest.fixture(autouse=True, scope="module")
def _no_child_is_left() -> Iterator[None]:
    yield
    gpaw_client.close_child()
    cp2k_shell.close_shell()


@pytest.mark.parametrize("case", CASES)
def test_forces_are_minus_the_slope_of_the_energy(case: Case) -> None:
    atoms = case.make()
    forces = case.label(atoms).forces

    rng = np.random.default_rng(5)
    for _ in range(2):
        direction = rng.normal(size=forces.shape)
        direction /= np.linalg.norm(direction)
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions += sign * case.step * direction
            energies.append(case.label(moved, virial=False).energy)
        slope = (energies[0] - energies[1]) / (2 * case.step)

        assert np.vdot(forces, direction) == pytest.approx(-slope, abs=case.force_tol_eV_A)
    assert np.abs(forces).max() > 100 * case.force_tol_eV_A


@pytest.mark.parametrize("case", CASES)
def test_the_virial_is_minus_the_slope_of_the_energy_with_strain(case: Case) -> None:
    atoms = case.make()
    virial = case.label(atoms).virial

    rng = np.random.default_rng(6)
    skew = rng.normal(size=(3, 3))
    for direction in (np.eye(3), skew + skew.T):
        strain = case.step * direction / np.linalg.norm(direction)
        energies = [case.strained_energy(atoms, sign * strain) for sign in (1, -1)]
        slope = (energies[0] - energies[1]) / (2 * case.step)

        along = np.vdot(virial, direction) / np.linalg.norm(direction)
        assert along == pytest.approx(-slope, abs=case.virial_tol_eV)
    np.testing.assert_allclose(virial, virial.T, atol=1e-6)
    assert np.abs(virial).max() > 20 * case.virial_tol_eV
