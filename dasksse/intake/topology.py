"""Files that say which atoms a trajectory has: data files of LAMMPS, structure files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.species import element_numbers, element_of_mass
from dasksse.intake.text import TextFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.intake.source import Hints

_SECTIONS = ("Masses", "Atoms", "Velocities", "Bonds", "Angles", "Dihedrals", "Impropers")
_SECTION = re.compile(
    rf"^({'|'.join(_SECTIONS)}|\w+ Coeffs|Ellipsoids|Lines)\b[ \t]*(?:#[ \t]*(\S*))?.*$",
    re.MULTILINE,
)
_TYPE_COLUMN = {
    "atomic": 1,
    "charge": 1,
    "sphere": 1,
    "full": 2,
    "molecular": 2,
    "bond": 2,
    "angle": 2,
}
_COUNTED_STYLE = {5: "atomic", 8: "atomic", 7: "full", 10: "full"}
"""Style by number of columns, where that is not the same for several."""


def is_lammps_data(path: Path) -> bool:
    """Whether a file is a data file of LAMMPS."""
    head = next(TextFile(path).blocks(), b"")[:4096]
    return bool(re.search(rb"^\s*\d+\s+atom types\b", head, re.MULTILINE))


def read_masses(path: Path) -> dict[str, int]:
    """Atomic number of each type in a data file of LAMMPS, by its mass.

    Raises
    ------
    TrajectoryError
        When the mass of a type is that of no element.
    """
    elements: dict[str, int] = {}
    for row in _section(path, "Masses")[1]:
        number = element_of_mass(float(row[1]))
        if number is None:
            msg = (
                f"{path}: Masses: {row[1]} of type {row[0]} is the mass of no element; give "
                f"the elements of all types, as --species-map {row[0]}=Li"
            )
            raise TrajectoryError(msg)
        elements[row[0]] = number
    return elements


def read_atoms(path: Path, hints: Hints) -> NDArray[np.int64]:
    """Atomic numbers of all atoms, in the order of their ids where they have some.

    Parameters
    ----------
    path
        Data file of LAMMPS, or any structure file that ASE reads.
    hints
        ``species`` goes before masses.

    Raises
    ------
    TrajectoryError
        When the file cannot be read, or a type has no known element.
    """
    if not is_lammps_data(path):
        return _read_structure(path)
    style, rows = _section(path, "Atoms")
    style = style or _COUNTED_STYLE.get(len(rows[0]) if rows else 0, "")
    column = _TYPE_COLUMN.get(style)
    if column is None:
        msg = (
            f"{path}: Atoms: the style is not known; write one of {', '.join(_TYPE_COLUMN)} "
            "behind the title, such as: Atoms # charge"
        )
        raise TrajectoryError(msg)
    species: Mapping[str, int] = hints.species or read_masses(path)
    order = np.argsort([int(row[0]) for row in rows])
    return element_numbers([rows[i][column] for i in order], path, species)


def _section(path: Path, title: str) -> tuple[str, list[list[str]]]:
    """What stands behind the title of a section, and the words of its rows."""
    text = b"".join(TextFile(path).blocks()).decode(errors="replace")
    marks = list(_SECTION.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        if mark[1] == title:
            rows = text[mark.end() : following.start() if following else None].splitlines()
            words = [row.split("#")[0].split() for row in rows]
            return mark[2] or "", [row for row in words if row]
    return "", []


def _read_structure(path: Path) -> NDArray[np.int64]:
    from ase.io import read

    try:
        return np.asarray(read(path).numbers, dtype=np.int64)
    except Exception as error:
        msg = (
            f"--topology {path}: neither a data file of LAMMPS nor a structure that ASE can "
            f"read: {error}"
        )
        raise TrajectoryError(msg) from error
