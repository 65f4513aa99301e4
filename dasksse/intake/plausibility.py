"""Units that cannot be meant: atoms too close or too far, too fast or too slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_masses
from scipy.spatial import cKDTree

from dasksse.errors import TrajectoryError
from dasksse.intake.lattice import LENGTH_UNITS_A
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MIN_NEIGHBOURS_A = 0.7
"""Half of all atoms have no neighbour nearer, in anything: hydrogen molecules."""
USUAL_NEIGHBOURS_A = (1.0, 4.0)
"""Distance of nearest neighbours in inorganic solids."""
MAX_DENSITY_A3, MIN_DENSITY_A3 = 0.5, 0.015
"""Atoms in 1 Å³: diamond has 0.18, solid electrolytes 0.03 to 0.12, caesium 0.009."""
EV_FS2_PER_U_A2 = 103.642696
"""One u (Å/fs)² in eV."""
MAX_TEMPERATURE_K = 5e5
ODD_TEMPERATURE_K = 5e3
COLD_K = 1.0
"""Kinetic temperatures beyond which no solid is; factors of thousand in time change them by a
million."""
MAX_EXCESS, ODD_EXCESS = 100.0, 3.0
"""The same, over a temperature that is known."""
SMOOTH = 0.5
"""Successive steps are so alike only where frames resolve velocities."""
MAX_ATOMS = 20_000
"""Neighbours are looked for in a part of larger systems."""


def check_lengths(positions: Array, cell: Array) -> list[str]:
    """Nearest neighbours of one frame, against what any solid or liquid has.

    Parameters
    ----------
    positions
        Positions [Å], shape ``(atom, xyz)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.

    Returns
    -------
    list[str]
        What is odd.

    Raises
    ------
    TrajectoryError
        When the unit cannot be Å; the message names the likely one.
    """
    fractions = positions @ np.linalg.inv(cell)
    places = (fractions - np.floor(fractions)) @ cell
    if len(places) < 2:  # noqa: PLR2004 - no neighbours
        return []
    distances, _ = cKDTree(places).query(places[:MAX_ATOMS], k=2)
    nearest = float(np.median(distances[:, 1]))
    density = len(places) / abs(float(np.linalg.det(cell)))
    if nearest >= MIN_NEIGHBOURS_A and MIN_DENSITY_A3 <= density <= MAX_DENSITY_A3:
        return []
    likely = [
        unit
        for unit, factor in LENGTH_UNITS_A.items()
        if USUAL_NEIGHBOURS_A[0] <= nearest * factor <= USUAL_NEIGHBOURS_A[1]
        and MIN_DENSITY_A3 <= density / factor**3 <= MAX_DENSITY_A3
    ]
    advice = " or ".join(f"--length-unit {unit}" for unit in likely)
    text = (
        f"nearest neighbours are {nearest:.3g} Å apart (median), with {density:.3g} atoms in 1 "
        "Å³; in solids these are 1 to 4 Å and 0.03 to 0.12"
    )
    if nearest < MIN_NEIGHBOURS_A or density > MAX_DENSITY_A3 or "pm" in likely:
        msg = f"{text}; give the unit of length: {advice or '--length-unit nm, pm or bohr'}"
        if np.abs(places).max() <= 1.0 < np.abs(cell).max():
            msg += ", or Cartesian positions if these are fractions of the cell"
        raise TrajectoryError(msg)
    return [f"{text}; is the unit of length right? {advice}".strip()]


def check_time(
    steps: Array, numbers: NDArray[np.int64], interval_fs: float, temperature_K: float | None
) -> list[str]:
    """Speed of the atoms between frames, against what a solid or liquid has.

    Parameters
    ----------
    steps
        Steps of unwrapped atoms [Å], shape ``(frame, atom, xyz)``.
    numbers
        Atomic numbers, shape ``(atom,)``.
    interval_fs
        Time between frames [fs].
    temperature_K
        Temperature [K]; None where it is not known.

    Returns
    -------
    list[str]
        What is odd.

    Raises
    ------
    TrajectoryError
        When the atoms are faster than any temperature allows.

    Notes
    -----
    The mean speed between two frames is never above the thermal speed, whatever the interval
    (Cauchy-Schwarz): ``m <dr²> / 3 k dt²`` is a lower bound of the temperature. The median
    over atoms is taken. It is near the temperature itself where successive steps are alike.
    """
    if not len(steps):
        return []
    steps = steps - steps.mean(axis=1, keepdims=True)
    squares = np.einsum("fax,fax->a", steps, steps) / len(steps)
    kinetic = EV_FS2_PER_U_A2 * atomic_masses[numbers] * squares / interval_fs**2
    bound_K = float(np.median(kinetic)) / (3.0 * BOLTZMANN_EV_K)
    speed = (
        f"with {interval_fs:g} fs between frames half of the atoms are faster than at "
        f"{bound_K:.3g} K"
    )
    most, odd = MAX_TEMPERATURE_K, ODD_TEMPERATURE_K
    if temperature_K is not None:
        most, odd = MAX_EXCESS * temperature_K, ODD_EXCESS * temperature_K
        speed += f" (the run is said to be at {temperature_K:g} K)"
    advice = "is this time in ps? Give the time between frames in fs as --dt-fs"
    if bound_K > most:
        msg = f"{speed}; {advice}, such as {1e3 * interval_fs:g}"
        raise TrajectoryError(msg)
    if bound_K > odd:
        return [f"{speed}; {advice}"]
    product = np.einsum("fax,fax->", steps[1:], steps[:-1])
    likeness = product / max(float(squares.sum()) * (len(steps) - 1), 1e-300)
    if 0.0 < bound_K < COLD_K and likeness > SMOOTH:
        text = (
            f"with {interval_fs:g} fs between frames the atoms are as slow as at {bound_K:.2g} "
            "K, though successive steps are alike; is the time between frames (--dt-fs) right, "
            f"or is it {interval_fs / 1e3:g} fs?"
        )
        return [text]
    return []
