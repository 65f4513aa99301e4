"""Write the files of this folder by LAMMPS: one run, dumped in many ways at once.

Run it as ``python tests/golden/intake/make_dumps.py``. Two kinds of soft spheres in a skewed
box that is sheared and breathes, hot enough to cross the box; the box flips on its way.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPT = """
units metal
atom_style atomic
boundary p p p
{box}
mass 1 6.94
mass 2 32.06
set group all type/ratio 2 0.4 11
pair_style lj/cut 6.0
pair_coeff * * 0.004 2.3
timestep 0.001
velocity all create 900 7 mom yes
fix npt all npt temp 900 900 0.1 {pressure}
run 600
{shear}
reset_timestep 0
write_data {name}.data nocoeff
{dumps}
run {steps}
{undumps}
"""
EVERY = 40
TILTED = """
lattice custom 3.0 a1 1 0 0 a2 0.47 1 0 a3 -0.3 0.45 1 basis 0 0 0
region box prism 0 9 0 9 0 9 4.2 -2.7 4.05 units box
create_box 2 box
create_atoms 1 box
"""
GENERAL = """
lattice custom 3.0 a1 0.8 0.6 0 a2 -0.5 1 0.2 a3 0.1 0.2 1.1 basis 0 0 0 triclinic/general
create_box 2 NULL 0 3 0 3 0 3
create_atoms 1 box
"""
ROWS = "format float %.8f"
DUMPS = {
    "tilted.dump": ("custom", "id type x y z", ""),
    "tilted-unwrapped.dump": ("custom", "id type xu yu zu", ROWS),
    "tilted-images.dump": ("custom", "type ix iy iz xs ys zs id", f"{ROWS} sort id"),
    "tilted-units.dump": (
        "custom",
        "id element x y z ix iy iz",
        f"{ROWS} units yes time yes element Li S",
    ),
    "tilted.dcd": ("dcd", "", "unwrap yes sort id"),
    "tilted.xtc": ("xtc", "", "unwrap no sort id precision 10000"),
    "tilted.extxyz": ("extxyz", "", "element Li S sort id"),
}  # fmt: skip
GENERAL_DUMPS = {
    "general.dump": ("custom", "id type x y z", f"triclinic/general yes {ROWS}"),
    "general-unwrapped.dump": ("custom", "id type xu yu zu", f"triclinic/general yes {ROWS}"),
}


def _commands(dumps: dict[str, tuple[str, str, str]]) -> str:
    lines = []
    for number, (name, (style, columns, modify)) in enumerate(dumps.items()):
        lines.append(f"dump {number} all {style} {EVERY} {name} {columns}")
        if modify:
            lines.append(f"dump_modify {number} {modify}")
    return "\n".join(lines)


def _run(name: str, box: str, steps: int, dumps: dict[str, tuple[str, str, str]]) -> None:
    tilted = name == "tilted"
    text = SCRIPT.format(
        name=name,
        box=box,
        steps=steps,
        dumps=_commands(dumps),
        undumps="\n".join(f"undump {number}" for number in range(len(dumps))),
        shear="fix shear all deform 1 xy erate 0.4 flip yes units box" if tilted else "",
        pressure="z 2000 2000 0.5" if tilted else "aniso 2000 2000 0.5",
    )
    code = (
        "import sys, lammps\n"
        "engine = lammps.lammps(cmdargs=['-log', 'none', '-screen', 'none'])\n"
        "engine.commands_string(sys.stdin.read()); engine.close()"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        text=True,
        cwd=HERE,
        env=os.environ | {"LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")},
        check=True,
    )
    for file in HERE.glob("*.dump"):
        with gzip.GzipFile(f"{file}.gz", "wb", mtime=0) as packed:
            packed.write(file.read_bytes())
        file.unlink()


if __name__ == "__main__":
    _run("tilted", TILTED, 1600, DUMPS)
    _run("general", GENERAL, 400, GENERAL_DUMPS)
