"""Ionic conductivity from diffusion: the Nernst-Einstein relation."""

from __future__ import annotations

from dasksse.errors import AnalysisError
from dasksse.units import BOLTZMANN_EV_K, ELEMENTARY_CHARGE_C

MS_CM_PER_S_M = 10.0
A3_PER_M3 = 1.0e30


def nernst_einstein_mS_cm(
    D_m2_s: float, *, carrier_density_A3: float, temperature_K: float, charge: float
) -> float:
    """Conductivity [mS/cm] of independent carriers with this diffusion coefficient.

    Parameters
    ----------
    D_m2_s
        Diffusion coefficient [m²/s]. The tracer D gives the Nernst-Einstein conductivity, the
        collective D the true one.
    carrier_density_A3
        Carriers per volume [1/Å³], at least 0.
    temperature_K
        Temperature [K], above 0.
    charge
        Charge of a carrier [e], either sign.

    Returns
    -------
    float
        Conductivity [mS/cm].

    Raises
    ------
    AnalysisError
        If temperature or density is out of range.

    Notes
    -----
    ``sigma = z² e² n D / (kB T)``.
    """
    if not temperature_K > 0.0 or not carrier_density_A3 >= 0.0:
        msg = (
            f"conductivity needs a temperature above 0 K and a carrier density of at least 0, "
            f"got {temperature_K} K and {carrier_density_A3} 1/Å³"
        )
        raise AnalysisError(msg)
    thermal_V = BOLTZMANN_EV_K * temperature_K
    density_m3 = carrier_density_A3 * A3_PER_M3
    return charge**2 * ELEMENTARY_CHARGE_C * density_m3 * D_m2_s / thermal_V * MS_CM_PER_S_M
