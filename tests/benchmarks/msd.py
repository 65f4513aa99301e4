"""Analysis and store: MSD against the direct sum, frames to and from disk, D from a store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Outcome, Row, clocked

from dasksse.analyse.msd import mean_squared_displacement
from dasksse.store.allocation import TrajectoryGroup, allocate
from dasksse.store.layout import scalar_names
from dasksse.store.trajectories import commit_runs, read_runs, write_run
from dasksse.store.trajectory_writer import TrajectoryWriter

if TYPE_CHECKING:
    from measure import Options
    from numpy.typing import NDArray

MSD_FRAMES, MSD_ATOMS, N_LAGS = 20_000, 360, 40
STORE_FRAMES, STORE_ATOMS = 5_000, 900
STREAM_FRAMES, STREAM_PIECE = 20_000, 1_000
LONG_FACTOR = 10
QUICK_FACTOR = 20
REPEATS = 3
TYPE_MAP = ("Li", "Ge", "P", "S")
GROUP = "production/lgps"
KEY = "0123456789abcdef"
FRAME_INTERVAL_PS = 0.1
CHILD = Path(__file__).with_name("store_child.py")


def measure(options: Options) -> Outcome:
    """Time the MSD of a random walk, one long run through the store, and D from a store."""
    factor = QUICK_FACTOR if options.is_quick else 1
    options.say("MSD")
    rows, note = _msd_rows(MSD_FRAMES // factor)
    options.say("store")
    rows += _store_rows(options.workdir, STORE_FRAMES // factor)
    for n_frames in (STREAM_FRAMES, STREAM_FRAMES * LONG_FACTOR)[: 1 + options.is_long]:
        options.say(f"D from a store of {n_frames // factor} frames")
        rows += _diffusion_rows(options.workdir, n_frames // factor)
    return Outcome(
        rows,
        notes=[
            note,
            (
                f"Store: one run of {STORE_ATOMS} atoms and {STORE_FRAMES // factor} frames, "
                "positions as float32, vibrations of 0.2 Å and a slow drift; MB are those of "
                f"the float32 positions; median of {REPEATS}; reading is from the page cache."
            ),
            (
                f"D from a store: {STORE_ATOMS} atoms, {MSD_ATOMS} Li, drift of the framework "
                "removed, all lags, tracer and collective, with errors; against reading the "
                f"positions of all atoms once; median of {REPEATS} in turns, each in a new "
                "process; memory is the most that the process grew by after its imports."
            ),
        ],
    )


def _msd_rows(n_frames: int) -> tuple[list[Row], str]:
    """FFT on all lags against the direct sum on some, scaled to all."""
    rng = np.random.default_rng(1)
    steps = rng.normal(0.0, 0.1, (n_frames, MSD_ATOMS, 3))
    positions = np.cumsum(steps, axis=0, out=steps)
    mean_squared_displacement(positions[:100])
    times = []
    for _ in range(REPEATS):
        with clocked() as clock:
            fast = mean_squared_displacement(positions)
        times.append(clock.cpu_s)
    # lags in the middle of equal stretches, so that their mean cost is that of all lags
    lags = ((np.arange(N_LAGS) + 0.5) * n_frames / N_LAGS).astype(int)
    with clocked() as clock:
        direct = _direct_msd(positions, lags)
    fft_s = median(times)
    direct_s = clock.cpu_s * n_frames / N_LAGS
    rows = [
        Row("MSD, direct sum over FFT", direct_s / fft_s),
        Row("MSD by FFT, CPU time", fft_s, "s"),
        Row("MSD by direct sum, scaled from some lags, CPU time", direct_s, "s"),
        Row("largest relative difference of the two MSDs",
            float(np.max(np.abs(fast[lags] / direct - 1.0))), "", at_most=1e-8),
    ]  # fmt: skip
    note = (
        f"MSD: {n_frames} frames x {MSD_ATOMS} atoms, float64, all time origins, one core; the "
        f"direct sum was done for {N_LAGS} evenly spaced lags and scaled to all."
    )
    return rows, note


def _direct_msd(positions: NDArray[np.float64], lags: NDArray[np.int64]) -> NDArray[np.float64]:
    """MSD [Å²] by its definition, shape ``(lag,)``."""
    values = []
    for lag in lags:
        step = positions[lag:] - positions[: len(positions) - lag]
        values.append(np.einsum("fax,fax->", step, step) / (step.shape[0] * step.shape[1]))
    return np.array(values)


def _store_rows(workdir: Path, n_frames: int) -> list[Row]:
    """Write and read one run; a new folder each time."""
    arrays = _trajectory(n_frames)
    group = TrajectoryGroup(
        path=GROUP,
        numbers=tuple(np.resize([3, 3, 32, 15, 16, 16], STORE_ATOMS).tolist()),
        type_map=TYPE_MAP,
        temperatures_K=(600.0,),
        pressures_GPa=(0.0,),
        replicas=(0,),
        seeds=(1,),
        n_frames=n_frames,
        frame_interval_ps=FRAME_INTERVAL_PS,
        equilibration_ps=0.0,
    )
    write_s, read_s = [], []
    for repeat in range(REPEATS):
        run_dir = workdir / f"store-{repeat}"
        run_dir.mkdir()
        allocate(run_dir, group)
        with clocked() as clock:
            write_run(run_dir, GROUP, 0, key=KEY, arrays=arrays)
        write_s.append(clock.wall_s)
        commit_runs(run_dir, GROUP, {0: (KEY, n_frames)})
        with clocked() as clock:
            runs, damaged = read_runs(run_dir, GROUP)
        read_s.append(clock.wall_s)
        if damaged or not np.allclose(runs[0].frames.positions, arrays["positions"], atol=1e-3):
            msg = f"the store gave back other frames: {damaged}"
            raise RuntimeError(msg)
    megabytes = arrays["positions"].nbytes / 1e6
    files = [p for p in (run_dir / "data.zarr").rglob("*") if p.is_file()]
    n_bytes = sum(path.stat().st_size for path in files)
    return [
        Row("store, write", megabytes / median(write_s), "MB/s"),
        Row("store, read", megabytes / median(read_s), "MB/s"),
        Row("store, bytes per atom and frame", n_bytes / (n_frames * STORE_ATOMS), "B",
            at_most=12.0),
        Row("store, files of the run", len(files)),
    ]  # fmt: skip


def _diffusion_rows(workdir: Path, n_frames: int) -> list[Row]:
    """D with its error from a store of many frames, against reading them once."""
    store = workdir / f"{n_frames}.zarr"
    _write_stream(store, n_frames)
    found: dict[str, list[dict[str, float]]] = {"diffusion": [], "sample": [], "read": []}
    for _ in range(REPEATS):
        for work, figures in found.items():
            figures.append(_in_child(work, store))
    times = {
        (work, clock): median(figure[clock] for figure in figures)
        for work, figures in found.items()
        for clock in ("wall_s", "cpu_s")
    }
    what = f"D from a store of {n_frames} frames"
    return [
        Row(f"{what} over reading it once, wall time",
            times["diffusion", "wall_s"] / times["read", "wall_s"], at_most=2),
        Row(f"{what} over reading it once, CPU time",
            times["diffusion", "cpu_s"] / times["read", "cpu_s"]),
        Row(f"MSDs alone from a store of {n_frames} frames over reading it once, CPU time",
            times["sample", "cpu_s"] / times["read", "cpu_s"]),
        Row(f"{what}, peak memory",
            max(figure["memory_MB"] for figure in found["diffusion"]), "MB", at_most=500),
        Row(f"{what}, CPU time", times["diffusion", "cpu_s"], "s"),
    ]  # fmt: skip


def _in_child(work: str, store: Path) -> dict[str, float]:
    command = [sys.executable, str(CHILD), work, str(store)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        msg = f"{CHILD.name} {work} failed:\n{result.stderr[-2000:]}"
        raise RuntimeError(msg)
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def _write_stream(store: Path, n_frames: int) -> None:
    """Ions that walk in a framework that vibrates, made and written piece by piece."""
    rng = np.random.default_rng(3)
    numbers = np.where(np.arange(STORE_ATOMS) < MSD_ATOMS, 3, 16)
    sites = rng.uniform(0.0, 26.0, (STORE_ATOMS, 3))
    facts = {"group": GROUP, "numbers": numbers, "frame_interval_ps": FRAME_INTERVAL_PS}
    with TrajectoryWriter(store, **facts, temperature_K=600.0) as writer:
        for _ in range(0, n_frames, STREAM_PIECE):
            n_piece = min(STREAM_PIECE, n_frames)
            positions = sites + rng.normal(0.0, 0.2, (n_piece, STORE_ATOMS, 3))
            walk = np.cumsum(rng.normal(0.0, 0.1, (n_piece, MSD_ATOMS, 3)), axis=0)
            positions[:, :MSD_ATOMS] += walk
            sites[:MSD_ATOMS] += walk[-1]
            writer.add(positions, np.broadcast_to(26.0 * np.eye(3), (n_piece, 3, 3)))


def _trajectory(n_frames: int) -> dict[str, NDArray[np.floating]]:
    """Atoms that vibrate about sites and drift a little: compresses as real frames do."""
    rng = np.random.default_rng(2)
    sites = rng.uniform(0.0, 26.0, (STORE_ATOMS, 3))
    drift = np.cumsum(rng.normal(0.0, 0.01, (n_frames, STORE_ATOMS, 3)), axis=0)
    vibration = rng.normal(0.0, 0.2, (n_frames, STORE_ATOMS, 3))
    return {
        "positions": (sites + drift + vibration).astype(np.float32),
        "cell": np.broadcast_to(26.0 * np.eye(3), (n_frames, 3, 3)),
        "scalars": rng.normal(1.0, 0.1, (n_frames, len(scalar_names(TYPE_MAP)))),
    }
