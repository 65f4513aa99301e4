"""What pw.x of Quantum ESPRESSO reads and prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import Bohr, Ry

from dasksse.errors import LabelError, ScfError
from dasksse.label.contract import Answer
from dasksse.label.dft.program import LOG
from dasksse.label.dft.settings import k_mesh
from dasksse.process import read_log_tail
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.espresso import EspressoSettings
    from dasksse.label.dft.upf import Upf

PROGRAM = "pw.x"
INPUT = "espresso.pwi"
SCRATCH = "scratch"

Namelist = Literal["control", "system", "electrons", "ions", "cell", "fcp", "rism"]
Value = bool | int | float | str

INPUT_DFT = {
    "PBE": "PBE",
    "PBEsol": "PBESOL",
    "LDA": "PZ",
    "SCAN": "SCAN",
    "r2SCAN": "XC-000I-000I-000I-000I-497L-498L",  # numbers of Libxc; pw.x 7.0 or later
}
"""Names of functionals in pw.x."""

_NO_TEXT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([ed][-+]?\d+)?|\.(true|false)\.", re.IGNORECASE)
"""Numbers and logicals in Fortran's spelling: YAML takes 1e-8 and 1d-8 for text."""

_NOT_CONVERGED = "convergence NOT achieved"
_HARD_TO_SOLVE = re.compile(
    rf"{_NOT_CONVERGED}[^\n]*|Error in routine \w*(?:c_bands|diaghg|cegter|regter|ppcg)"
)
"""What pw.x says when another mixing or solver may help."""
_ERROR = re.compile(r"%{20,}\s*\n(.*?)\n\s*%{20,}", re.DOTALL)
_ENERGY = re.compile(r"^!\s+total energy\s*=\s*(\S+)\s*Ry", re.MULTILINE)
_STEPS = re.compile(r"convergence has been achieved in\s+(\d+)\s+iterations")
_FORCE = re.compile(r"force =(.*)")
_NUMBER = re.compile(r"-?\d+\.\d+")


def write_input(
    atoms: Atoms,
    settings: EspressoSettings,
    upfs: Mapping[str, Upf],
    files: Mapping[str, str],
    *,
    stress: bool,
) -> str:
    """Input of a single point, the user's namelists merged over ours.

    Parameters
    ----------
    atoms
        Periodic configuration; its order is kept.
    settings
        Checked settings.
    upfs, files
        Header, and name in the folder of the calculation, of the pseudopotential by element;
        species stand in the order of ``files``.
    stress
        Ask for the stress.
    """
    namelists = _namelists(atoms, settings, upfs, stress=stress)
    lines = []
    for name in get_args(Namelist):  # in the order that pw.x asks for
        values = namelists.get(name, {}) | settings.namelists.get(name, {})
        if values:
            lines += [f"&{name.upper()}"]
            lines += [f"  {key} = {_fortran(value)}" for key, value in values.items()]
            lines += ["/"]
    lines += ["ATOMIC_SPECIES"]
    lines += [
        f"{element} {atomic_masses[atomic_numbers[element]]:.4f} {file}"
        for element, file in files.items()
    ]
    mesh = k_mesh(atoms.cell.array, settings.kspacing_per_A)
    if mesh == (1, 1, 1):
        lines += ["K_POINTS gamma"]  # real wavefunctions: half the work
    else:
        lines += ["K_POINTS automatic", "{} {} {} 0 0 0".format(*mesh)]
    lines += ["CELL_PARAMETERS angstrom", *map(_row, atoms.cell.array)]
    lines += ["ATOMIC_POSITIONS angstrom"]
    symbols = atoms.get_chemical_symbols()
    lines += [f"{s} {_row(x)}" for s, x in zip(symbols, atoms.positions, strict=True)]
    return "\n".join([*lines, *settings.cards.splitlines()]) + "\n"


