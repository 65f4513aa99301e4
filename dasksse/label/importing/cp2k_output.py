"""Labels from the output of CP2K, and from the trajectories of MD and relaxations beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from ase.units import Bohr, Hartree

from dasksse.errors import StoreError
from dasksse.label.importing.cp2k_trajectory import Cp2kTrajectory, exact_cell, read_trajectory
from dasksse.label.importing.labelled_frames import (
    UNKNOWN_FUNCTIONAL,
    LabelledFrame,
    Reading,
    group_frames,
)
from dasksse.units import EV_A3_PER_GPA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_FLOAT = r"\s+([-+]?\d+\.\d+(?:[Ee][-+]?\d+)?)"
_ENERGY = re.compile(r"^ ENERGY\| Total FORCE_EVAL .*?" + _FLOAT + r"\s*$")
_ATOM = re.compile(r"^\s+\d+\s+\d+\s+[A-Z][a-z]?\s+(\d+)" + 3 * _FLOAT)
_FORCE = re.compile(r"^(?:\s+\d+\s+\d+\s+\S+| FORCES\|\s+\d+)" + 3 * _FLOAT)
_STRESS = re.compile(r"^ (?:STRESS\| \w+ stress tensor|STRESS TENSOR) \[(GPa|bar)\]")
_STRESS_ROW = re.compile(r"^ (?:STRESS\|)?\s+[xyzXYZ]" + 3 * _FLOAT)
_CELL = re.compile(r"^ CELL\| Vector [abc] \[angstrom\]:?" + 3 * _FLOAT + r".*=" + _FLOAT)
_ANGLE = re.compile(r"^ CELL\| Angle .*\[degree\]:?" + _FLOAT)
_FORCE_HEADS = (" ATOMIC FORCES in [a.u.]", " FORCES| Atomic forces [hartree/bohr]")
_BY_NAMES = {
    ("PADE",): "LDA",
    ("MGGA_X_SCAN", "MGGA_C_SCAN"): "SCAN",
    ("MGGA_X_R2SCAN", "MGGA_C_R2SCAN"): "r2SCAN",
}
_BAR_PER_GPA = {"GPa": 1.0, "bar": 1e4}


@dataclass
class _Step:
    """One evaluation of energy and forces."""

    energy_hartree: float
    is_converged: bool
    numbers: list[int]
    positions: list[list[float]]
    cell: list[list[float]]
    cellpar: list[float]
    forces: list[list[float]] = field(default_factory=list)
    stress: list[list[float]] = field(default_factory=list)
    stress_unit: str = "GPa"


@dataclass
class _Output:
    """What was read so far."""

    steps: list[_Step] = field(default_factory=list)
    is_converged: bool = True
    numbers: list[int] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    cell: list[list[float]] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    angles: list[float] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    functionals: list[str] = field(default_factory=list)
    dispersion: str = ""
    is_complete: bool = False


def read_cp2k(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of every step whose SCF converged.

    Single points need only the output, with forces printed (``FORCE_EVAL/PRINT/FORCES``). The
    later steps of MD and relaxations take positions, cells and, where the output has none,
    forces from ``PROJECT-pos-1.xyz``, ``PROJECT-1.cell`` and ``PROJECT-frc-1.xyz`` beside it.

    Parameters
    ----------
    path
        What CP2K printed.
    type_map
        Not used: the file names its elements.

    Raises
    ------
    StoreError
        When it cannot be read, or was ended before its first step was done.

    Notes
    -----
    CP2K's total energy holds ``-T S`` of smeared electrons: the forces are its derivative. Its
    stress is positive under compression: the virial is ``V`` times it. The cell is printed with
    three digits; it is rebuilt from the input beside it, or from lengths and angles.
    """
    del type_map
    output = _Output()
    try:
        with path.open(errors="replace") as stream:
            for line in stream:
                _read_line(line, stream, output)
        trajectory = read_trajectory(path.parent, output.facts.get("GLOBAL| Project name", ""))
    except (OSError, ValueError, IndexError) as error:
        msg = f"{path}: cannot be read as output of CP2K: {type(error).__name__} {error}"
        raise StoreError(msg) from error
    if not output.steps:
        msg = f"{path}: unfinished: CP2K printed no energy"
        raise StoreError(msg)
    if output.facts.get("CELL| Periodicity", "XYZ") != "XYZ":
        msg = f"{path}: not periodic in all directions"
        raise StoreError(msg)
    version = output.facts.get("CP2K| version string:", "").removeprefix("CP2K version").strip()
    cutoff_Ry = 2.0 * float(output.facts.get("QS| Density cutoff [a.u.]:", "nan"))
    labels = group_frames(
        _labelled(path, output, trajectory),
        source=f"CP2K {version}, CUTOFF {cutoff_Ry:g} Ry",
        functional=_functional(output),
    )
    unfinished = f"the job did not end by itself; {len(output.steps)} energies"
    return Reading(labels, () if output.is_complete else (unfinished,))


_FACTS = (
    "CP2K| version string:",
    "CP2K| Input file name",
    "GLOBAL| Project name",
    "GLOBAL| Run type",
    "QS| Density cutoff [a.u.]:",
    "CELL| Periodicity",
    "MD| Ensemble type",
)


