"""Model deviation: how much the forces of an ensemble differ, per atom and per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_LEADING_COLUMNS = 7
"""Step, then max, min, mean of the virial's and of the forces' deviation."""


def parse_deviations(text: str, n_atoms: int) -> dict[int, NDArray[np.float64]]:
    """Per-atom force deviations by step, from the file DeePMD's pair style writes.

    Parameters
    ----------
    text
        Rows of the file; comments and rows cut short (a crash) are left out.
    n_atoms
        Number of atoms; rows of runs with another number are left out.

    Returns
    -------
    dict[int, NDArray[np.float64]]
        Step -> deviation ``sqrt(<|f_i - <f_i>|²>)`` [eV/Å] in the order of atom ids, shape
        ``(atom,)``. Where a step comes twice, the last row counts.
    """
    rows: dict[int, NDArray[np.float64]] = {}
    for line in text.splitlines(keepends=True):
        columns = line.split()
        is_whole = line.endswith("\n") and len(columns) == _LEADING_COLUMNS + n_atoms
        if is_whole and not line.lstrip().startswith("#"):
            rows[int(columns[0])] = np.array(columns[_LEADING_COLUMNS:], dtype=float)
    return rows


def deviation_scalars(
    atom_deviation: NDArray[np.float64], numbers: NDArray[np.int64], type_map: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Maximum, minimum and mean deviation of each frame, over all atoms and per species.

    Parameters
    ----------
    atom_deviation
        Deviation of each atom's force [eV/Å], shape ``(frame, atom)``.
    numbers
        Atomic numbers, shape ``(atom,)``.
    type_map
        Elements to report, also those the system does not contain (their values are NaN), so
        that all systems of a run give the same names.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        ``deviation_max``, ``deviation_min``, ``deviation_avg`` over all atoms, and the same
        with ``_<element>`` behind it per species [eV/Å], each of shape ``(frame,)``.
    """
    reductions: dict[str, Callable[..., NDArray[np.float64]]] = {
        "deviation_max": np.max,
        "deviation_min": np.min,
        "deviation_avg": np.mean,
    }
    groups = {"": np.full(len(numbers), fill_value=True)}
    groups |= {f"_{element}": numbers == atomic_numbers[element] for element in type_map}
    return {
        f"{name}{suffix}": (
            reduce(atom_deviation[:, members], axis=1)
            if members.any()
            else np.full(len(atom_deviation), np.nan)
        )
        for suffix, members in groups.items()
        for name, reduce in reductions.items()
    }
