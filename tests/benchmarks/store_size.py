"""Bytes per atom and frame: the store against raw float32, a gzipped dump and XTC."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Outcome, Row, clocked

from dasksse.store.stored_trajectory import open_trajectories
from dasksse.store.trajectory_writer import TrajectoryWriter

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Options
    from numpy.typing import NDArray

N_FRAMES, N_ATOMS = 5_000, 900
QUICK_FRAMES = 300
INTERVALS_PS = (0.01, 0.1)
CELL_A = 26.0
DUMPED_FRAMES = 200
"""Of the text, which is slow to write; bytes per atom and frame do not depend on it."""
PIECE_FRAMES = 500
BLOCK_ATOMS = 32
AMPLITUDE_A = 0.15
FREQUENCIES_THZ = (1.5, 8.0)
DAMPING_PER_PS = 1.0
MOBILE_SHARE, HOPS_PER_PS, HOP_A = 0.4, 0.05, 2.5


def measure(options: Options) -> Outcome:
    """Write the same trajectory in every way, finely and coarsely sampled."""
    n_frames = QUICK_FRAMES if options.is_quick else N_FRAMES
    rows, notes = [], []
    for interval_ps in INTERVALS_PS:
        options.say(f"frames every {1000 * interval_ps:g} fs")
        positions = vibrating_ions(n_frames, N_ATOMS, interval_ps)
        folder = options.workdir / f"{interval_ps:g}"
        folder.mkdir()
        found, skipped = _rows(folder, positions, f", every {1000 * interval_ps:g} fs")
        rows += found
        notes = skipped
    return Outcome(
        rows,
        notes=[
            (
                f"{N_ATOMS} atoms, {n_frames} frames: damped oscillators of "
                f"{FREQUENCIES_THZ[0]:g}-{FREQUENCIES_THZ[1]:g} THz and {AMPLITUDE_A:g} Å per "
                f"axis, {100 * MOBILE_SHARE:g} % of the ions hop {HOP_A:g} Å "
                f"{HOPS_PER_PS:g} times a ps. Bytes of the store are those of all its files, "
                "cells and centres included."
            ),
            "CPU times are of the whole process, reading is from the page cache.",
            *notes,
        ],
    )


def vibrating_ions(n_frames: int, n_atoms: int, interval_ps: float) -> NDArray[np.float64]:
    """Ions in harmonic wells with Langevin friction, propagated exactly, some of them hopping.

    Returns
    -------
    NDArray[np.float64]
        Unwrapped positions [Å], shape ``(frame, atom, xyz)``.
    """
    rng = np.random.default_rng(7)
    shape = (n_atoms, 3)
    omega = 2.0 * np.pi * rng.uniform(*FREQUENCIES_THZ, shape)
    step, noise = _propagator(omega, interval_ps)
    state = np.stack([rng.normal(size=shape), omega * rng.normal(size=shape)])
    n_mobile = round(MOBILE_SHARE * n_atoms)
    origin = rng.uniform(0.0, CELL_A, shape)
    positions = np.empty((n_frames, *shape))
    for frame in positions:
        frame[:] = origin + AMPLITUDE_A * state[0]
        kicks = rng.normal(size=(2, *shape))
        state = np.einsum("ij...,j...->i...", step, state)
        state += np.einsum("ij...,j...->i...", noise, kicks)
        hops = np.flatnonzero(rng.random(n_mobile) < HOPS_PER_PS * interval_ps)
        origin[hops, rng.integers(3, size=len(hops))] += HOP_A * rng.choice([-1, 1], len(hops))
    return positions


def _propagator(
    omega: NDArray[np.float64], interval_ps: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrices for ``(x, v)`` over one interval: of the motion, and of the random kicks."""
    damped = np.sqrt(omega**2 - DAMPING_PER_PS**2 / 4.0)
    decay = np.exp(-DAMPING_PER_PS * interval_ps / 2.0)
    cosine = decay * np.cos(damped * interval_ps)
    sine = decay * np.sin(damped * interval_ps) / damped
    half = DAMPING_PER_PS / 2.0 * sine
    step = np.array([[cosine + half, sine], [-(omega**2) * sine, cosine - half]])
    equilibrium = np.array([[np.ones_like(omega), 0 * omega], [0 * omega, omega**2]])
    lost = equilibrium - np.einsum("ik...,kl...,jl...->ij...", step, equilibrium, step)
    first = np.sqrt(np.maximum(lost[0, 0], 1e-30))
    second = lost[1, 0] / first
    third = np.sqrt(np.maximum(lost[1, 1] - second**2, 0.0))
    return step, np.array([[first, 0 * omega], [second, third]])


