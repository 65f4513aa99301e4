"""How the toy models were made: two tiny Deep Potentials of Cu3Au, trained on ASE's EMT.

    python make_models.py FOLDER

The seeds are fixed; a model takes about a minute. The results were packed with
``gzip -9 -n`` and committed; they need not be made again.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

TYPE_MAP = ["Cu", "Au"]
N_STEPS = 12_000
N_FRAMES = 300


def write_data(folder: Path) -> None:
    """Rattled and strained 32-atom cells with energies, forces and virials."""
    rng = np.random.default_rng(1)
    base = bulk("Cu", "fcc", a=3.74, cubic=True)
    base.numbers[0] = 79
    base *= (2, 2, 2)
    columns = {name: [] for name in ("coord", "box", "energy", "force", "virial")}
    for _ in range(N_FRAMES):
        atoms = base.copy()
        strain = rng.normal(scale=0.03, size=(3, 3))
        strain = (strain + strain.T) / 2 + np.eye(3) * (1 + rng.normal(scale=0.03))
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        rattle_A = rng.uniform(0.02, 0.25)
        atoms.positions += rng.normal(scale=rattle_A, size=atoms.positions.shape)
        atoms.calc = EMT()
        columns["coord"].append(atoms.positions.ravel())
        columns["box"].append(atoms.cell[:].ravel())
        columns["energy"].append(atoms.get_potential_energy())
        columns["force"].append(atoms.get_forces().ravel())
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
        columns["virial"].append(virial.ravel())
    (folder / "set.000").mkdir(parents=True)
    for name, values in columns.items():
        np.save(folder / "set.000" / f"{name}.npy", np.array(values))
    (folder / "type_map.raw").write_text("\n".join(TYPE_MAP))
    types = [TYPE_MAP.index(symbol) for symbol in base.get_chemical_symbols()]
    np.savetxt(folder / "type.raw", types, fmt="%d")


def training_input(seed: int) -> dict[str, Any]:
    """Input of ``dp train``: float64, so that energies can be compared closely."""
    network = {"seed": seed, "precision": "float64"}
    return {
        "model": {
            "type_map": TYPE_MAP,
            "descriptor": {
                "type": "se_e2_a",
                "sel": [60, 30],
                "rcut": 4.5,
                "rcut_smth": 2.5,
                "neuron": [4, 8],
                "axis_neuron": 4,
                "type_one_side": True,
                **network,
            },
            "fitting_net": {"neuron": [12, 12], **network},
        },
        "learning_rate": {"type": "exp", "start_lr": 1e-2, "stop_lr": 1e-5, "decay_steps": 100},
        "loss": {
            "type": "ener",
            "start_pref_e": 0.02,
            "limit_pref_e": 1,
            "start_pref_f": 1000,
            "limit_pref_f": 10,
            "start_pref_v": 1,
            "limit_pref_v": 1,
        },
        "training": {
            "training_data": {"systems": ["../data"], "batch_size": 1},
            "numb_steps": N_STEPS,
            "seed": seed,
            "disp_freq": 1000,
            "save_freq": N_STEPS,
        },
    }


def main() -> None:
    """Write data, train, freeze and pack two models."""
    root = Path(sys.argv[1])
    write_data(root / "data")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for seed in (0, 1):
        folder = root / f"m{seed}"
        folder.mkdir()
        (folder / "input.json").write_text(json.dumps(training_input(seed)))
        for command in (
            ["train", "input.json", "--skip-neighbor-stat"],
            ["freeze", "-o", "m.pb"],
        ):
            subprocess.run(["dp", "--tf", *command], cwd=folder, env=environment, check=True)
        packed = gzip.compress((folder / "m.pb").read_bytes(), 9, mtime=0)
        (root / f"cu3au_{seed}.pb.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
