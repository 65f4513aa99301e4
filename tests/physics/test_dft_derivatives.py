"""Forces and virials of DFT engines against differences of their energy, on tiny skewed cells.

Random directions test all components at once: with n atoms two energies tell the slope along
3n coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase.build import bulk

from dasksse.config.schema import RegistrySection
from dasksse.label import Place, load_calculator
from dasksse.label.dft import gpaw_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ase import Atoms
    from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Case:
    """An engine, a crystal, and what forces and virial may be off."""

    kind: str
    make: Callable[[], Atoms]
    settings: dict[str, Any]
    force_tol_eV_A: float
    virial_tol_eV: float
    cut_off: str | None = field(default=None)
    """Setting that counts the plane waves, so that it must change with the volume."""

    def energy_of(self, atoms: Atoms, cut_off_scale: float = 1.0) -> float:
        settings = dict(self.settings)
        if self.cut_off is not None:
            settings[self.cut_off] *= cut_off_scale
        calculator = load_calculator(RegistrySection(kind=self.kind, settings=settings))
        return calculator.single_point(atoms, Place(), virial=False).energy

    def strained_energy(self, atoms: Atoms, strain: NDArray[np.float64]) -> float:
        """Energy of a strained copy; the number of plane waves stays."""
        copy = atoms.copy()
        copy.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        return self.energy_of(copy, (atoms.get_volume() / copy.get_volume()) ** (2 / 3))


TIGHT_GPAW = {
    "energy_tolerance_eV": 1e-8,
    "force_tolerance_eV_A": 1e-4,
    "parameters": {"convergence": {"density": 1e-7, "eigenstates": 1e-11}},
}


def gpaw(
    name: str,
    make: Callable[[], Atoms],
    force_tol_eV_A: float,
    virial_tol_eV: float,
    *marks: pytest.MarkDecorator,
    **settings: Any,
) -> Any:
    case = Case("gpaw", make, TIGHT_GPAW | settings, force_tol_eV_A, virial_tol_eV, "ecut_eV")
    return pytest.param(case, id=f"gpaw-{name}", marks=[pytest.mark.gpaw, *marks])


CASES = [
    gpaw("pbe", sulphide, 3e-4, 1e-2, ecut_eV=400.0, kspacing_per_A=1.0),
    gpaw("smeared", metal, 3e-4, 5e-3, ecut_eV=400.0, kspacing_per_A=1.0, smearing_eV=0.3),
    gpaw("lda", hydride, 1e-3, 2e-2, ecut_eV=500.0, kspacing_per_A=None, functional="LDA"),
    gpaw(
        "r2scan",
        hydride,
        1e-3,
        2e-2,
        pytest.mark.slow,
        ecut_eV=500.0,
        kspacing_per_A=None,
        functional="r2SCAN",
    ),
]

CP2K = {
    "energy_tolerance_eV": 1e-9,
    "input": "&FORCE_EVAL\n&DFT\n&QS\nEPS_DEFAULT 1e-14\n&END\n&END\n&END",
}
for name, make, settings in (
    ("pbe", sulphide, dict(cutoff_Ry=400.0, rel_cutoff_Ry=60.0, kspacing_per_A=1.0)),
    (
        "smeared",
        metal,
        dict(cutoff_Ry=400.0, rel_cutoff_Ry=60.0, kspacing_per_A=1.0, smearing_eV=0.3),
    ),
    (
        "r2scan",
        hydride,
        dict(cutoff_Ry=400.0, rel_cutoff_Ry=60.0, kspacing_per_A=None, functional="r2SCAN"),
    ),
    (
        "lda",
        hydride,
        dict(cutoff_Ry=400.0, rel_cutoff_Ry=60.0, kspacing_per_A=None, functional="LDA"),
    ),
    (
        "pbesold3",
        hydride,
        dict(cutoff_Ry=400.0, rel_cutoff_Ry=60.0, kspacing_per_A=None, functional="PBE+D3"),
    ),
):
    CASES.append(
        pytest.param(
            Case("cp2k", make, CP2K | settings, 1e-3, 1e-2),
            id=f"cp2k-{name}",
            marks=[pytest.mark.cp2k],
        )
    )


@pytest.fixture(autouse=True, scope="module")
def _no_child_is_left() -> Iterator[None]:
    yield
    gpaw_client.close_child()


@pytest.mark.parametrize("case", CASES)
def test_forces_are_minus_the_slope_of_the_energy(case: Case) -> None:
    atoms = case.make()
    calculator = load_calculator(RegistrySection(kind=case.kind, settings=case.settings))
    forces = calculator.single_point(atoms, Place()).forces

    rng = np.random.default_rng(5)
    step_A = 0.01
    for _ in range(3):
        direction = rng.normal(size=forces.shape)
        direction /= np.linalg.norm(direction)
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions += sign * step_A * direction
            energies.append(case.energy_of(moved))
        slope = (energies[0] - energies[1]) / (2 * step_A)

        print("F", np.vdot(forces, direction) + slope)
        assert np.vdot(forces, direction) == pytest.approx(-slope, abs=case.force_tol_eV_A)
    assert np.abs(forces).max() > 100 * case.force_tol_eV_A


@pytest.mark.parametrize("case", CASES)
def test_the_virial_is_minus_the_slope_of_the_energy_with_strain(case: Case) -> None:
    atoms = case.make()
    calculator = load_calculator(RegistrySection(kind=case.kind, settings=case.settings))
    virial = calculator.single_point(atoms, Place()).virial

    rng = np.random.default_rng(6)
    step = 0.01
    shears = rng.normal(size=(3, 3, 3))
    shears += shears.transpose(0, 2, 1)
    shears -= np.trace(shears, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    for direction in [np.eye(3), *shears]:
        strain = step * direction / np.linalg.norm(direction)
        energies = [case.strained_energy(atoms, sign * strain) for sign in (1, -1)]
        slope = (energies[0] - energies[1]) / (2 * step)

        expected = np.vdot(virial, direction) / np.linalg.norm(direction)
        print("W", expected + slope, expected)
        assert expected == pytest.approx(-slope, abs=case.virial_tol_eV)
    np.testing.assert_allclose(virial, virial.T, atol=1e-8)
    assert np.abs(virial).max() > 20 * case.virial_tol_eV
