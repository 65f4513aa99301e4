"""VASP's vasprun.xml of a molecular dynamics run."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.scalars import scalar_columns
from dasksse.intake.source import Hints, Piece, Source, frames_per_piece
from dasksse.intake.species import element_numbers
from dasksse.intake.text import TextFile
from dasksse.units import BOLTZMANN_EV_K, EV_A3_PER_GPA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    _Step = tuple[Array, Array, dict[str, float]]

TITLE = "VASP vasprun.xml"
_MD = "0"
"""IBRION of molecular dynamics."""
GPA_PER_KBAR = 0.1


def open_vasprun(path: Path, hints: Hints) -> Source:
    """Open a file; POTIM is the time between frames, TEBEG the temperature.

    The energy of each frame is ``e_fr_energy``, under PSTRESS without its ``P V``. The kinetic
    energy gives the temperature, of three degrees of freedom less than coordinates.

    Raises
    ------
    TrajectoryError
        When it holds no finished ionic step or a species is unknown.
    """
    file = TextFile(path)
    parts: dict[str, ET.Element] = {}
    notes: list[str] = []
    steps = _steps(file, parts, notes)
    first = next(steps, None)
    if first is None or "atominfo" not in parts:
        msg = f"{path}: unfinished or no vasprun.xml: it holds no finished ionic step"
        raise TrajectoryError(msg)
    atoms = parts["atominfo"].findall("array[@name='atoms']/set/rc")
    numbers = element_numbers(
        [(row[0].text or "").strip() for row in atoms], path, hints.species
    )
    tags = _tags(parts)
    is_md = tags.get("IBRION", _MD) == _MD
    if not is_md:
        notes.append(f"IBRION = {tags['IBRION']}: not molecular dynamics, POTIM is no time")
    begin, end = (float(tags.get(name, "nan")) for name in ("TEBEG", "TEEND"))
    return Source(
        path,
        TITLE,
        numbers,
        _pieces(chain([first], steps), len(numbers)),
        file.bytes_read,
        interval_fs=float(tags["POTIM"]) if is_md and "POTIM" in tags else None,
        temperature_K=begin if begin == end and is_md else None,
        notes=notes,
    )


def _steps(file: TextFile, parts: dict[str, ET.Element], notes: list[str]) -> Iterator[_Step]:
    """Fractions, cell and scalars of every finished ionic step."""
    tags: dict[str, str] = {}
    n_steps = 0
    try:
        for _, element in ET.iterparse(file):  # noqa: S314 - no entities are resolved
            if element.tag in {"incar", "parameters", "atominfo"}:
                parts[element.tag] = element
            elif element.tag == "calculation":
                cell = _rows(element, "structure/crystal/varray[@name='basis']")
                fractions = _rows(element, "structure/varray[@name='positions']")
                if cell is not None and fractions is not None:
                    n_steps += 1
                    tags = tags or _tags(parts)
                    pstress_kB = float(tags.get("PSTRESS", "0"))
                    yield fractions, cell, _scalars(element, cell, len(fractions), pstress_kB)
                element.clear()
    except ET.ParseError as error:
        notes.append(f"cut off after {n_steps} finished steps ({file.cut_off or error})")
    except ValueError as error:
        msg = f"{file.path}: cannot be read as vasprun.xml: {error}"
        raise TrajectoryError(msg) from error


def _pieces(steps: Iterator[_Step], n_atoms: int) -> Iterator[Piece]:
    size = frames_per_piece(n_atoms)
    waiting: list[_Step] = []
    for step in steps:
        waiting.append(step)
        if len(waiting) == size:
            yield _piece(waiting)
            waiting = []
    if waiting:
        yield _piece(waiting)


def _piece(steps: list[_Step]) -> Piece:
    fractions, cells = (np.array([step[index] for step in steps]) for index in (0, 1))
    scalars = scalar_columns([found for _, _, found in steps])
    return Piece(fractions @ cells, cells, scalars=scalars)


def _scalars(
    step: ET.Element, cell: Array, n_atoms: int, pstress_kB: float
) -> dict[str, float]:
    """Temperature, pressure and energy; NaN where VASP wrote none, or stars."""
    enthalpy, kinetic = (
        _number(step.findtext(f"energy/i[@name='{name}']", "nan"))
        for name in ("e_fr_energy", "kinetic")
    )
    volume_eV_GPa = abs(float(np.linalg.det(cell))) * EV_A3_PER_GPA
    stress_kB = _rows(step, "varray[@name='stress']")
    found = {
        "temperature": 2.0 * kinetic / (3 * max(n_atoms - 1, 1) * BOLTZMANN_EV_K),
        "energy": enthalpy - pstress_kB * GPA_PER_KBAR * volume_eV_GPa,
    }
    if stress_kB is not None and stress_kB.any():  # ISIF = 0: not computed, zeros are written
        found["pressure"] = float(np.trace(stress_kB)) / 3.0 * GPA_PER_KBAR  # VASP's sign
    return found


def _tags(parts: dict[str, ET.Element]) -> dict[str, str]:
    """Input tags; what the user set goes before the full list."""
    tags: dict[str, str] = {}
    for name in ("parameters", "incar"):
        if name in parts:
            tags |= {i.attrib["name"]: (i.text or "").strip() for i in parts[name].iter("i")}
    return tags


def _rows(step: ET.Element, where: str) -> Array | None:
    table = step.find(where)
    if table is None:
        return None
    return np.array([[_number(word) for word in (row.text or "").split()] for row in table])


def _number(word: str) -> float:
    """A number; NaN for the stars that Fortran writes where one has no room."""
    return float("nan") if "*" in word else float(word)
