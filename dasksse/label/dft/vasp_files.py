"""Files of VASP: input as text, output as numbers, trouble in what it prints."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.units import EV_A3_PER_GPA, virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

IncarValue = bool | int | float | str | tuple[bool | int | float | str, ...]

GPA_PER_KB = 0.1

SCF_TROUBLE = (
    "Error EDDDAV",
    "ERROR in EDDDAV",
    "EDDRMM: call to ZHEGV failed",
    "Sub-Space-Matrix is not hermitian",
    "BRMIX: very serious problems",
    "ERROR in subspace rotation",
    "EDDIAG: Call to routine",
    "EDWAV: internal error",
)
"""Messages of a self-consistency loop that went astray: another solver or mixing may help."""

OTHER_TROUBLE = (
    "POSMAP",
    "ZBRENT",
    "ZPOTRF",
    "ERROR RSPHER",
    "REAL_OPT",
    "SBESSELITER",
    "TOO FEW BANDS",
    "number of bands is not sufficient",
    "triple product of the basis vectors",
    "Error reading item",
    "VERY BAD NEWS",
    "internal error",
    "I REFUSE TO CONTINUE WITH THIS SICK JOB",
    "forrtl: severe",
    "SIGSEGV",
    "out of memory",
)
"""Messages that another solver does not help with."""

_UNCONVERGED = "EDIFF was not reached"
_SCF_LINE = re.compile(r"^\s*\w+\s*:\s*(\d+)\s+(\S+)\s+(\S+)\s+(\S+)", re.MULTILINE)


def incar_text(values: Mapping[str, IncarValue]) -> str:
    """INCAR, one key a line, in the order given."""
    return "".join(f"{key} = {_fortran(value)}\n" for key, value in values.items())


def _fortran(value: IncarValue) -> str:
    if isinstance(value, bool):
        return ".TRUE." if value else ".FALSE."
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, tuple):
        return " ".join(_fortran(part) for part in value)
    return str(value)


def kpoints_text(mesh: tuple[int, int, int]) -> str:
    """KPOINTS of a mesh that is centred at Gamma."""
    return f"centred at Gamma\n0\nGamma\n{mesh[0]} {mesh[1]} {mesh[2]}\n0 0 0\n"


def poscar_text(atoms: Atoms) -> str:
    """POSCAR of atoms that are grouped by element."""
    elements = elements_of(atoms)
    symbols = atoms.get_chemical_symbols()
    lines = [
        atoms.get_chemical_formula(),
        "1.0",
        *(_row(vector) for vector in atoms.cell.array),
        " ".join(elements),
        " ".join(str(symbols.count(element)) for element in elements),
        "Direct",
        *(_row(position) for position in atoms.get_scaled_positions()),
    ]
    return "\n".join(lines) + "\n"


def elements_of(atoms: Atoms) -> list[str]:
    """Symbols in the order in which they first appear."""
    return list(dict.fromkeys(atoms.get_chemical_symbols()))


def _row(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:20.16f}" for number in numbers)


@dataclass(frozen=True)
class Scf:
    """How the self-consistency loop ended.

    Attributes
    ----------
    steps
        Number of steps.
    changes_eV
        Last change of the free energy and of the band-structure energy [eV].
    is_converged
        VASP's criterion was met.
    """

    steps: int
    changes_eV: tuple[float, float]
    is_converged: bool


def read_scf(folder: Path, *, max_steps: int, tolerance_eV: float) -> Scf:
    """How the loop ended, from OSZICAR and OUTCAR.

    VASP 6 says in OUTCAR whether it converged. VASP 5 says the same whether it converged or
    came to its last step, so there both changes of the last step are compared with EDIFF.

    Parameters
    ----------
    folder
        Folder of the run.
    max_steps
        NELM.
    tolerance_eV
        EDIFF [eV].

    Raises
    ------
    OSError, ValueError
        A file is not there, or holds no step.
    """
    rows = _SCF_LINE.findall((folder / "OSZICAR").read_text())
    if not rows:
        msg = "OSZICAR holds no step to self-consistency"
        raise ValueError(msg)
    number, _, energy_change, band_change = rows[-1]
    changes = float(energy_change), float(band_change)
    is_small = max(abs(change) for change in changes) <= tolerance_eV
    said_so = _UNCONVERGED in (folder / "OUTCAR").read_text(errors="replace")
    is_converged = not said_so and (int(number) < max_steps or is_small)
    return Scf(int(number), changes, is_converged)


def read_vasprun(
    path: Path, n_atoms: int, volume_A3: float
) -> tuple[float, Array, Array | None]:
    """Free energy [eV], forces [eV/Å] in POSCAR's order, and virial [eV] of a single point.

    Parameters
    ----------
    path
        ``vasprun.xml``, complete.
    n_atoms
        Number of atoms.
    volume_A3
        Volume of the cell [Å³].

    Returns
    -------
    tuple[float, Array, Array | None]
        Energy, forces of shape ``(atom, xyz)``, and virial of shape ``(3, 3)``, None when VASP
        computed no stress.

    Raises
    ------
    OSError, ParseError, ValueError
        The file is not there, is cut off, or holds no finished calculation.

    Notes
    -----
    The energy is ``e_fr_energy``, TOTEN in OUTCAR: the forces are its derivative. The energy
    extrapolated to zero smearing, ``e_0_energy``, has other derivatives. VASP prints minus the
    stress, in kB (its line ``in kB``), so that the virial ``-V * sigma`` has VASP's sign and
    equals the line ``Total`` above it.
    """
    step = ET.parse(path).find("calculation[last()]")  # noqa: S314 - VASP wrote it
    energy = None if step is None else step.find("energy/i[@name='e_fr_energy']")
    if step is None or energy is None:
        msg = "vasprun.xml holds no finished calculation"
        raise ValueError(msg)
    forces = _table(step, "forces")
    if forces is None or forces.shape != (n_atoms, 3):
        msg = f"vasprun.xml holds no forces of {n_atoms} atoms"
        raise ValueError(msg)
    pressure_kB = _table(step, "stress")
    if pressure_kB is None:
        return float(energy.text or "nan"), forces, None
    stress = -pressure_kB * GPA_PER_KB * EV_A3_PER_GPA
    return float(energy.text or "nan"), forces, virial_from_stress(stress, volume_A3)


def _table(step: ET.Element, name: str) -> Array | None:
    table = step.find(f"varray[@name='{name}']")
    if table is None:
        return None
    return np.array([[float(word) for word in (row.text or "").split()] for row in table])


@dataclass(frozen=True)
class Trouble:
    """A message that means no good label.

    Attributes
    ----------
    message
        The line, in VASP's words.
    is_scf
        Another solver or mixing may help.
    """

    message: str
    is_scf: bool


def find_trouble(log: Path) -> Trouble | None:
    """First message of trouble in what VASP printed."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        for messages, is_scf in ((SCF_TROUBLE, True), (OTHER_TROUBLE, False)):
            if any(message.lower() in line.lower() for message in messages):
                return Trouble(line.strip(" |*\t"), is_scf)
    return None
