"""The crystal a configuration asks for, ready for MD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import StructureError
from dasksse.structures.charges import check_neutral, composition_of, formula
from dasksse.structures.disorder import order_structure
from dasksse.structures.occupancy import find_sublattices
from dasksse.structures.periodic import closest_pair
from dasksse.structures.read import (
    NOTES,
    SITE_NAMES,
    check_elements,
    read_structure,
    to_atoms,
)
from dasksse.structures.variants import make_supercell, permute_cations, scale_volume

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ase import Atoms
    from pymatgen.core import Structure

    from dasksse.config.schema import SystemSection

CLOSEST_ATOMS_A = 0.7
"""No two atoms of a crystal are closer than this [Å]; the hydrogen molecule has 0.74."""


@dataclass(frozen=True)
class BuiltSystem:
    """A crystal as the configuration asks for it.

    Attributes
    ----------
    name
        Name of the system.
    atoms
        Periodic crystal, atoms in the order of the type map and, within a type, of the file.
    notes
        What was changed on the way, for the report.
    min_distance_A
        Distance of the closest pair of atoms [Å].
    """

    name: str
    atoms: Atoms
    notes: tuple[str, ...]
    min_distance_A: float


def build_system(
    section: SystemSection, *, type_map: Sequence[str], base_dir: Path, mobile_species: str
) -> BuiltSystem:
    """Read, order, repeat and scale a crystal.

    Parameters
    ----------
    section
        The system as configured.
    type_map
        Elements in the order of the model's types.
    base_dir
        Folder that the path of the structure starts from.
    mobile_species
        Element that must be there, as its motion is asked for.

    Returns
    -------
    BuiltSystem
        The crystal; equal sections give equal crystals.

    Raises
    ------
    StructureError
        When the structure cannot be read, holds elements without type or no mobile species,
        has partial occupancies and no ``ordering``, is charged, or has atoms too close.

    Notes
    -----
    Ions are ordered in the cell of the file, before it is repeated; cations are permuted in
    the supercell, so that each supercell has a random ordering of its own.
    """
    where = f"system {section.name!r} ({section.structure})"
    structure = read_structure(section.structure, base_dir=base_dir)
    check_elements(structure, type_map, where=where)
    if mobile_species not in composition_of(structure):
        msg = (
            f"{where}: no {mobile_species} (mobile_species) in "
            f"{formula(composition_of(structure))}"
        )
        raise StructureError(msg)
    notes = list(structure.properties[NOTES])
    try:
        structure, ordering_notes = _with_whole_atoms(structure, section)
        notes += ordering_notes
        atoms = make_supercell(to_atoms(structure), section.supercell)
        if (cations := section.cation_ordering) is not None:
            atoms = permute_cations(atoms, cations)
            where_to = "all their sites" if cations.site is None else f"site {cations.site}"
            notes.append(
                f"{', '.join(cations.species)} permuted over {where_to}, seed {cations.seed}"
            )
        atoms = scale_volume(atoms, section.volume_scale)
        distance = _checked_distance(atoms)
    except StructureError as error:
        msg = f"{where}: {error}"
        raise StructureError(msg) from error
    atoms = _by_type(atoms, type_map)
    return BuiltSystem(section.name, atoms, tuple(notes), distance)


def _with_whole_atoms(
    structure: Structure, section: SystemSection
) -> tuple[Structure, tuple[str, ...]]:
    """Neutral structure without partial occupancies, and what was done to get it."""
    sublattices = find_sublattices(structure)
    if sublattices and section.ordering is None:
        sites = ", ".join(f"{s.name} ({formula(s.occupancies)})" for s in sublattices)
        msg = (
            f"partial occupancies on {sites}; add `ordering:` to the system, for example "
            "`ordering: {method: ewald}`"
        )
        raise StructureError(msg)
    charges = section.ordering.charges if section.ordering else None
    notes: tuple[str, ...] = ()
    if sublattices and section.ordering is not None:
        ordered = order_structure(structure, section.ordering)
        structure, notes = ordered.structure, ordered.notes
        if ordered.energy_eV is not None:
            notes = (*notes, f"point-charge energy of the cell: {ordered.energy_eV:.3f} eV")
    return structure, (*notes, *check_neutral(structure, charges))


def _checked_distance(atoms: Atoms) -> float:
    """Distance [Å] of the closest pair; refused when no crystal has atoms so close."""
    first, second, distance = closest_pair(atoms.positions, atoms.cell.array)
    if distance < CLOSEST_ATOMS_A:
        symbols = atoms.get_chemical_symbols()
        msg = (
            f"atoms {first} ({symbols[first]}) and {second} ({symbols[second]}) are "
            f"{distance:.3g} Å apart, below {CLOSEST_ATOMS_A:g} Å; look for split sites, a "
            "wrong cell or volume_scale"
        )
        raise StructureError(msg)
    return distance


def _by_type(atoms: Atoms, type_map: Sequence[str]) -> Atoms:
    """Atoms in the order of the type map, the order of the file kept within a type."""
    types = [list(type_map).index(symbol) for symbol in atoms.get_chemical_symbols()]
    ordered = atoms[np.argsort(types, kind="stable")]
    del ordered.arrays[SITE_NAMES]
    return ordered