def _rows(
    folder: Path, positions: NDArray[np.float64], when: str
) -> tuple[list[Row], list[str]]:
    per_frame = len(positions) * positions.shape[1]
    stored = _store(folder / "rounded.zarr", positions, 1e-3)
    coarse = _store(folder / "coarse.zarr", positions, 1e-2)
    lossless = _store(folder / "lossless.zarr", positions.astype(np.float32), 0.0)
    text = _gzipped_dump(folder / "dump.gz", positions[:DUMPED_FRAMES])
    bytes_of = {
        "store, 0.001 Å": stored["n_bytes"] / per_frame,
        "store, 0.01 Å": coarse["n_bytes"] / per_frame,
        "store, lossless float32": lossless["n_bytes"] / per_frame,
        "raw float32": 12.0,
        "gzipped LAMMPS dump of 5 decimals": text / (DUMPED_FRAMES * positions.shape[1]),
    }
    xtc = _xtc(folder / "run.xtc", positions)
    notes = []
    if xtc is None:
        notes = ["XTC: skipped, mdtraj is not installed (`pip install mdtraj`)."]
    else:
        bytes_of["XTC, 0.01 Å"] = xtc / per_frame
    rows = [Row(f"{name}{when}", value, "B/atom/frame") for name, value in bytes_of.items()]
    megabytes = 12.0 * per_frame / 1e6
    speeds = {
        "write, MB of float32 per CPU second": megabytes / stored["write_s"],
        f"read all in blocks of {BLOCK_ATOMS} atoms": megabytes / stored["read_s"],
    }
    rows += [Row(f"{name}{when}", value, "MB/s") for name, value in speeds.items()]
    rows.append(Row(f"files of one run{when}", stored["n_files"]))
    return rows, notes


def _store(path: Path, positions: NDArray[Any], precision_A: float) -> dict[str, float]:
    """Write, read back by blocks of atoms, and compare."""
    n_frames, n_atoms, _ = positions.shape
    cells = np.broadcast_to(CELL_A * np.eye(3), (n_frames, 3, 3))
    numbers = np.sort(np.resize([3, 3, 15, 16, 16, 16, 32], n_atoms))
    with (
        clocked() as writing,
        TrajectoryWriter(
            path,
            group="production/ions",
            numbers=numbers,
            frame_interval_ps=0.1,
            precision_A=precision_A,
        ) as writer,
    ):
        for start in range(0, n_frames, PIECE_FRAMES):
            frames = slice(start, start + PIECE_FRAMES)
            writer.add(positions[frames], cells[frames])
    (group,) = open_trajectories(path)
    blocks = [slice(a, a + BLOCK_ATOMS) for a in range(0, n_atoms, BLOCK_ATOMS)]
    with clocked() as reading:
        for block in blocks:
            group.runs[0].positions(block)
    for block in blocks:
        error = np.abs(group.runs[0].positions(block) - positions[:, block]).max()
        if error > 0.501 * precision_A:
            msg = f"the store gave back positions that are {error} Å off"
            raise RuntimeError(msg)
    files = [file for file in path.rglob("*") if file.is_file()]
    return {
        "n_bytes": sum(file.stat().st_size for file in files),
        "n_files": len(files),
        "write_s": writing.cpu_s,
        "read_s": reading.cpu_s,
    }


def _gzipped_dump(path: Path, positions: NDArray[np.float64]) -> int:
    """Bytes of ``id type xu yu zu`` as LAMMPS writes it."""
    with gzip.open(path, "wt", compresslevel=6) as stream:
        for step, frame in enumerate(positions):
            stream.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(frame)}\n")
            bounds = f"0.0 {CELL_A}\n" * 3
            stream.write(f"ITEM: BOX BOUNDS pp pp pp\n{bounds}ITEM: ATOMS id type xu yu zu\n")
            stream.writelines(
                f"{i + 1} {1 + i % 4} {x:.5f} {y:.5f} {z:.5f}\n"
                for i, (x, y, z) in enumerate(frame.tolist())
            )
    return path.stat().st_size


def _xtc(path: Path, positions: NDArray[np.float64]) -> int | None:
    """Bytes of an XTC file, whose usual precision is 0.001 nm; None without mdtraj."""
    try:
        from mdtraj.formats import XTCTrajectoryFile
    except ImportError:
        return None
    n_frames = len(positions)
    with XTCTrajectoryFile(str(path), "w") as stream:
        stream.write(
            (positions / 10.0).astype(np.float32),
            time=np.arange(n_frames, dtype=np.float32),
            step=np.arange(n_frames, dtype=np.int32),
            box=np.tile(
                np.float32(CELL_A / 10.0) * np.eye(3, dtype=np.float32), (n_frames, 1, 1)
            ),
        )
    return path.stat().st_size
