"""Elements behind the names that files give to atoms: symbols, types, masses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.formula import Formula

from dasksse.errors import ConfigError, TrajectoryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MASS_ERROR_U = 0.1
"""Masses in inputs are rounded; cobalt and nickel are 0.24 u apart."""


def parse_species_map(text: str) -> dict[str, int]:
    """Atomic numbers by type from ``1=Li,2=P,3=S``, or from ``Li,P,S`` for types 1, 2, 3.

    Raises
    ------
    ConfigError
        When an entry is no element, or the two forms are mixed.
    """
    entries = text.replace(",", " ").replace(":", "=").split()
    pairs = [entry.split("=") for entry in entries]
    if not any("=" in entry for entry in entries):
        pairs = [[str(number), entry] for number, entry in enumerate(entries, start=1)]
    if not pairs or any(len(p) < 2 or p[1] not in atomic_numbers or not p[0] for p in pairs):  # noqa: PLR2004 - type and element
        msg = (
            f"--species-map {text!r}: give the element of each type, as 1=Li,2=P,3=S or, in "
            "the order of the types, as Li,P,S"
        )
        raise ConfigError(msg)
    return {name: atomic_numbers[symbol] for name, symbol in pairs}


def element_numbers(
    names: Iterable[str], where: Path, species: Mapping[str, int] | None = None
) -> NDArray[np.int64]:
    """Atomic numbers of atoms by their names in a file.

    Parameters
    ----------
    names
        Symbols, or types that ``species`` knows.
    where
        The file, for messages.
    species
        Atomic numbers by name; goes before symbols.

    Raises
    ------
    TrajectoryError
        When a name is no element.
    """
    names = list(names)
    known = {**atomic_numbers, **(species or {})}
    unknown = sorted({name for name in names if not known.get(name)})
    if unknown:
        msg = (
            f"{where}: species {', '.join(map(repr, unknown))} is no chemical element; say "
            f"which it is, as --species-map {','.join(f'{name}=Li' for name in unknown)}"
        )
        raise TrajectoryError(msg)
    return np.array([known[name] for name in names], dtype=np.int64)


def element_of_mass(mass_u: float) -> int | None:
    """Atomic number of the element of a mass [u]; None when none is near."""
    number = int(np.nanargmin(np.abs(atomic_masses - mass_u)))
    is_near = number > 0 and abs(atomic_masses[number] - mass_u) < MASS_ERROR_U
    return number if is_near else None


def formula_of(numbers: NDArray[np.int64]) -> str:
    """Formula of all atoms, such as *Li20Ge2P4S24*."""
    formula = Formula.from_list([chemical_symbols[number] for number in numbers])
    return f"{formula:metal}"
