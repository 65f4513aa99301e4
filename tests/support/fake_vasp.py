"""Stands in for VASP: reads its input files, writes its output files, with a pair potential.

Run as a program in a folder with INCAR, POSCAR and POTCAR; options make it fail. It imports
little, so that it starts fast.
"""
# ruff: noqa: T201 - VASP prints

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KB_PER_EV_A3 = 1602.1766208
COMMAND = (sys.executable, str(Path(__file__).resolve()))
"""Words that run it."""
STEPS, STEPS_FROM_WAVECAR = 9, 5

_STRENGTH = {"Li": 1.0, "P": 1.7, "S": -0.8}
_WIDTH_A = 1.8


def potential(
    symbols: Sequence[str], positions: np.ndarray, cell: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy [eV], forces [eV/Å] and virial [eV] of Gaussians between all periodic images."""
    strength = np.array([_STRENGTH[symbol] for symbol in symbols])
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    apart = (positions[None] - positions[:, None])[None] + (images @ cell)[:, None, None]
    square = (apart**2).sum(axis=-1)
    pair = np.outer(strength, strength) * np.exp(-square / _WIDTH_A**2)
    pair[square < 1e-12] = 0.0  # an atom with itself
    pull = (-2.0 / _WIDTH_A**2) * pair[..., None] * apart  # du/d(apart)
    virial = -0.5 * np.einsum("nija,nijb->ab", pull, apart)
    return 0.5 * float(pair.sum()), pull.sum(axis=(0, 2)), virial


def stub_potcar(name: str, *, family: str = "PBE", kinetic: bool = True) -> str:
    """The lines of a POTCAR that are read here."""
    title = "PAW_PBE" if family == "PBE" else "PAW"
    exchange = "PE" if family == "PBE" else "CA"
    density = " kinetic energy-density\n" if kinetic else ""
    return (
        f"  {title} {name} 01Jan2000\n"
        f"   TITEL  = {title} {name} 01Jan2000\n"
        f"   LEXCH  = {exchange}\n{density} End of Dataset\n"
    )


def make_library(root: Path, folder: str, names: Iterable[str], *, family: str = "PBE") -> Path:
    """Folder of stub POTCARs as VASP's archive unpacks them."""
    for name in names:
        path = root / folder / name / "POTCAR"
        path.parent.mkdir(parents=True)
        path.write_text(stub_potcar(name, family=family))
    return root


def main() -> int:
    """Act as VASP would; the exit code is the program's."""
    options = _options()
    incar = dict(line.split(" = ") for line in Path("INCAR").read_text().splitlines())
    symbols, positions, cell = _poscar()
    titles = re.findall(r"TITEL\s*=\s*\S+\s+([A-Z][a-z]?)", Path("POTCAR").read_text())
    print(" running    1 mpi-ranks, on    1 nodes", flush=True)
    if titles != list(dict.fromkeys(symbols)):
        print("|     VERY BAD NEWS! POTCAR and POSCAR differ     |")
        return 1
    if options.only_with in ("", incar["ALGO"]):
        print(f"|     {options.say}     |", flush=True)
        if options.exit_code is not None:
            return options.exit_code
    if options.hang:
        time.sleep(600)
    has_start = incar["ISTART"] == "1" and Path("WAVECAR").exists()
    converges = not options.converges_with or incar["ALGO"] in options.converges_with
    steps = STEPS_FROM_WAVECAR if has_start else STEPS
    result = potential(symbols, positions, cell)
    _write_oszicar(result[0], steps if converges else int(incar["NELM"]), converges=converges)
    reached = "because EDIFF is reached"
    ending = (
        reached if converges or options.version_5 else "EDIFF was not reached (unconverged)"
    )
    Path("OUTCAR").write_text(f"------ aborting loop {ending} ------\n")
    text = _vasprun(*result, abs(np.linalg.det(cell)))
    Path("vasprun.xml").write_text(text[:-20] if options.cut_off else text)
    if incar["LWAVE"] == ".TRUE.":
        Path("WAVECAR").write_text("orbitals")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--converges-with", action="append", default=[])
    parser.add_argument("--say", default="", help="a message")
    parser.add_argument("--exit-code", type=int, help="ends with it after the message")
    parser.add_argument("--only-with", default="", help="ALGO with which that happens")
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--version-5", action="store_true", help="OUTCAR claims convergence")
    parser.add_argument("--cut-off", action="store_true", help="vasprun.xml is not complete")
    return parser.parse_args()


def _poscar() -> tuple[list[str], np.ndarray, np.ndarray]:
    lines = Path("POSCAR").read_text().splitlines()
    cell = np.array([line.split() for line in lines[2:5]], dtype=float)
    counts = [int(word) for word in lines[6].split()]
    symbols = np.repeat(lines[5].split(), counts).tolist()
    scaled = np.array([line.split() for line in lines[8 : 8 + len(symbols)]], dtype=float)
    return symbols, scaled @ cell, cell


def _write_oszicar(energy: float, steps: int, *, converges: bool) -> None:
    lines = ["       N       E                     dE             d eps       ncg     rms"]
    for step in range(1, steps + 1):
        change = 10.0 ** -min(step, 4) if step < steps else 1e-8 if converges else 0.3
        changes = f"{-change:.5E}   {-change / 2:.5E}"
        lines.append(f"DAV: {step:3d}    {energy:.12E}    {changes}   640   0.1E+01")
    lines.append(f"   1 F= {energy:.8E} E0= {energy:.8E}  d E =0.000000E+00")
    Path("OSZICAR").write_text("\n".join(lines) + "\n")


def _vasprun(energy: float, forces: np.ndarray, virial: np.ndarray, volume: float) -> str:
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="version" type="string">6.4.2  </i></generator>
 <calculation>
  <scstep><energy><i name="e_fr_energy"> {energy + 1.0:.8f} </i></energy></scstep>
  <varray name="forces" >
{_rows(forces)}  </varray>
  <varray name="stress" >
{_rows(virial / volume * KB_PER_EV_A3)}  </varray>
  <energy>
   <i name="e_fr_energy"> {energy:16.8f} </i>
   <i name="e_wo_entrp"> {energy + 0.2:16.8f} </i>
   <i name="e_0_energy"> {energy + 0.1:16.8f} </i>
  </energy>
 </calculation>
</modeling>
"""


def _rows(table: np.ndarray) -> str:
    return "".join(
        "   <v>" + "".join(f"{number:17.8f}" for number in row) + " </v>\n" for row in table
    )


if __name__ == "__main__":
    sys.exit(main())
