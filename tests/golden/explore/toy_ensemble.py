"""A toy ensemble for tests: two tiny Deep Potential models of Cu3Au, and runs with them.

Load it with ``runpy.run_path``. The models were trained on 300 rattled and strained 32-atom
cells of ``ase.calculators.emt.EMT`` by ``models/make_models.py`` (half a minute a model).
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.build import bulk

from dasksse.explore.md_spec import MdSpec
from dasksse.records import Frames

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent / "models"
SPEC = {
    "type_map": ("Au", "Cu"),  # the other order than in the models
    "ensemble": "nvt",
    "temperature_K": 400.0,
    "pressure_GPa": 0.0,
    "timestep_fs": 2.0,
    "n_steps": 60,
    "frame_interval_steps": 5,
    "segment_steps": 20,
    "seed": 3,
    "thermostat_damping_fs": 100.0,
    "barostat_damping_fs": 500.0,
    "zbl": None,
    "min_distance_A": 1.0,
    "max_temperature_ratio": 5.0,
    "max_volume_ratio": 1.5,
}


def model_files(folder: Path) -> tuple[str, ...]:
    """Unpack the models into a folder."""
    files = []
    for packed in sorted(FOLDER.glob("*.pb.gz")):
        files.append(folder / packed.stem)
        files[-1].write_bytes(gzip.decompress(packed.read_bytes()))
    return tuple(map(str, files))


def toy_spec(models: Sequence[str], **changes: Any) -> MdSpec:
    """A short run with every key changeable."""
    return MdSpec(models=tuple(models), **{**SPEC, **changes})


def toy_crystal(
    *,
    repeats: tuple[int, int, int] = (2, 2, 2),
    rattle_A: float = 0.05,
    deformation: Any = None,
    seed: int = 5,
) -> Frames:
    """One frame of rattled Cu3Au, optionally with cell and positions deformed."""
    atoms = bulk("Cu", "fcc", a=3.74, cubic=True)
    atoms.numbers[0] = 79
    atoms *= repeats
    rng = np.random.default_rng(seed)
    atoms.positions += rng.normal(scale=rattle_A, size=atoms.positions.shape)
    matrix = np.eye(3) if deformation is None else np.asarray(deformation)
    return Frames(
        atoms.numbers.astype(np.int64),
        (atoms.positions @ matrix)[None],
        (atoms.cell[:] @ matrix)[None],
    )
