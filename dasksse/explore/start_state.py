"""The engine's state at step 0: rotated box, wrapped positions, thermal velocities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units
from ase.data import atomic_masses, chemical_symbols

from dasksse.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.records import Frames

_ASE_TIME_PER_PS = 1000.0 * units.fs


def rotated_box(
    cell: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower triangular ``L`` with positive diagonal and orthogonal ``Q``: ``cell = L @ Q``.

    Parameters
    ----------
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.

    Returns
    -------
    tuple[NDArray[np.float64], NDArray[np.float64]]
        ``L`` [Å], the box LAMMPS wants, and ``Q``, both ``(3, 3)``. A left-handed cell gives
        an improper rotation, which no energy notices.
    """
    orthogonal, upper = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(upper))
    return upper.T * signs, (orthogonal * signs).T


def thermal_velocities(
    numbers: NDArray[np.int64], temperature_K: float, seed: int
) -> NDArray[np.float64]:
    """Maxwell-Boltzmann velocities [Å/ps] at rest as a whole and exactly at a temperature.

    Parameters
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    temperature_K
        Kinetic temperature with ``3 N - 3`` degrees of freedom [K].
    seed
        Seed, 0 or larger.

    Returns
    -------
    NDArray[np.float64]
        Shape ``(atom, xyz)``; zero for a single atom.
    """
    masses = atomic_masses[numbers][:, None]
    rng = np.random.default_rng(seed)
    velocities = rng.normal(size=(len(numbers), 3)) / np.sqrt(masses)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    kinetic = float((masses * velocities**2).sum())
    if len(numbers) > 1:
        wanted = (3 * len(numbers) - 3) * units.kB * temperature_K
        velocities *= np.sqrt(wanted / kinetic)
    return np.asarray(velocities * _ASE_TIME_PER_PS)


def start_state(
    start: Frames, type_map: Sequence[str], *, temperature_K: float, seed: int
) -> dict[str, NDArray[Any]]:
    """State from which the engine starts a run.

    Parameters
    ----------
    start
        One configuration; positions outside the cell get image counts.
    type_map
        Elements in the order of the engine's types.
    temperature_K
        Temperature of the velocities [K].
    seed
        Their seed.

    Returns
    -------
    dict[str, NDArray[Any]]
        ``step``; box ``low``, ``high`` and ``tilt`` (xy, xz, yz) [Å]; ``types`` from 1;
        ``x`` [Å] in the rotated box, ``v`` [Å/ps], ``image``.

    Raises
    ------
    StructureError
        When ``start`` is not one frame, has no volume, or has elements that are not in the
        type map.
    """
    if len(start) != 1:
        msg = f"MD starts from one configuration, got {len(start)}"
        raise StructureError(msg)
    if not start.volumes_A3[0] > 0.0:
        msg = f"the cell has no volume: {start.cells[0].tolist()}"
        raise StructureError(msg)
    symbols = [chemical_symbols[number] for number in start.numbers]
    unknown = sorted(set(symbols) - set(type_map))
    if unknown:
        msg = f"elements {', '.join(unknown)} are not in the type map {', '.join(type_map)}"
        raise StructureError(msg)
    box, _ = rotated_box(start.cells[0])
    fractions = np.linalg.solve(start.cells[0].T, start.positions[0].T).T
    images = np.floor(fractions)
    return {
        "step": np.array(0),
        "low": np.zeros(3),
        "high": np.diag(box),
        "tilt": np.array([box[1, 0], box[2, 0], box[2, 1]]),
        "types": np.array([list(type_map).index(symbol) + 1 for symbol in symbols]),
        "x": (fractions - images) @ box,
        "v": thermal_velocities(start.numbers, temperature_K, seed),
        "image": images.astype(int),
    }
