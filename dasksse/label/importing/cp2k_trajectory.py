"""Files that CP2K writes beside its output: positions, forces and cells of each step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.geometry import cellpar_to_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SAME_ENERGY_HARTREE = 1e-9
"""Energies in trajectories have ten digits behind the point."""
SAME_CELL_A = 1e-3
"""Cell vectors in the output have three."""
_STEP = re.compile(r"i =\s*(\d+),.*E =\s*(\S+)")


@dataclass(frozen=True)
class Cp2kFrame:
    """One step of a trajectory.

    Attributes
    ----------
    positions
        Cartesian positions [Å], shape ``(atom, xyz)``.
    forces
        Forces [hartree/bohr], shape ``(atom, xyz)``; empty where there are none.
    cell
        Cell vectors as rows [Å]; None where there is no file of cells.
    """

    positions: Array
    forces: Array
    cell: Array | None


@dataclass(frozen=True)
class Cp2kTrajectory:
    """Steps and their energies [hartree], shape ``(step,)``."""

    energies: Array
    frames: tuple[Cp2kFrame, ...]

    def at_energy(self, energy_hartree: float) -> Cp2kFrame | None:
        """The step of an energy; None when there is none."""
        if not self.frames:
            return None
        nearest = int(np.abs(self.energies - energy_hartree).argmin())
        is_same = abs(self.energies[nearest] - energy_hartree) < SAME_ENERGY_HARTREE
        return self.frames[nearest] if is_same else None


def read_trajectory(folder: Path, project: str) -> Cp2kTrajectory:
    """Positions, forces and cells of a project; empty when there is no file of positions.

    Raises
    ------
    ValueError, IndexError
        When a file is cut off or of another format.
    """
    positions = folder / f"{project}-pos-1.xyz"
    if not project or not positions.is_file():
        return Cp2kTrajectory(np.empty(0), ())
    forces = {step: array for step, _, array in _read_xyz(folder / f"{project}-frc-1.xyz")}
    cells = _read_cells(folder / f"{project}-1.cell")
    steps = list(_read_xyz(positions))
    return Cp2kTrajectory(
        np.array([energy for _, energy, _ in steps]),
        tuple(
            Cp2kFrame(array, forces.get(step, np.empty((0, 3))), cells.get(step))
            for step, _, array in steps
        ),
    )


def _read_xyz(path: Path) -> Iterator[tuple[int, float, Array]]:
    """Step, energy [hartree] and table of each frame; a last one cut short is left out."""
    if not path.is_file():
        return
    with path.open() as stream:
        for line in stream:
            n_atoms = int(line)
            match = _STEP.search(next(stream, ""))
            rows = [next(stream, "").split()[1:4] for _ in range(n_atoms)]
            if match is None or len(rows[-1]) < 3:  # noqa: PLR2004 - x, y and z
                return
            yield int(match[1]), float(match[2]), np.array(rows, dtype=np.float64)


def _read_cells(path: Path) -> dict[int, Array]:
    """Cell vectors as rows [Å] by step."""
    if not path.is_file():
        return {}
    rows = np.atleast_2d(np.loadtxt(path))
    return {int(row[0]): row[2:11].reshape(3, 3) for row in rows}


def exact_cell(
    printed: Sequence[Sequence[float]], cellpar: Sequence[float], input_file: Path
) -> tuple[Array, str]:
    """Cell vectors as rows [Å] with all their digits, and why not, if not.

    Parameters
    ----------
    printed
        Vectors with three digits behind the point.
    cellpar
        Three lengths [Å] and three angles [degree], with six digits.
    input_file
        The input, which may be missing.
    """
    rough = np.array(printed, dtype=np.float64)
    candidates = [_input_cell(input_file)]
    if len(cellpar) == 6:  # noqa: PLR2004 - three lengths and three angles
        candidates.append(cellpar_to_cell(cellpar))
    for cell in candidates:
        if cell is not None and np.allclose(cell, rough, rtol=0.0, atol=SAME_CELL_A):
            return np.asarray(cell), ""
    return rough, (
        "its cell is printed with three digits only: put the input beside the output, with the "
        "cell as A, B, C or as ABC and angles in Å"
    )


def _input_cell(path: Path) -> Array | None:
    """Cell of an input, where it stands there in plain numbers in Å."""
    if not path.is_file():
        return None
    # MOTION/PRINT has a section of this name too, without vectors
    sections = re.findall(r"(?ims)^\s*&CELL\b(.*?)^\s*&END\b", path.read_text(errors="replace"))
    values: dict[str, list[float]] = {}
    pattern = r"(?im)^\s*(ABC|ALPHA_BETA_GAMMA|[ABC])\s+(?:\[angstrom\]\s*)?([-+.\dEe \t]+)$"
    for name, words in re.findall(pattern, "\n".join(sections)):
        values[name.upper()] = [float(word) for word in words.split()]
    if {"A", "B", "C"} <= values.keys():
        return np.array([values[name] for name in "ABC"])
    if "ABC" in values:
        angles = values.get("ALPHA_BETA_GAMMA", [90.0, 90.0, 90.0])
        return np.asarray(cellpar_to_cell([*values["ABC"], *angles]))
    return None
