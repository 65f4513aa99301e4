"""Stands in for ABACUS: reads INPUT, STRU and KPT, writes its log, energies of the toy model.

Run as a program in a folder with these files. Options choose how it writes and make it fail.
"""
# ruff: noqa: T201 - a program prints

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr

from dasksse.label.toy import ToyIonicCalculator

COMMAND = (sys.executable, str(Path(__file__).resolve()))
"""Words that run it."""

KBAR_PER_EV_A3 = 1602.1766208

DIALECTS = {
    "2": (
        " PW ALGORITHM --------------- ION=   1  ELEC=  {step}----------\n",
        " charge density convergence is achieved\n final etot is {energy:.10f} eV\n",
        " convergence has NOT been achieved!\n",
        "    TOTAL-FORCE (eV/Angstrom)",
        " TOTAL-STRESS (KBAR)",
    ),
    "3.10": (
        " PW ALGORITHM --------------- ION=   1  ELEC=  {step}----------\n",
        "\n charge density convergence is achieved\n final etot is {energy:.10f} eV\n",
        " !! convergence has not been achieved @_@\n",
        " TOTAL-FORCE (eV/Angstrom)",
        " TOTAL-STRESS (KBAR)",
    ),
    "3.11": (
        " --> #ION MOVE#         1  #ELEC ITER#         {step}\n",
        " #SCF IS CONVERGED#\n",
        " #SCF IS NOT CONVERGED#\n",
        " #TOTAL-FORCE (eV/Angstrom)#",
        " #TOTAL-STRESS (kbar)#",
    ),
}
"""By version: a step, the end, the end without convergence, titles of the two tables."""

STOP = """
 NOTICE! -----------------------------------------------------
 {message}
 CHECK IN FILE : OUT.dasksse/warning.log
 -------------------------------------------------------------
"""


def make_orbitals(folder: Path, elements: tuple[str, ...] = ("Li", "Cl")) -> Path:
    """Folder of made-up orbitals."""
    folder.mkdir(parents=True, exist_ok=True)
    for element in elements:
        (folder / f"{element}_gga_8au_100Ry_2s1p.orb").write_text(f"Element {element}\n")
    return folder


def main() -> int:
    """Act as ABACUS would."""
    options = _options()
    words = read_input(Path("INPUT"))
    folder = Path(f"OUT.{words['suffix']}")
    folder.mkdir(exist_ok=True)
    if options.crash:
        (folder / "warning.log").write_text(f" source/read_pp.cpp  warning : {options.crash}\n")
        print(STOP.format(message=options.crash))
        return options.exit_code
    atoms, files = read_stru(Path("STRU"))
    if not all(Path(words["pseudo_dir"], file).exists() for file in files):
        print(STOP.format(message=f"cannot find {files}"))
        return 1
    converges = [pair.split("=") for pair in options.converges_with]
    is_good = all(words.get(key) == value for key, value in converges)
    atoms.calc = ToyIonicCalculator()
    steps = 9 if is_good else int(words["scf_nmax"])
    with (folder / "running_scf.log").open("w") as log:
        log.write(_log(atoms, words, options.dialect, steps, is_good))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dialect", choices=DIALECTS, default="3.10")
    parser.add_argument("--converges-with", action="append", default=[], help="key=value")
    parser.add_argument("--crash", default="", help="the message")
    parser.add_argument("--exit-code", type=int, default=1)
    return parser.parse_args()


def read_input(path: Path) -> dict[str, str]:
    """Keywords of INPUT."""
    first, *lines = path.read_text().splitlines()
    assert first == "INPUT_PARAMETERS"
    return dict(line.split(maxsplit=1) for line in lines)


def read_stru(path: Path) -> tuple[Atoms, list[str]]:
    """Atoms in the order of STRU, and the files it names."""
    titles = ("ATOMIC_SPECIES", "NUMERICAL_ORBITAL", "LATTICE_CONSTANT", "LATTICE_VECTORS")
    blocks: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, path.read_text().splitlines())):
        if line in (*titles, "ATOMIC_POSITIONS"):
            block = blocks.setdefault(line, [])
        else:
            block.append(line)
    unit_A = float(blocks["LATTICE_CONSTANT"][0]) * Bohr
    cell = np.array([row.split() for row in blocks["LATTICE_VECTORS"]], dtype=float) * unit_A
    style, *rows = blocks["ATOMIC_POSITIONS"]
    assert style == "Cartesian"
    symbols: list[str] = []
    positions: list[Any] = []
    while rows:
        symbol, _magnetism, count, *rows = rows
        symbols += [symbol] * int(count)
        positions += [row.split() for row in rows[: int(count)]]
        rows = rows[int(count) :]
    files = [row.split()[2] for row in blocks["ATOMIC_SPECIES"]]
    files += blocks.get("NUMERICAL_ORBITAL", [])
    positions_A = np.array(positions, dtype=float) * unit_A
    return Atoms(symbols, positions_A, cell=cell, pbc=True), files


def _log(atoms: Atoms, words: dict[str, str], dialect: str, steps: int, is_good: bool) -> str:
    step, good, bad, forces_title, stress_title = DIALECTS[dialect]
    energy = atoms.get_potential_energy()
    text = f"\n                              ABACUS v{dialect}.0\n\n"
    text += "".join(step.format(step=number + 1) for number in range(steps))
    text += good.format(energy=energy) if is_good else bad
    # forces in Ry/Bohr and an earlier table must not be taken for the result
    text += "\n    TOTAL-FORCE (Ry/Bohr)\n\n" + _forces(atoms, np.full((len(atoms), 3), 9.0))
    if words["cal_force"] == "1":
        text += f"\n{forces_title}\n\n" + _forces(atoms, atoms.get_forces())
    if words["cal_stress"] == "1":
        kbar = -atoms.get_stress(voigt=False) * KBAR_PER_EV_A3
        rows = ["".join(f"{x:+21.10f}" for x in row) for row in kbar]
        text += "\n".join(["", stress_title, " " + "-" * 64, *rows, " " + "-" * 64])
        text += f"\n TOTAL-PRESSURE: {np.trace(kbar) / 3:.6f} KBAR\n"
    rule = " " + "-" * 44
    return f"{text}\n{rule}\n !FINAL_ETOT_IS {energy:.16f} eV\n{rule}\n"


def _forces(atoms: Atoms, forces: np.ndarray) -> str:
    lines = [" " + "-" * 73, "     Atoms              Force_x              Force_y"]
    counts: dict[str, int] = {}
    for symbol, force in zip(atoms.get_chemical_symbols(), forces, strict=True):
        counts[symbol] = counts.get(symbol, 0) + 1
        label = f"{symbol}{counts[symbol]}"
        lines.append(f"{label:>10s}" + "".join(f"{x:21.10f}" for x in force))
    return "\n".join([*lines, " " + "-" * 73]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
