"""A toy ionic crystal: screened Coulomb forces and Born-Mayer repulsion, fast enough for tests.

The pair energy of ions ``i`` and ``j`` with charges ``q`` and radii ``R`` is

``phi(r) = k q_i q_j erfc(a r) / r + b max(-q_i q_j, 0) exp((R_i + R_j - r) / rho)``

with ``k = e^2 / (4 pi eps_0)``; energy and force are both shifted so that they vanish at the
cut-off, ``U(r) = phi(r) - phi(rc) - (r - rc) phi'(rc)``. For the Coulomb part this is the
damped shifted-force sum of Fennell and Gezelter (doi:10.1063/1.2206581). Only unlike ions get
the Born-Mayer term, like ones repel anyway; because it scales with the charges too, neighbours
sit near ``R_i + R_j`` apart in any salt. LiCl is a stable rock salt of 5.30 Å (5.13 in nature)
with a bulk modulus of 15 GPa (30).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress
from scipy.spatial import KDTree
from scipy.special import erfc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

COULOMB_EV_A = 14.3996454785
"""``e^2 / (4 pi eps_0)`` [eV·Å]."""
REPULSION_EV = 0.2
"""Strength ``b`` for unit charges: puts the minimum of a rock salt near the sum of radii."""
REPULSION_LENGTH_A = 0.3
"""Range ``rho`` of the repulsion."""
NEUTRAL_WITHIN_E = 1e-6

IONS: dict[str, tuple[float, float]] = {
    "Li": (1.0, 0.76), "Na": (1.0, 1.02), "K": (1.0, 1.38), "Mg": (2.0, 0.72),
    "Al": (3.0, 0.54), "Si": (4.0, 0.26), "P": (5.0, 0.17), "Ge": (4.0, 0.39),
    "Sn": (4.0, 0.55), "Zr": (4.0, 0.72), "La": (3.0, 1.16), "O": (-2.0, 1.40),
    "S": (-2.0, 1.84), "F": (-1.0, 1.33), "Cl": (-1.0, 1.81), "Br": (-1.0, 1.96),
    "I": (-1.0, 2.20),
}  # fmt: skip
"""Formal charge [e] and ionic radius [Å] (Shannon, doi:10.1107/S0567739476001551)."""


class ToyIonicCalculator(Calculator):
    """Screened formal charges with Born-Mayer repulsion, for quick tests of the whole loop.

    Parameters
    ----------
    charges
        Formal charge [e] per element, over those of :data:`IONS`. The cell must be neutral.
    radii_A
        Ionic radius [Å] per element, over those of :data:`IONS`.
    rc_A
        Cut-off [Å], above 0; energy and force reach zero there.
    screening_per_A
        Damping ``a`` of the Coulomb part [1/Å], 0 or more.
    """

    implemented_properties: ClassVar[Sequence[str]] = (
        "energy",
        "free_energy",
        "forces",
        "stress",
    )

    def __init__(
        self,
        *,
        charges: Mapping[str, float] | None = None,
        radii_A: Mapping[str, float] | None = None,
        rc_A: float = 6.0,
        screening_per_A: float = 0.3,
    ) -> None:
        super().__init__()
        self._charges = {symbol: charge for symbol, (charge, _) in IONS.items()}
        self._charges.update(charges or {})
        self._radii_A = {symbol: radius for symbol, (_, radius) in IONS.items()}
        self._radii_A.update(radii_A or {})
        self._rc_A = rc_A
        self._screening_per_A = screening_per_A

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Energy [eV], forces [eV/Å] and stress [eV/Å³] of a periodic, neutral cell.

        Raises
        ------
        ValueError
            The cell is not neutral, or an element has no charge or radius.
        """
        super().calculate(atoms, properties, system_changes)
        charge, radius = self._ions(self.atoms.numbers)
        first, second, vector = _neighbours(self.atoms, self._rc_A)
        distance = np.linalg.norm(vector, axis=1)
        # two atoms on one spot give NaN, which the caller sees; no warning beside it
        with np.errstate(divide="ignore", invalid="ignore"):
            energy, slope = self._pair(
                distance, charge[first] * charge[second], radius[first] + radius[second]
            )
            pull = (slope / distance)[:, None] * vector
        forces = np.stack([np.bincount(first, axis, len(charge)) for axis in pull.T], axis=1)
        # Each pair is listed from both of its ends.
        stress = 0.5 * vector.T @ pull / self.atoms.get_volume()
        total = 0.5 * float(energy.sum())
        self.results = {
            "energy": total,
            "free_energy": total,
            "forces": forces,
            "stress": full_3x3_to_voigt_6_stress(stress),
        }

    def _ions(self, numbers: NDArray[np.int64]) -> tuple[Array, Array]:
        """Charge [e] and radius [Å] of each atom."""
        symbols = [chemical_symbols[number] for number in numbers]
        unknown = sorted(set(symbols) - (self._charges.keys() & self._radii_A.keys()))
        if unknown:
            msg = f"no charge or radius for {unknown}; set charges and radii_A of the toy model"
            raise ValueError(msg)
        charge = np.array([self._charges[symbol] for symbol in symbols])
        if abs(charge.sum()) > NEUTRAL_WITHIN_E:
            msg = f"the charges of the cell sum to {charge.sum():+g} e, not 0"
            raise ValueError(msg)
        return charge, np.array([self._radii_A[symbol] for symbol in symbols])

    def _pair(self, r: Array, qq: Array, contact: Array) -> tuple[Array, Array]:
        """Shifted pair energy [eV] and its slope [eV/Å] at distances ``r`` [Å]."""
        energy, slope = self._bare_pair(r, qq, contact)
        at_cutoff, slope_at_cutoff = self._bare_pair(self._rc_A, qq, contact)
        shifted = energy - at_cutoff - (r - self._rc_A) * slope_at_cutoff
        return shifted, slope - slope_at_cutoff

    def _bare_pair(self, r: Array | float, qq: Array, contact: Array) -> tuple[Any, Any]:
        """Pair energy ``phi`` [eV] and slope [eV/Å] before they are shifted."""
        a = self._screening_per_A
        coulomb = COULOMB_EV_A * qq * erfc(a * r) / r
        damping = COULOMB_EV_A * qq * 2.0 * a / np.sqrt(np.pi) * np.exp(-((a * r) ** 2)) / r
        repulsion = (
            REPULSION_EV * np.maximum(-qq, 0.0) * np.exp((contact - r) / REPULSION_LENGTH_A)
        )
        return coulomb + repulsion, -coulomb / r - damping - repulsion / REPULSION_LENGTH_A


def _neighbours(atoms: Atoms, rc_A: float) -> tuple[Indices, Indices, Array]:
    """Pairs within the cut-off: first, second, vector from first to second [Å].

    A k-d tree over the periodic images is several times faster here than ASE's list, which
    matters because the toy model shall cost next to nothing.
    """
    cell = np.asarray(atoms.cell)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T % 1.0
    reach = np.ceil(rc_A / heights).astype(int)
    shifts = np.stack(
        np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    images = (scaled[None] + shifts[:, None]).reshape(-1, 3)
    margin = rc_A / heights
    near = np.flatnonzero(((images >= -margin) & (images <= 1.0 + margin)).all(axis=1))

    home = scaled @ cell
    around = images[near] @ cell
    pairs = KDTree(home).sparse_distance_matrix(KDTree(around), rc_A, output_type="coo_matrix")
    at_home = len(shifts) // 2 * len(atoms)
    is_other = near[pairs.col] != at_home + pairs.row
    first, image = pairs.row[is_other], pairs.col[is_other]
    return first, near[image] % len(atoms), around[image] - home[first]
