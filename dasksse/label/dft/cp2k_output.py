"""Reads what CP2K prints: results, steps to self-consistency, and why it gave up."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.units import Bohr, Hartree

from dasksse.errors import ConfigError, LabelError, ScfError
from dasksse.label.contract import Answer
from dasksse.process import ranks_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "CP2K"
ABORT = "[ABORT]"
"""In the box that tells why CP2K stopped itself."""
_NOT_CONVERGED = "SCF run NOT converged"
_TAIL_LINES = 5
_BOX, _END_OF_BOX = " *", " ***"
_FIGURE_COLUMNS = 10
"""Width of the stick figure on the left of the box."""

_NUMBER = r"\s+([-+]?\d+\.\d+(?:[ED][-+]?\d+)?)"
_ENERGY = re.compile(rf"ENERGY\| Total FORCE_EVAL .*\[(?:a\.u\.|hartree)\]:?{_NUMBER}")
# up to 2024: "atom kind element x y z"; since 2025: "FORCES| atom x y z norm"
_FORCE = re.compile(
    rf"^ *(?:\d+ +\d+ +[A-Z][a-z]?|FORCES\| +\d+){_NUMBER}{_NUMBER}{_NUMBER}", re.MULTILINE
)
_STRESS_UNIT = re.compile(r"STRESS\| Analytical stress tensor \[(\w+)\]")
_STRESS_ROW = re.compile(rf"STRESS\| +[xyz]{_NUMBER}{_NUMBER}{_NUMBER}")
_RANKS = re.compile(r"GLOBAL\| Total number of message passing processes\s+(\d+)")
_STEPS = re.compile(r"SCF run converged in\s+(\d+)|SCF loop after reaching\s+(\d+)")

_GPA_PER_ATOMIC_UNIT = 29421.010799
"""CP2K's own factor (CODATA 2006), so that what it prints becomes what it computed."""
_GPA = {"GPa": 1.0, "bar": 1.0e-4, "kbar": 0.1}
"""Units of the stress, which differ by version."""


@dataclass(frozen=True)
class AtomicUnits:
    """Results as CP2K computes them.

    Attributes
    ----------
    energy
        Energy [Hartree].
    forces
        Forces [Hartree/Bohr], shape ``(atom, xyz)``.
    stress
        Stress [Hartree/Bohr³], positive under compression, shape ``(lattice, xyz)``; None
        where it was not asked for.
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None

    def answer(self, volume_A3: float) -> Answer:
        """In the units of labels; the virial has the sign of this stress."""
        virial = None if self.stress is None else self.stress * volume_A3 * Hartree / Bohr**3
        return Answer(self.energy * Hartree, self.forces * (Hartree / Bohr), virial)


def scf_steps(text: str) -> int:
    """Steps to self-consistency, over all loops of an output."""
    return sum(int(one or other) for one, other in _STEPS.findall(text))


def check_ranks(text: str, prefix: Sequence[str]) -> None:
    """Check that the ranks which a prefix starts work together.

    A launcher of another MPI library than CP2K's starts copies that know nothing of each other.

    Parameters
    ----------
    text
        Output of one calculation.
    prefix
        Words before CP2K's command.

    Raises
    ------
    ConfigError
        They do not.
    """
    found = _RANKS.search(text)
    if found and int(found[1]) == 1 and ranks_of(prefix) > 1:
        msg = (
            f"prefix {' '.join(prefix)!r} starts {ranks_of(prefix)} copies of CP2K that each "
            f"run alone: {prefix[0]} ({shutil.which(prefix[0])}) is not the launcher of CP2K's "
            "MPI library; give the full path of the right one (a virtual environment has an "
            "mpirun for LAMMPS), or another `srun --mpi`"
        )
        raise ConfigError(msg)


def check_converged(text: str, folder: Path) -> None:
    """Check that self-consistency was reached.

    Versions before 2024 only warn when it was not, and go on.

    Parameters
    ----------
    text
        Output of one calculation.
    folder
        Its folder.

    Raises
    ------
    ScfError
        It was not.
    """
    if _NOT_CONVERGED in text:
        before, _, _ = text.partition(_NOT_CONVERGED)
        table, _, _ = before.rpartition("\n")[0].partition("Leaving inner SCF loop")
        raise ScfError(NAME, 1, str(folder), f"{_NOT_CONVERGED}\n{_last_lines(table)}")


def explain(text: str) -> str:
    """Why CP2K stopped: the message in its box, or the last lines where there is none."""
    _, abort, rest = text.rpartition(ABORT)
    if not abort:
        return _last_lines(text)
    words: list[str] = []
    for line in rest.splitlines()[1:]:
        if not line.startswith(_BOX) or line.startswith(_END_OF_BOX):
            break
        words += line[_FIGURE_COLUMNS:].strip(" *").split()
    return " ".join(words)


def _last_lines(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-_TAIL_LINES:])


def read_output(text: str, n_atoms: int, folder: Path, *, virial: bool) -> AtomicUnits:
    """Energy, forces and stress of an output.

    Parameters
    ----------
    text
        Output of one calculation.
    n_atoms
        Atoms it has.
    folder
        Its folder.
    virial
        The stress is wanted.

    Raises
    ------
    LabelError
        Something is not there.
    """
    energy = _ENERGY.search(text)
    forces = _FORCE.findall(text, energy.end()) if energy else []
    if energy is None or len(forces) != n_atoms:
        told = f"energy and {n_atoms} forces expected, found {len(forces)} forces"
        raise LabelError(NAME, 0, str(folder), f"{told}\n{explain(text)}")
    stress = _read_stress(text, folder) if virial else None
    return AtomicUnits(_float(energy[1]), _array(forces), stress)


def _read_stress(text: str, folder: Path) -> NDArray[np.float64]:
    unit = _STRESS_UNIT.search(text)
    rows = _STRESS_ROW.findall(text, unit.end())[:3] if unit else []
    if unit is None or unit[1] not in _GPA or len(rows) != len("xyz"):
        found = f"in {unit[1]}, {len(rows)} rows" if unit else "none"
        msg = f"a stress tensor in {', '.join(_GPA)} expected, found {found}"
        raise LabelError(NAME, 0, str(folder), msg)
    return _array(rows) * (_GPA[unit[1]] / _GPA_PER_ATOMIC_UNIT)


def _array(rows: list[tuple[str, str, str]]) -> NDArray[np.float64]:
    return np.array([[_float(x) for x in row] for row in rows])


def _float(text: str) -> float:
    return float(text.replace("D", "E"))
