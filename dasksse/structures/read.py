"""Crystals from files and from the Materials Project."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ase import Atoms
    from pymatgen.core import Structure

SITE_NAMES = "site_names"
"""Key of the site property, and of the ASE array, with all names of a site, space-separated:
the labels of everything that shares it and its Wyckoff symbol."""

NOTES = "notes"
"""Key of the structure property with what the user should know about the reading."""

MAX_OCCUPANCY_SUM = 1.05
"""Occupancies of one site that add up to more than one are scaled down below this sum."""

_DATABASE_ID = re.compile(r"(mp|mvc)-\d+")

_HARMLESS = re.compile(
    r"Skipping relative stoichiometry check|Issues encountered while parsing"
    r"|No _symmetry_equiv_pos_as_xyz type key found|No structure parsed for section",
    re.IGNORECASE,
)
"""Remarks of the CIF parser that ask nothing of the user."""

_NO_ELEMENTS = re.compile(r"Elements in POSCAR cannot be determined")

_SAME_PLACE = 1e-3
"""Fractions closer than this are the same place of a CIF."""


def read_structure(source: str, *, base_dir: Path) -> Structure:
    """Crystal from a file or the Materials Project, partial occupancies kept.

    Parameters
    ----------
    source
        Path of a file (absolute or relative to ``base_dir``) in any format pymatgen or ASE
        reads, or an id such as ``mp-696138``, which needs mp-api and MP_API_KEY.
    base_dir
        Folder that relative paths start from.

    Returns
    -------
    pymatgen.core.Structure
        Structure without oxidation states. Site labels are those of the file; the site
        property ``site_names`` lists all names of each site; ``properties["notes"]`` holds
        what the parser changed (tuple of str).

    Raises
    ------
    StructureError
        When the file is missing, unreadable, has no periodic cell, or the database cannot be
        asked.
    """
    if _DATABASE_ID.fullmatch(source):
        structure = _from_materials_project(source)
    else:
        path = (base_dir / Path(source).expanduser()).resolve()
        if not path.is_file():
            msg = f"structure {source!r}: there is no file {path}"
            raise StructureError(msg)
        structure = _from_file(path)
    structure.remove_oxidation_states()
    structure.properties.setdefault(NOTES, ())
    if SITE_NAMES not in structure.site_properties:
        structure.add_site_property(SITE_NAMES, [str(label) for label in structure.labels])
    return structure


def check_elements(structure: Structure, type_map: Sequence[str], *, where: str) -> None:
    """Refuse elements the model has no type for.

    Parameters
    ----------
    structure
        Crystal to check.
    type_map
        Elements of the model.
    where
        What to call the structure in the error.

    Raises
    ------
    StructureError
        Naming the elements and the type map.
    """
    missing = sorted({e.symbol for e in structure.composition.elements} - set(type_map))
    if missing:
        msg = (
            f"{where}: {', '.join(missing)} of {structure.composition.reduced_formula} is not "
            f"in type_map {list(type_map)}; add it there or take another structure"
        )
        raise StructureError(msg)


def to_atoms(structure: Structure) -> Atoms:
    """Ordered structure as ASE atoms, site names in the array ``site_names``.

    Parameters
    ----------
    structure
        Structure with one element on each site.
    """
    from ase import Atoms

    atoms = Atoms(
        [site.specie.symbol for site in structure],
        scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )
    names = structure.site_properties.get(SITE_NAMES, structure.labels)
    atoms.new_array(SITE_NAMES, np.array([str(name) for name in names]))
    return atoms


def _from_file(path: Path) -> Structure:
    readers = _CIF_READERS if ".cif" in path.name.lower() else _OTHER_READERS
    reasons = []
    for name, reader in readers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", message=_NO_ELEMENTS.pattern)
                return reader(path)
        # Parsers of a dozen formats fail in as many ways; each reason goes to the user.
        except Exception as error:  # noqa: BLE001
            reasons.append(f"{name}: {str(error).strip() or type(error).__name__}")
    msg = f"cannot read a crystal from {path}\n  " + "\n  ".join(reasons)
    raise StructureError(msg)


def _read_cif(path: Path) -> Structure:
    from pymatgen.io.cif import CifParser

    parser = CifParser(path, occupancy_tolerance=MAX_OCCUPANCY_SUM)
    structures = parser.parse_structures(primitive=False, on_error="raise")
    structure = structures[0]
    notes = [" ".join(note.split()) for note in parser.warnings if not _HARMLESS.search(note)]
    if len(structures) > 1:
        notes.append(f"{len(structures)} structures in the file, the first one taken")
    structure.properties[NOTES] = tuple(f"{path.name}: {note}" for note in notes)
    names = _site_names(next(iter(parser.as_dict().values())))
    structure.add_site_property(
        SITE_NAMES, [" ".join(names.get(label, [label])) for label in structure.labels]
    )
    return structure


def _site_names(block: Mapping[str, Any]) -> dict[str, list[str]]:
    """All names of the place each label stands at; pymatgen keeps one label a place."""
    labels = block["_atom_site_label"]
    places = np.array(
        [
            [float(re.sub(r"\(.*", "", value)) for value in block[f"_atom_site_fract_{axis}"]]
            for axis in "xyz"
        ]
    ).T
    wyckoff = list(_wyckoff_symbols(block, len(labels)))
    names: dict[str, list[str]] = defaultdict(list)
    for label, place in zip(labels, places, strict=True):
        offset = places - place
        shared = np.flatnonzero(np.abs(offset - np.rint(offset)).max(axis=1) < _SAME_PLACE)
        found = [labels[i] for i in shared] + [wyckoff[i] for i in shared if wyckoff[i]]
        names[label] += [name for name in dict.fromkeys(found) if name not in names[label]]
    return names


def _wyckoff_symbols(block: Mapping[str, Any], n_rows: int) -> Iterator[str]:
    """Wyckoff symbols such as ``4d``, from one column or from letter and multiplicity."""
    letters = block.get("_atom_site_Wyckoff_label") or block.get("_atom_site_Wyckoff_symbol")
    counts = block.get("_atom_site_symmetry_multiplicity") or [""] * n_rows
    for letter, count in zip(letters or [""] * n_rows, counts, strict=True):
        yield f"{count}{letter}" if len(letter) == 1 else letter


def _read_with_pymatgen(path: Path) -> Structure:
    from pymatgen.core import Structure

    return Structure.from_file(path)


def _read_with_ase(path: Path) -> Structure:
    from ase.io import read
    from pymatgen.core import Structure

    images = read(path, index=":")
    atoms = images[-1]
    if atoms.cell.rank != len(atoms.cell):
        msg = "the file holds no periodic cell"
        raise ValueError(msg)
    structure = Structure(
        atoms.cell.array, atoms.get_chemical_symbols(), atoms.get_scaled_positions(wrap=True)
    )
    if len(images) > 1:
        structure.properties[NOTES] = (
            f"{path.name}: {len(images)} frames in the file, the last one taken",
        )
    return structure


_CIF_READERS: dict[str, Callable[[Path], Structure]] = {"CIF parser": _read_cif}
_OTHER_READERS: dict[str, Callable[[Path], Structure]] = {
    "pymatgen": _read_with_pymatgen,
    "ASE": _read_with_ase,
}


def _from_materials_project(material_id: str) -> Structure:
    key = os.environ.get("MP_API_KEY")
    try:
        from mp_api.client import MPRester
    except ImportError as error:
        msg = (
            f"structure {material_id!r}: the Materials Project client is not installed; "
            "`pip install 'dasksse[materials-project]'` and set MP_API_KEY, or give a file"
        )
        raise StructureError(msg) from error
    if not key:
        msg = (
            f"structure {material_id!r}: set the environment variable MP_API_KEY to your key "
            "from materialsproject.org, or give a file"
        )
        raise StructureError(msg)
    try:
        with MPRester(key) as client:
            return client.get_structure_by_material_id(material_id)
    except Exception as error:
        msg = f"structure {material_id!r}: the Materials Project answered: {error}"
        raise StructureError(msg) from error
