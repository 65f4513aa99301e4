"""Stands in for pw.x: reads its input by ASE, prints what it prints, energies of the toy model.

Run as a program with ``-in FILE``. Options make it fail.
"""
# ruff: noqa: T201 - a program prints

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.io.espresso import read_espresso_in, read_fortran_namelist
from ase.units import Bohr, Ry

from dasksse.label.toy import ToyIonicCalculator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

COMMAND = (sys.executable, str(Path(__file__).resolve()))
"""Words that run it."""

BAR = " " + "%" * 78


def stub_upf(
    element: str, *, kind: str = "NC", functional: str = "PBE", version: int = 2
) -> str:
    """The lines of a UPF file that are read here."""
    if version == 1:
        names = {"NC": "Norm - Conserving", "US": "Ultrasoft"}
        return (
            "<PP_INFO>\nmade up\n</PP_INFO>\n<PP_HEADER>\n"
            "   0                   Version Number\n"
            f"  {element:<2}                   Element\n"
            f"   {kind}                  {names[kind]} pseudopotential\n"
            "    F                  Nonlinear Core Correction\n"
            f" {functional}   Exchange-Correlation functional\n"
            "    1.00000000000      Z valence\n</PP_HEADER>\n"
        )
    return (
        '<UPF version="2.0.1">\n<PP_INFO>\nmade up\n</PP_INFO>\n<PP_HEADER\n'
        f'   element="{element:<2}"\n   pseudo_type="{kind}"\n   functional="{functional}"\n'
        '   z_valence="1.0"/>\n</UPF>\n'
    )


def make_pseudos(folder: Path, elements: Sequence[str] = ("Li", "Cl"), **kinds: Any) -> Path:
    """Folder of made-up pseudopotentials."""
    folder.mkdir(parents=True, exist_ok=True)
    for element in elements:
        (folder / f"{element}.upf").write_text(stub_upf(element, **kinds))
    return folder


def main() -> int:
    """Act as pw.x would."""
    options = _options()
    path = Path(options.input)
    print("     Program PWSCF v.7.2 starts on  1Jan2025 at  0: 0: 0 ", flush=True)
    with path.open() as stream:
        namelists, cards = read_fortran_namelist(stream)
    with path.open() as stream:
        atoms = read_espresso_in(stream)
    electrons = namelists["electrons"]
    for element, file in _species(cards, namelists["system"]["ntyp"]):
        if element not in Path(namelists["control"]["pseudo_dir"], file).read_text():
            return _stop("readpp", f"file {file} is not of {element}")
    converges = [pair.split("=") for pair in options.converges_with]
    is_good = all(str(electrons.get(key)) == value for key, value in converges)
    if options.kill:
        print("forrtl: severe (174): SIGSEGV, segmentation fault occurred")
        return 174
    if options.crash and not (converges and is_good):
        return _stop(*options.crash.split(":", 1))
    if not is_good:
        steps = electrons["electron_maxstep"]
        print(f"     convergence NOT achieved after {steps} iterations: stopping")
        if electrons.get("scf_must_converge", True):
            return 2
    atoms.calc = ToyIonicCalculator()
    _print_results(atoms, stress=namelists["control"]["tstress"] and not options.no_stress)
    print("   JOB DONE.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("-in", dest="input", required=True)
    parser.add_argument("--converges-with", action="append", default=[], help="key=value")
    parser.add_argument("--crash", default="", help="routine:message")
    parser.add_argument("--kill", action="store_true", help="end without a word of its own")
    parser.add_argument("--no-stress", action="store_true")
    return parser.parse_args()


def _species(cards: list[str], count: int) -> list[list[str]]:
    start = next(i for i, line in enumerate(cards) if line.startswith("ATOMIC_SPECIES")) + 1
    return [[line.split()[0], line.split()[2]] for line in cards[start : start + count]]


def _stop(routine: str, message: str) -> int:
    print(f"\n{BAR}\n     Error in routine {routine} (1):\n     {message}\n{BAR}\n")
    print("     stopping ...")
    return 1


def _print_results(atoms: Atoms, *, stress: bool) -> None:
    energy = atoms.get_potential_energy() / Ry
    print("     total energy              =      -1.00000000 Ry")
    print("     End of self-consistent calculation\n")
    print(f"!    total energy              = {energy:16.8f} Ry")
    print("     estimated scf accuracy    <       0.00000001 Ry\n")
    print("     smearing contrib. (-TS)   =      -0.00000100 Ry\n")
    print("     convergence has been achieved in   9 iterations\n")
    print("     Forces acting on atoms (cartesian axes, Ry/au):\n")
    for number, force in enumerate(atoms.get_forces() * Bohr / Ry, start=1):
        row = "".join(f"{component:14.8f}" for component in force)
        print(f"     atom {number:4d} type  1   force = {row}")
    print("     The non-local contrib.  to forces")
    for number in range(1, len(atoms) + 1):
        print(f"     atom {number:4d} type  1   force = " + "    9.00000000" * 3)
    if stress:
        pressure = -atoms.get_stress(voigt=False) * Bohr**3 / Ry
        kbar = pressure * 147105.08
        head = "          total   stress  (Ry/bohr**3)                   (kbar)     P="
        print(f"\n{head}{np.trace(kbar) / 3:12.2f}")
        for row, row_kbar in zip(pressure, kbar, strict=True):
            print("".join(f"{x:14.8f}" for x in row) + "".join(f"{x:14.2f}" for x in row_kbar))


if __name__ == "__main__":
    sys.exit(main())
