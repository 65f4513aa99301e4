"""Labels from VASP's ``vasprun.xml``, plain or gzipped: single points, relaxations and MD."""

from __future__ import annotations

import gzip
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import StoreError
from dasksse.label.importing.labelled_frames import (
    LabelledFrame,
    Reading,
    element_numbers,
    group_frames,
)
from dasksse.label.importing.vasp_settings import functional_of, source_of
from dasksse.units import EV_A3_PER_GPA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

KBAR_EV_A3 = 0.1 * EV_A3_PER_GPA


@dataclass(frozen=True)
class _Header:
    """What stands before the first ionic step."""

    numbers: list[int]
    tags: dict[str, str]
    potentials: list[str]
    version: str


def read_vasprun(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of every ionic step that reached self-consistency.

    Parameters
    ----------
    path
        The file; ``.gz`` is unpacked.
    type_map
        Not used: the file names its elements.

    Raises
    ------
    StoreError
        When it cannot be read, or was ended before its first step was done.

    Notes
    -----
    The energy is ``e_fr_energy``, the one the forces are the derivative of. Under ``PSTRESS``
    the file holds the enthalpy, so ``P V`` is taken off. VASP's stress is positive under
    compression: the virial is ``V`` times it.
    """
    del type_map
    frames: list[LabelledFrame] = []
    parts: dict[str, ET.Element] = {}
    header: _Header | None = None
    notes: tuple[str, ...] = ()
    try:
        with _opened(path) as stream:
            for _, element in ET.iterparse(stream):  # noqa: S314 - no entities are resolved
                if element.tag in {"generator", "incar", "parameters", "atominfo"}:
                    parts[element.tag] = element
                elif element.tag == "calculation":
                    header = header or _read_header(parts, path)
                    frames.append(_read_step(element, header))
                    element.clear()
    except ET.ParseError as error:
        notes = (f"cut off after {len(frames)} finished steps ({error})",)
    except (OSError, EOFError, ValueError, AttributeError, KeyError) as error:
        msg = f"{path}: cannot be read as vasprun.xml: {type(error).__name__} {error}"
        raise StoreError(msg) from error
    if header is None:
        msg = f"{path}: unfinished or no vasprun.xml: it holds no finished ionic step"
        raise StoreError(msg)
    labels = group_frames(
        frames,
        source=source_of(header.version, header.tags.get("ENMAX", "nan")),
        functional=functional_of(header.tags, header.potentials),
    )
    return Reading(labels, notes)


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _read_header(parts: dict[str, ET.Element], path: Path) -> _Header:
    tags: dict[str, str] = {}
    for name in ("parameters", "incar"):  # what the user set is not always among parameters
        if name in parts:
            tags |= {i.attrib["name"]: (i.text or "").strip() for i in parts[name].iter("i")}
    atoms = parts["atominfo"].findall("array[@name='atoms']/set/rc")
    kinds = parts["atominfo"].findall("array[@name='atomtypes']/set/rc")
    symbols = [(row[0].text or "").strip() for row in atoms]
    version = parts["generator"].findtext("i[@name='version']", "")
    potentials = [(row[4].text or "").strip() for row in kinds]
    return _Header(element_numbers(symbols, path), tags, potentials, version)


def _read_step(step: ET.Element, header: _Header) -> LabelledFrame:
    cell = _rows(step, "structure/crystal/varray[@name='basis']")
    if cell is None:
        msg = "a step holds no structure"
        raise ValueError(msg)
    fractional = _rows(step, "structure/varray[@name='positions']")
    forces = _rows(step, "varray[@name='forces']")
    stress_kB = _rows(step, "varray[@name='stress']")
    volume = abs(float(np.linalg.det(cell)))
    enthalpy = _number(step.findtext("energy/i[@name='e_fr_energy']", "nan"))
    energy = enthalpy - float(header.tags.get("PSTRESS", "0")) * KBAR_EV_A3 * volume
    n_atoms = len(header.numbers)
    return LabelledFrame(
        header.numbers,
        np.full((n_atoms, 3), np.nan) if fractional is None else fractional @ cell,
        cell,
        energy,
        np.full((n_atoms, 3), np.nan) if forces is None else forces,
        # ISIF = 0: not computed, zeros are written
        None if stress_kB is None or not stress_kB.any() else volume * KBAR_EV_A3 * stress_kB,
        "no forces" if forces is None else _trouble(step, header.tags),
    )


def _trouble(step: ET.Element, tags: dict[str, str]) -> str:
    """Why the step is no label; empty for a good one."""
    values = step.findall("scstep/energy/i[@name='e_fr_energy']")
    energies = [_number(value.text or "nan") for value in values]
    if not energies:
        return "no electronic step: predicted by VASP's own machine-learned force field"
    if len(energies) < int(tags.get("NELM", "60")) or len(energies) == 1:
        return ""
    change, limit = abs(energies[-1] - energies[-2]), float(tags.get("EDIFF", "1e-4"))
    if change <= limit:
        return ""
    return f"SCF not converged: {len(energies)} steps, last change {change:.1e} eV"


def _rows(step: ET.Element, where: str) -> Array | None:
    table = step.find(where)
    if table is None:
        return None
    return np.array([[_number(word) for word in (row.text or "").split()] for row in table])


def _number(word: str) -> float:
    return float("nan") if "*" in word else float(word)
