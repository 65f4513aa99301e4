"""D from a store, its MSDs alone, or all positions read once, in a process of its own.

    python store_child.py diffusion|sample|read STORE.zarr

Prints seconds and megabytes as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from peak_memory import forget_peak, peak_MB

from dasksse.analyse.diffusion import diffusion_of
from dasksse.analyse.paths import LARGEST_BLOCK
from dasksse.analyse.sample import sample_trajectories
from dasksse.store.stored_trajectory import StoredTrajectory, open_trajectories


def read_all(run: StoredTrajectory) -> float:
    """Every position once, the fastest way; returns how many there were."""
    n_values = 0
    for first in range(0, len(run.numbers), LARGEST_BLOCK):
        n_values += run.positions(slice(first, first + LARGEST_BLOCK)).size
    return float(n_values)


def sample(run: StoredTrajectory) -> float:
    """MSDs, tracer and collective, by ion and by stretch; returns the number of ions."""
    return float(sample_trajectories([run], "Li").n_walkers)


def diffusion(run: StoredTrajectory) -> float | None:
    """D with its error; returns the error."""
    sample = sample_trajectories([run], "Li")
    result = diffusion_of(
        sample,
        species="Li",
        frame_interval_ps=run.frame_interval_ps,
        volume_A3=float(np.abs(np.linalg.det(run.cells(slice(0, 1))))[0]),
    )
    return result.D_err_m2_s


def main() -> None:
    """Open the store and do one of the three."""
    work = {"diffusion": diffusion, "sample": sample, "read": read_all}[sys.argv[1]]
    before_MB = forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    ((run,),) = (group.runs for group in open_trajectories(Path(sys.argv[2])))
    result = work(run)
    figures = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "memory_MB": peak_MB() - before_MB,
        "result": result,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
