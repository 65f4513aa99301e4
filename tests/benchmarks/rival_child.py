"""MSD of ions by one package in a process of its own; prints what it took as JSON.

    python rival_child.py PACKAGE POSITIONS.npy OUTPUT.npz

Runs in any Python that has numpy and the package. Positions are float32, of shape
``(frame, atom, xyz)``.
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from peak_memory import forget_peak, peak_MB

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Measured = tuple[Callable[[], NDArray[np.float64]], NDArray[np.int64]]
    """What computes the MSD [Å²], and the lags it gives [frames]."""

N_IONS = 360
"""The first atoms of the trajectory are lithium, all others sulphur."""
CELL_A = 100.0
DIRECT_LAGS = 10
"""Lags of a package that sums directly; all would take it an hour."""


def _ours(positions: NDArray[np.float32], n_threads: int) -> Measured:
    from dasksse.analyse.block_sums import species_msd
    from dasksse.engine.reductions import thread_starmap
    from dasksse.records import MemoryTrajectory

    numbers = np.where(np.arange(positions.shape[1]) < N_IONS, 3, 16)
    run = MemoryTrajectory(numbers, positions, CELL_A * np.eye(3), 0.1)

    def compute() -> NDArray[np.float64]:
        with thread_starmap(n_threads) as starmap:
            return species_msd([run], "Li", elements=["Li"], starmap=starmap)["Li"].sum(axis=1)

    return compute, np.arange(len(positions))


def dasksse(positions: NDArray[np.float32]) -> Measured:
    """Species MSD from a trajectory in memory, drift of the framework removed."""
    return _ours(positions, 1)


def dasksse_2_threads(positions: NDArray[np.float32]) -> Measured:
    """The same in two threads."""
    return _ours(positions, 2)


def dasksse_kernel(positions: NDArray[np.float32]) -> Measured:
    """The kernel alone, from float64 of the ions in the order it likes."""
    from dasksse.analyse.msd import columns_of, squared_displacements

    columns = columns_of(positions[:, :N_IONS])
    return (
        lambda: squared_displacements(columns).sum(axis=0) / N_IONS,
        np.arange(len(positions)),
    )


def pymatgen_kernel(positions: NDArray[np.float32]) -> Measured:
    """The FFT kernel inside pymatgen-analysis-diffusion, in the order it likes."""
    from pymatgen.analysis.diffusion import analyzer

    kernel = analyzer._msd_from_positions_fft
    ions = positions[:, :N_IONS].transpose(1, 0, 2)
    ordered = np.ascontiguousarray(ions, dtype=np.float64)
    return lambda: kernel(ordered).sum(axis=2).mean(axis=0), np.arange(len(positions))


def pymatgen(positions: NDArray[np.float32]) -> Measured:
    """DiffusionAnalyzer of pymatgen-analysis-diffusion from displacements that are ready."""
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Lattice, Structure

    n_frames, n_atoms = positions.shape[:2]
    symbols = ["Li"] * N_IONS + ["S"] * (n_atoms - N_IONS)
    structure = Structure(Lattice.cubic(CELL_A), symbols, np.zeros((n_atoms, 3)))
    moved = positions.transpose(1, 0, 2).astype(np.float64)
    moved -= moved[:, :1].copy()
    settings = {"smoothed": "max", "min_obs": 30, "time_step": 2, "step_skip": 50}

    def analyzed() -> Any:
        return DiffusionAnalyzer(structure, moved, "Li", 600.0, **settings)

    # lags are chosen as in the package, from 1 ps on
    longest = min(N_IONS * n_frames // settings["min_obs"], n_frames)
    lags = np.arange(10, longest, max((longest - 10) // 200, 1))
    return lambda: np.asarray(analyzed().msd), lags


def mdanalysis(positions: NDArray[np.float32]) -> Measured:
    """EinsteinMSD of MDAnalysis by FFT, which removes no drift."""
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    universe = MDAnalysis.Universe.empty(positions.shape[1], trajectory=True)
    universe.load_new(positions, order="fac", dt=0.1)
    select = f"index 0:{N_IONS - 1}"
    return (
        lambda: EinsteinMSD(universe, select=select, fft=True).run().results.timeseries,
        np.arange(len(positions)),
    )


def kinisi(positions: NDArray[np.float32]) -> Measured:
    """Direct sums of kinisi at some lags, from displacements that are ready."""
    import scipp
    from kinisi.displacement import calculate_msd

    lags = np.linspace(1, len(positions) // 2, DIRECT_LAGS).astype(np.int64)
    moved = positions[1:, :N_IONS] - positions[0, :N_IONS].astype(np.float64)
    index = scipp.array(dims=["time interval"], values=lags)
    parsed = SimpleNamespace(
        displacements=scipp.array(dims=["obs", "particle", "dimension"], values=moved),
        dt_index=index,
        dt=index * scipp.scalar(0.1, unit="ps"),
        dimensionality=scipp.scalar(3),
    )
    return lambda: calculate_msd(parsed, progress=False)["da"].values, lags


PACKAGES: dict[str, Callable[[NDArray[np.float32]], Measured]] = {
    function.__name__: function
    for function in (
        dasksse,
        dasksse_2_threads,
        dasksse_kernel,
        pymatgen_kernel,
        pymatgen,
        mdanalysis,
        kinisi,
    )
}


def main() -> None:
    """Compute once on the beginning, to warm up, and once on all for the clock."""
    name, source, target = sys.argv[1:]
    positions = np.load(source)
    PACKAGES[name](positions[: len(positions) // 10])[0]()
    compute, lags = PACKAGES[name](positions)
    before_MB = forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    msd = compute()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory_MB = peak_MB() - before_MB
    np.savez(target, lags=lags[: len(msd)], msd=msd)
    figures = {"wall_s": wall, "cpu_s": cpu, "memory_MB": memory_MB}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
