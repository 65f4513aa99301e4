"""Units of a framework, such as PS4: how far a turn of its unit can carry an atom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from scipy.spatial.distance import pdist

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOND_STRETCH = 1.25
"""Atoms are bonded up to this times the sum of their covalent radii."""
_IONS = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba")
_ION_NUMBERS = [atomic_numbers[symbol] for symbol in _IONS]
"""Elements that tie no units together: their bonds have no direction."""


def turn_reaches(
    numbers: NDArray[np.int64], positions: NDArray[np.floating], cell: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Largest distance that a turn of its unit can carry each atom, about any atom of it.

    Parameters
    ----------
    numbers
        Atomic numbers of the framework, shape ``(atom,)``.
    positions
        One frame [Å], shape ``(atom, xyz)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.

    Returns
    -------
    NDArray[np.float64]
        Largest distance within the unit of each atom [Å], shape ``(atom,)``. It is 0 for an
        atom without bonds and in a network through the whole crystal, which cannot turn.
    """
    atoms = Atoms(numbers, positions, cell=cell, pbc=True)
    radii = BOND_STRETCH * covalent_radii[numbers]
    radii[np.isin(numbers, _ION_NUMBERS)] = 0.0
    i, j, boxes = neighbor_list("ijS", atoms, radii)
    bonds: list[list[tuple[int, NDArray[np.int64]]]] = [[] for _ in numbers]
    for one, other, box in zip(i.tolist(), j.tolist(), boxes, strict=True):
        bonds[one].append((other, box))
    units, crossed = _grow(bonds)
    closes = (crossed[j] == crossed[i] + boxes).all(axis=1)
    endless = set(i[~closes].tolist())
    whole = positions + crossed @ cell
    reaches = np.zeros(len(numbers))
    for unit in units:
        if len(unit) > 1 and endless.isdisjoint(unit):
            reaches[unit] = pdist(whole[unit]).max()
    return reaches


def _grow(
    bonds: list[list[tuple[int, NDArray[np.int64]]]],
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Atoms of each unit, and the box in which each atom is next to its unit's first one."""
    crossed = np.zeros((len(bonds), 3), dtype=np.int64)
    seen: set[int] = set()
    units = []
    for first in range(len(bonds)):
        if first in seen:
            continue
        unit = [first]
        seen.add(first)
        for atom in unit:  # grows as it is walked along
            for other, box in bonds[atom]:
                if other not in seen:
                    seen.add(other)
                    unit.append(other)
                    crossed[other] = crossed[atom] + box
        units.append(unit)
    return units, crossed
