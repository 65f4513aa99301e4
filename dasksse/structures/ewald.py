"""Point-charge energies of crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core import Structure


def ewald_kernel(structure: Structure) -> NDArray[np.float64]:
    """Coulomb matrix [eV/e²] ``K`` with ``E = q . K . q`` for charges ``q`` [e] on the sites.

    Parameters
    ----------
    structure
        Structure; only its cell and site positions matter.

    Returns
    -------
    NDArray[np.float64]
        Shape ``(site, site)``, self-interaction on the diagonal. ``E`` is the energy of the
        cell when the charges cancel.

    Notes
    -----
    Cost and memory grow as sites².
    """
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import Structure

    unit = Structure(structure.lattice, ["H+"] * len(structure), structure.frac_coords)
    matrix = np.asarray(EwaldSummation(unit).total_energy_matrix)
    return 0.5 * (matrix + matrix.T)


def ewald_energy(structure: Structure, charges: Mapping[str, float]) -> float:
    """Point-charge energy [eV] of an ordered, neutral cell.

    Parameters
    ----------
    structure
        Structure with one element on each site.
    charges
        Formal charge [e] by element.
    """
    q = np.array([charges[site.specie.symbol] for site in structure])
    return float(q @ ewald_kernel(structure) @ q)
