"""Energy of an NVE run, on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.correlated_mean import correlated_mean
from dasksse.study.usable import broke_off
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dasksse.records import Json, UnitContext

FEWEST_FRAMES = 20
"""A drift needs at least so many frames after equilibration."""


def measure(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Drift and fluctuation of the total energy of one run.

    Parameters
    ----------
    payload
        Keys of :meth:`dasksse.study.bench.Bench.frames`.
    context
        Of the unit.

    Returns
    -------
    dict
        ``left_out``, empty or why there are no numbers, and those of
        :func:`energy_conservation`.
    """
    from dasksse.loop.stages.diffusion import read_runs

    runs, damaged = read_runs(payload, context)
    if not runs:
        return {"left_out": "; ".join(damaged) or "the run was lost"}
    run = runs[0]
    if end := broke_off(run, payload["n_planned"]):
        return {"left_out": end}
    potential, temperature_K = run.scalars("energy"), run.scalars("temperature")
    rest = run.n_frames - run.n_equilibration
    if potential is None or temperature_K is None or rest < FEWEST_FRAMES:
        return {"left_out": f"{rest} frames after equilibration, needed: {FEWEST_FRAMES}"}
    return {
        "left_out": "",
        "n_atoms": len(run.numbers),
        "length_ps": (rest - 1) * run.frame_interval_ps,
        **energy_conservation(
            potential[run.n_equilibration :],
            temperature_K[run.n_equilibration :],
            n_atoms=len(run.numbers),
            interval_ps=run.frame_interval_ps,
        ),
    }


def energy_conservation(
    potential_eV: NDArray[np.float64],
    temperature_K: NDArray[np.float64],
    *,
    n_atoms: int,
    interval_ps: float,
) -> dict[str, float]:
    """Drift and fluctuation of the total energy.

    Parameters
    ----------
    potential_eV
        Potential energy of the cell in each frame [eV], shape ``(frame,)``.
    temperature_K
        Kinetic temperature of each frame [K], of ``3 n_atoms - 3`` degrees of freedom.
    n_atoms
        Atoms of the cell.
    interval_ps
        Time between frames [ps].

    Returns
    -------
    dict
        ``drift_meV_atom_ps`` and its standard error ``drift_err_meV_atom_ps``, a least-squares
        line with the correlation of what is left; ``fluctuation_meV_atom``, standard deviation
        about that line; ``kinetic_fluctuation_meV_atom``, that of the kinetic energy;
        ``heating_K_ns`` and its error, the drift as heat of a harmonic crystal, 3 k_B per atom;
        ``mean_temperature_K``.
    """
    kinetic_eV = 0.5 * (3 * n_atoms - 3) * BOLTZMANN_EV_K * temperature_K
    total = 1000.0 * (potential_eV + kinetic_eV) / n_atoms
    time_ps = interval_ps * np.arange(len(total))
    slope, level = np.polyfit(time_ps, total - total.mean(), 1)
    rest = total - total.mean() - slope * time_ps - level
    fluctuation = float(np.std(rest, ddof=2))
    inefficiency = correlated_mean(rest).inefficiency
    error = fluctuation * (inefficiency / len(rest)) ** 0.5 / float(np.std(time_ps))
    K_per_meV = 1.0 / (3.0 * 1000.0 * BOLTZMANN_EV_K)
    return {
        "drift_meV_atom_ps": float(slope),
        "drift_err_meV_atom_ps": error,
        "fluctuation_meV_atom": fluctuation,
        "kinetic_fluctuation_meV_atom": float(1000.0 * np.std(kinetic_eV) / n_atoms),
        "heating_K_ns": 1000.0 * float(slope) * K_per_meV,
        "heating_err_K_ns": 1000.0 * error * K_per_meV,
        "mean_temperature_K": float(np.mean(temperature_K)),
    }
