"""What ABACUS reads (INPUT, STRU, KPT) and writes (running_scf.log)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import Bohr, Ry

from dasksse.errors import LabelError, ScfError
from dasksse.label.contract import Answer
from dasksse.label.dft.program import LOG
from dasksse.label.dft.settings import k_mesh
from dasksse.process import read_log_tail
from dasksse.units import EV_A3_PER_GPA, virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.label.dft.abacus import AbacusSettings
    from dasksse.label.dft.upf import Upf

PROGRAM = "abacus"
SUFFIX = "dasksse"
OUTPUT = f"OUT.{SUFFIX}"
RUNNING_LOG = f"{OUTPUT}/running_scf.log"

Value = bool | int | float | str

DFT_FUNCTIONAL = {
    "PBE": "PBE",
    "PBEsol": "PBESOL",
    "LDA": "LDA",
    "SCAN": "SCAN",  # this one and the next need ABACUS built with Libxc
    "r2SCAN": "MGGA_X_R2SCAN+MGGA_C_R2SCAN",
}
"""Names of functionals in ABACUS."""

LCAO_SCF_THR = 1e-7
"""ABACUS's own limit in LCAO, where it is a share of the electrons and no energy."""

KBAR_PER_GPA = 10.0

_FLOAT = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
_CONVERGED = re.compile(r"charge density convergence is achieved|#SCF IS CONVERGED#")
_NOT_CONVERGED = re.compile(
    r"convergence has not been achieved|SCF IS NOT CONVERGED", re.IGNORECASE
)
_ENERGY = re.compile(rf"(?:!FINAL_ETOT_IS|final etot is)\s+({_FLOAT})\s+eV")
_STEP = re.compile(r"(?:ELEC\s*=|ELECTRONIC ITERATION STEP=|#ELEC ITER#)\s*(\d+)")
_FORCES = re.compile(r"TOTAL-FORCE \(eV/Angstrom\)")
_FORCE = re.compile(rf"(?m)^\s*([A-Z][a-z]?)\d+\s+({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*$")
_STRESSES = re.compile(r"TOTAL-STRESS \(kbar\)", re.IGNORECASE)
_STRESS = re.compile(rf"(?m)^\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*$")


def by_species(atoms: Atoms) -> NDArray[np.int64]:
    """Indices of the atoms in the order of STRU: species in alphabetical order."""
    return np.argsort(atoms.get_chemical_symbols(), kind="stable")


def write_files(
    folder: Path,
    atoms: Atoms,
    settings: AbacusSettings,
    upfs: Mapping[str, Upf],
    files: tuple[Mapping[str, str], Mapping[str, str]],
    *,
    stress: bool,
) -> None:
    """Write INPUT, STRU and KPT of a single point.

    Parameters
    ----------
    folder
        Folder of the calculation.
    atoms
        Periodic configuration.
    settings
        Checked settings; the user's keywords are merged over ours.
    upfs
        Header of the pseudopotential by element.
    files
        Names in the folder of pseudopotentials and orbitals by element; the latter are empty
        for plane waves.
    stress
        Ask for the stress.
    """
    mesh = k_mesh(atoms.cell.array, settings.kspacing_per_A)
    keywords = _keywords(settings, upfs, is_gamma=mesh == (1, 1, 1), stress=stress)
    lines = [f"{key} {_plain(value)}" for key, value in (keywords | settings.keywords).items()]
    (folder / "INPUT").write_text("\n".join(["INPUT_PARAMETERS", *lines]) + "\n")
    (folder / "STRU").write_text(_stru(atoms, *files))
    points = "{} {} {} 0 0 0".format(*mesh)
    (folder / "KPT").write_text(f"K_POINTS\n0\nGamma\n{points}\n")


def _keywords(
    settings: AbacusSettings, upfs: Mapping[str, Upf], *, is_gamma: bool, stress: bool
) -> dict[str, Value]:
    is_lcao = settings.basis_type == "lcao"
    threshold = LCAO_SCF_THR if is_lcao else settings.energy_tolerance_eV / Ry
    keywords: dict[str, Value] = {
        "suffix": SUFFIX,
        "calculation": "scf",
        "basis_type": settings.basis_type,
        "pseudo_dir": "./",
        "orbital_dir": "./",
        "ecutwfc": settings.ecutwfc_Ry,
        "scf_thr": settings.scf_thr or threshold,
        "scf_nmax": settings.max_scf_steps,
        "mixing_type": "broyden",
        "mixing_beta": settings.mixing_beta,
        "smearing_method": "fixed",
        "symmetry": 0,  # time reversal alone
        "cal_force": True,
        "cal_stress": stress,
    }
    if settings.smearing_eV:
        keywords |= {
            "smearing_method": "gaussian",
            "smearing_sigma": settings.smearing_eV / Ry,
        }
    if {upf.functional for upf in upfs.values()} != {settings.bare_functional}:
        keywords["dft_functional"] = DFT_FUNCTIONAL[settings.bare_functional]
    if is_lcao and is_gamma:
        keywords["gamma_only"] = True  # real matrices: less work
    return keywords


