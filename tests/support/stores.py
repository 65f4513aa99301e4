"""Stores with trajectories for tests: made-up runs, and groups of layout version 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.records.trajectory import MemoryTrajectory
from dasksse.store.layout import open_store, require_group
from dasksse.store.trajectory_writer import TrajectoryWriter

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = np.array([16, 3, 3, 15, 16, 3, 3, 32, 16, 3])
"""Not sorted: the store sorts them."""
INTERVAL_PS = 0.05


def random_run(n_frames: int, *, seed: int = 0, numbers: Any = NUMBERS) -> MemoryTrajectory:
    """Atoms that walk at random, in an orthorhombic cell."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.0, 10.0, (1, len(numbers), 3))
    steps = rng.normal(0.0, 0.1, (n_frames, len(numbers), 3))
    cells = np.broadcast_to(np.diag([10.0, 11.0, 12.0]), (n_frames, 3, 3))
    return MemoryTrajectory(
        np.asarray(numbers), start + np.cumsum(steps, axis=0), cells, INTERVAL_PS, 600.0
    )


def write(store: Path, run: MemoryTrajectory, *, piece: int = 7, **settings: Any) -> None:
    """Write a run in pieces."""
    facts: dict[str, Any] = {
        "group": "production/salt",
        "numbers": run.numbers,
        "frame_interval_ps": run.frame_interval_ps,
        "temperature_K": run.temperature_K,
        **settings,
    }
    with TrajectoryWriter(store, **facts) as writer:
        for start in range(0, run.n_frames, piece):
            frames = slice(start, start + piece)
            energy = np.arange(run.n_frames, dtype=float)[frames]
            writer.add(run.positions(frames=frames), run.cells(frames), {"energy": energy})


def write_version_1(store: Path, run: MemoryTrajectory, *, group: str) -> None:
    """A group as the first version wrote it: float32, no centres, no checksum, no version."""
    root = open_store(store)
    root.attrs["layout_version"] = 1
    place = require_group(root, group)
    frames, atoms = run.n_frames, len(run.numbers)
    arrays = {
        "positions": (("run", "frame", "atom", "xyz"), run.all_positions[None], "f4"),
        "cell": (("run", "frame", "lattice", "xyz"), run.cells()[None], "f8"),
        "scalars": (("run", "frame", "quantity"), np.ones((1, frames, 2)), "f8"),
        "unit_key": (("run",), np.array([1]), "u8"),
        "temperature_K": (("run",), np.array([run.temperature_K]), "f8"),
        "pressure_GPa": (("run",), np.array([0.0]), "f8"),
        "time_ps": (("frame",), np.arange(frames) * run.frame_interval_ps, "f8"),
        "is_equilibration": (("frame",), np.arange(frames) < 2, "i1"),
        "atomic_number": (("atom",), run.numbers, "i2"),
        "n_valid": (("run",), np.array([frames]), "i4"),
    }
    chunks = {"positions": (1, 5, atoms, 3)}
    for name, (dims, values, dtype) in arrays.items():
        array = place.create_array(
            name,
            shape=values.shape,
            chunks=chunks.get(name, values.shape),
            dtype=dtype,
            fill_value=np.nan if dtype[0] == "f" else 0,
            dimension_names=dims,
        )
        array[...] = values
    place["scalars"].attrs["table"] = ["deviation_max", "pressure"]


def set_pressure(store: Path, group: str, run: int, pressure_GPa: float) -> None:
    """Say the target pressure of a run, which the writer of foreign runs does not know."""
    open_store(store, mode="r+")[f"{group}/pressure_GPa"][run] = pressure_GPa