def _read_line(line: str, rest: Iterator[str], output: _Output) -> None:
    if line.startswith(" ENERGY| Total FORCE_EVAL"):
        _begin_step(line, output)
    elif "ATOMIC COORDINATES IN ANGSTROM" in line.upper():
        rows = list(_table(rest, _ATOM))
        output.numbers = [int(row[0]) for row in rows]
        output.positions = [row[1:] for row in rows]
    elif line.startswith(_FORCE_HEADS) and output.steps:
        output.steps[-1].forces = list(_table(rest, _FORCE))
    elif _STRESS.match(line) and output.steps:
        unit = _STRESS.match(line)
        output.steps[-1].stress_unit = unit[1] if unit else "GPa"
        output.steps[-1].stress = list(_table(rest, _STRESS_ROW))[:3]
    elif "SCF run converged" in line or "SCF run NOT converged" in line:
        output.is_converged = "NOT" not in line
    elif "PROGRAM ENDED AT" in line:
        output.is_complete = True
    else:
        _read_header(line, output)


def _table(lines: Iterator[str], pattern: re.Pattern[str]) -> Iterator[list[float]]:
    """Rows of the next table; up to three lines of heading stand before the first one."""
    n_headings = 0
    for line in lines:
        match = pattern.match(line)
        if match:
            n_headings = 3
            yield [float(word) for word in match.groups()]
        elif n_headings < 3:  # noqa: PLR2004 - blank line, names of columns, blank line
            n_headings += 1
        else:
            return


def _begin_step(line: str, output: _Output) -> None:
    match = _ENERGY.match(line)
    output.steps.append(
        _Step(
            float(match[1]) if match else np.nan,
            output.is_converged,
            output.numbers,
            output.positions,
            output.cell[-3:],
            [*output.lengths[-3:], *output.angles[-3:]],
        )
    )
    output.is_converged, output.positions = True, []  # the atoms of the next step have moved


def _read_header(line: str, output: _Output) -> None:
    cell, angle = _CELL.match(line), _ANGLE.match(line)
    if cell:
        output.cell.append([float(word) for word in cell.groups()[:3]])
        output.lengths.append(float(cell[4]))
    elif angle:
        output.angles.append(float(angle[1]))
    elif line.startswith(" FUNCTIONAL| ") and re.match(r"^ FUNCTIONAL\| \w+:\s*$", line):
        output.functionals.append(line.split("|")[1].strip(" :\n"))
    elif line.startswith(" FUNCTIONAL| PBEsol"):
        output.functionals = ["PBEsol" if n == "PBE" else n for n in output.functionals]
    elif line.startswith(" vdW POTENTIAL|"):
        output.dispersion += line
    else:
        for fact in _FACTS:
            if line.startswith(f" {fact}"):
                output.facts[fact] = line.removeprefix(f" {fact}").strip()


def _functional(output: _Output) -> str:
    """Functional in dasksse's names; ``unknown`` for all others."""
    names = tuple(dict.fromkeys(output.functionals))
    name = _BY_NAMES.get(names, names[0] if names in {("PBE",), ("PBEsol",)} else "")
    if not name or ("DFT-D3" not in output.dispersion and output.dispersion):
        return UNKNOWN_FUNCTIONAL
    damping = "+D3" if "BJ Damping" in output.dispersion else "+D3(0)"
    return name + damping if output.dispersion else name


def _labelled(
    path: Path, output: _Output, trajectory: Cp2kTrajectory
) -> Iterator[LabelledFrame]:
    has_moving_cell = output.facts.get("MD| Ensemble type", "").startswith("NP") or (
        output.facts.get("GLOBAL| Run type") == "CELL_OPT"
    )
    input_file = path.parent / output.facts.get("CP2K| Input file name", "")
    for number, step in enumerate(output.steps):
        moved = trajectory.at_energy(step.energy_hartree)
        n_atoms = len(step.numbers)
        cell, reason = exact_cell(step.cell, step.cellpar, input_file)
        if moved is not None and moved.cell is not None:
            cell, reason = moved.cell, ""
        elif has_moving_cell and number:
            reason = "its cell is not in the file PROJECT-1.cell beside the output"
        positions = np.array(step.positions) if moved is None else moved.positions
        forces = np.array(step.forces) if step.forces or moved is None else moved.forces
        if positions.shape != (n_atoms, 3):
            reason = "its positions are not in the file PROJECT-pos-1.xyz beside the output"
        elif forces.shape != (n_atoms, 3):
            reason = "no forces: switch FORCE_EVAL/PRINT/FORCES on"
        elif not step.is_converged:
            reason = "SCF not converged"
        empty = np.full((n_atoms, 3), np.nan)
        stress_GPa = np.array(step.stress) / _BAR_PER_GPA[step.stress_unit]
        volume = abs(float(np.linalg.det(cell)))
        yield LabelledFrame(
            step.numbers,
            positions if positions.shape == empty.shape else empty,
            cell,
            step.energy_hartree * Hartree,
            forces * Hartree / Bohr if forces.shape == empty.shape else empty,
            volume * EV_A3_PER_GPA * stress_GPa if stress_GPa.shape == (3, 3) else None,
            reason,
        )