def _namelists(
    atoms: Atoms, settings: EspressoSettings, upfs: Mapping[str, Upf], *, stress: bool
) -> dict[Namelist, dict[str, Value]]:
    ratio = 4.0 if {upf.kind for upf in upfs.values()} == {"NC"} else 8.0
    system: dict[str, Value] = {
        "ibrav": 0,
        "nat": len(atoms),
        "ntyp": len(upfs),
        "ecutwfc": settings.ecutwfc_Ry,
        "ecutrho": settings.ecutrho_Ry or ratio * settings.ecutwfc_Ry,
        "nosym": True,
        "occupations": "fixed",
    }
    if settings.smearing_eV:
        system |= {
            "occupations": "smearing",
            "smearing": "gaussian",
            "degauss": settings.smearing_eV / Ry,
        }
    if {upf.functional for upf in upfs.values()} != {settings.bare_functional}:
        system["input_dft"] = INPUT_DFT[settings.bare_functional]
    return {
        "control": {
            "calculation": "scf",
            "pseudo_dir": "./",
            "outdir": f"./{SCRATCH}",
            "disk_io": "none",
            "tprnfor": True,
            "tstress": stress,
        },
        "system": system,
        "electrons": {
            "conv_thr": settings.energy_tolerance_eV / Ry,
            "electron_maxstep": settings.max_scf_steps,
            "mixing_beta": settings.mixing_beta,
        },
    }


def _fortran(value: Value) -> str:
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, str) and not _NO_TEXT.fullmatch(value):
        return "'" + value.replace("'", "''") + "'"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _row(vector: NDArray[np.float64]) -> str:
    return "{:.12f} {:.12f} {:.12f}".format(*vector)


def read_output(folder: Path, atoms: Atoms, *, virial: bool) -> Answer:
    """Energy, forces, virial and steps from what pw.x printed.

    The energy is the one marked by ``!``: with smearing it holds the term -TS, so that the
    forces are its derivative. Printed are 1e-8 Ry, 1e-8 Ry/bohr and 1e-8 Ry/bohr³; the stress
    is positive under compression, so the virial is volume times it.

    Parameters
    ----------
    folder
        Folder of the calculation.
    atoms
        Configuration that was computed.
    virial
        Read the stress too.

    Raises
    ------
    ScfError
        Self-consistency was not reached.
    LabelError
        Energy, forces or stress are not there.
    """
    text = (folder / LOG).read_text(errors="replace")
    if _NOT_CONVERGED in text:  # and yet it went on, as `scf_must_converge` can tell it to
        raise ScfError(PROGRAM, 0, str(folder), _NOT_CONVERGED)
    energy = _ENERGY.search(text)
    printed_forces = _FORCE.findall(text.partition("Forces acting on atoms")[2])
    forces = _rows(printed_forces[: len(atoms)], len(atoms))
    stress = _rows(text.partition("total   stress")[2].splitlines()[1:4], 3)
    if energy is None or forces is None or (virial and stress is None):
        what = "energy" if energy is None else "forces" if forces is None else "stress"
        tail = f"no {what} in {LOG}\n{read_log_tail(folder / LOG)}"
        raise LabelError(PROGRAM, 0, str(folder), tail)
    steps = _STEPS.search(text)
    return Answer(
        float(energy[1]) * Ry,
        forces * Ry / Bohr,
        virial_from_stress(-stress * Ry / Bohr**3, atoms.get_volume())
        if virial and stress is not None
        else None,
        scf_steps=None if steps is None else int(steps[1]),
    )


def _rows(lines: Sequence[str], n_rows: int) -> NDArray[np.float64] | None:
    """First three numbers of each line; None when some are missing."""
    rows = [[float(number) for number in _NUMBER.findall(line)[:3]] for line in lines]
    if [len(row) for row in rows] != [3] * n_rows:
        return None
    return np.array(rows)


def explain(error: LabelError) -> LabelError:
    """A new error, in pw.x's own words where it said why it stopped.

    Parameters
    ----------
    error
        What running it raised.

    Returns
    -------
    LabelError
        A :class:`ScfError` where another mixing or solver may help.
    """
    log = error.workdir / LOG
    text = log.read_text(errors="replace") if log.exists() else ""
    block = _ERROR.search(text)
    hard = _HARD_TO_SOLVE.search(text)
    words = block[1] if block else hard[0] if hard else ""
    kind = ScfError if hard else LabelError
    said = " ".join(words.split()) or error.log_tail
    return kind(error.program, error.returncode, str(error.workdir), said)