def _plain(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(int(value) if isinstance(value, bool) else value)


def _stru(atoms: Atoms, upf_files: Mapping[str, str], orbital_files: Mapping[str, str]) -> str:
    """STRU in Å: the lattice constant is one ångström in bohr."""
    lines = ["ATOMIC_SPECIES"]
    lines += [
        f"{element} {atomic_masses[atomic_numbers[element]]:.4f} {file}"
        for element, file in upf_files.items()
    ]
    if orbital_files:
        lines += ["", "NUMERICAL_ORBITAL", *(orbital_files[element] for element in upf_files)]
    lines += ["", "LATTICE_CONSTANT", f"{1.0 / Bohr:.12f}"]
    lines += ["", "LATTICE_VECTORS", *map(_row, atoms.cell.array)]
    lines += ["", "ATOMIC_POSITIONS", "Cartesian"]
    symbols = np.array(atoms.get_chemical_symbols())
    for element in upf_files:
        positions = atoms.positions[symbols == element]
        lines += ["", element, "0.0", str(len(positions)), *map(_row, positions)]
    return "\n".join(lines) + "\n"


def _row(vector: NDArray[np.float64]) -> str:
    return "{:.12f} {:.12f} {:.12f}".format(*vector)


def read_output(folder: Path, atoms: Atoms, *, virial: bool) -> Answer:
    """Energy, forces, virial and steps from ABACUS's log, of version 2 to 3.11.

    The final energy holds the term -TS of smeared electrons, so that the forces are its
    derivative. The stress is positive under compression, so the virial is volume times it.

    Parameters
    ----------
    folder
        Folder of the calculation.
    atoms
        Configuration that was computed; forces come back in its order.
    virial
        Read the stress too.

    Raises
    ------
    ScfError
        Self-consistency was not reached.
    LabelError
        The log, or energy, forces or stress in it, are not there.
    """
    text = _running_log(folder)
    unconverged = _NOT_CONVERGED.search(text)
    if unconverged:
        raise ScfError(PROGRAM, 0, str(folder), unconverged[0])
    energies = _ENERGY.findall(text)
    order = by_species(atoms)
    sorted_forces = _forces(text, [atoms.symbols[i] for i in order])
    stress = _stress(text) if virial else None
    found = {
        "end of self-consistency": bool(_CONVERGED.search(text)),
        "energy": bool(energies),
        "forces of these atoms": sorted_forces is not None,
        "stress": stress is not None or not virial,
    }
    if sorted_forces is None or not all(found.values()):
        what = next(name for name, is_there in found.items() if not is_there)
        error = LabelError(PROGRAM, 0, str(folder), read_log_tail(folder / LOG))
        raise explain(error, f"no {what} in {RUNNING_LOG}")
    forces = np.empty_like(sorted_forces)
    forces[order] = sorted_forces
    return Answer(
        float(energies[-1]),
        forces,
        None if stress is None else virial_from_stress(-stress, atoms.get_volume()),
        scf_steps=max(map(int, _STEP.findall(text)), default=None),
    )


def _running_log(folder: Path) -> str:
    log = folder / RUNNING_LOG
    return log.read_text(errors="replace") if log.exists() else ""


def _forces(text: str, elements: Sequence[str]) -> NDArray[np.float64] | None:
    """Forces [eV/Å] of the last table; None unless its atoms are of these elements."""
    _, *tables = _FORCES.split(text)
    rows = _FORCE.findall(tables[-1])[: len(elements)] if tables else []
    if [row[0] for row in rows] != list(elements):
        return None
    return np.array([row[1:] for row in rows], dtype=float)


def _stress(text: str) -> NDArray[np.float64] | None:
    """The last table of the stress [eV/Å³], sign as printed; None when there is none."""
    _, *tables = _STRESSES.split(text)
    rows = _STRESS.findall(tables[-1])[:3] if tables else []
    if len(rows) != 3:  # noqa: PLR2004
        return None
    return np.array(rows, dtype=float) / KBAR_PER_GPA * EV_A3_PER_GPA


def explain(error: LabelError, what: str = "") -> LabelError:
    """A new error, with ABACUS's own warnings before the end of what it printed.

    Parameters
    ----------
    error
        What running it raised, or what is missing in its log.
    what
        Text to begin with.

    Returns
    -------
    LabelError
        A :class:`ScfError` where its log says that self-consistency was not reached.
    """
    folder = error.workdir
    warnings = read_log_tail(folder / OUTPUT / "warning.log", 5)
    said = "\n".join(text for text in (what, warnings, error.log_tail) if text)
    kind = ScfError if _NOT_CONVERGED.search(_running_log(folder)) else LabelError
    return kind(error.program, error.returncode, str(folder), said)
