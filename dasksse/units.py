"""Units and sign rules: the one place where conversion factors live.

Energies are in eV, lengths in Å, times in ps (MD time steps in fs), temperatures in K and
pressures in GPa. Diffusion coefficients are reported in m²/s and conductivities in mS/cm.

The virial of a configuration is ``W = -dE/d(strain) = -V * sigma`` [eV], where ``sigma`` is the
stress as ASE gives it (positive under tension). This is the sign DeePMD-kit trains on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOLTZMANN_EV_K = 8.617333262e-5
ELEMENTARY_CHARGE_C = 1.602176634e-19
FS_PER_PS = 1000.0
BAR_PER_GPA = 1.0e4
EV_A3_PER_GPA = 1.0 / 160.21766208
"""One GPa in eV/Å³."""
M2_S_PER_A2_PS = 1.0e-8
"""One Å²/ps in m²/s."""
MEV_PER_EV = 1000.0


def virial_from_stress(
    stress_eV_A3: NDArray[np.float64], volume_A3: float
) -> NDArray[np.float64]:
    """Virial ``W = -V * sigma`` [eV] from ASE's stress.

    Parameters
    ----------
    stress_eV_A3
        Stress [eV/Å³], ASE sign, shape ``(6,)`` in Voigt order xx yy zz yz xz xy, or
        ``(lattice, xyz)`` = ``(3, 3)``.
    volume_A3
        Cell volume [Å³], above 0.

    Returns
    -------
    NDArray[np.float64]
        Virial [eV], shape ``(3, 3)``.
    """
    stress = np.asarray(stress_eV_A3, dtype=float)
    if stress.shape == (6,):
        xx, yy, zz, yz, xz, xy = stress
        stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return -volume_A3 * stress


def pressure_from_virial(virial_eV: NDArray[np.float64], volume_A3: float) -> float:
    """Static pressure ``tr W / 3V`` [GPa] of a configuration.

    Parameters
    ----------
    virial_eV
        Virial [eV], shape ``(3, 3)``.
    volume_A3
        Cell volume [Å³], above 0.
    """
    return float(np.trace(virial_eV)) / 3.0 / volume_A3 / EV_A3_PER_GPA
