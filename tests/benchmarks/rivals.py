"""The MSD of one trajectory against other packages: time, memory, and the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Outcome, Row, SkippedError

if TYPE_CHECKING:
    from measure import Options
    from numpy.typing import NDArray

N_FRAMES, N_ATOMS, N_IONS = 20_000, 900, 360
QUICK_FACTOR = 20
ROUNDS = 3
CHILD = Path(__file__).with_name("rival_child.py")
OURS = ("dasksse", "dasksse_2_threads", "dasksse_kernel")
MODULES = {
    "pymatgen": "pymatgen.analysis.diffusion",
    "mdanalysis": "MDAnalysis, tidynamics",
    "kinisi": "kinisi",
    "pymatgen_kernel": "pymatgen.analysis.diffusion",
}
"""What must be importable for each way of the others."""
ALL_LAGS = ("pymatgen", "mdanalysis")
"""Packages that sum over all origins of as many lags as one likes, in reasonable time."""
AGREEMENT = 1e-6


def measure(options: Options) -> Outcome:
    """Each package in a process of its own, in turns, so that all meet the same load."""
    missing = {
        name: modules
        for name, modules in MODULES.items()
        if not _can_import(options.compare_python, modules)
    }
    others = [name for name in MODULES if name not in missing]
    if not others:
        msg = (
            f"{options.compare_python} has no {', '.join(set(MODULES.values()))}: install "
            "dasksse[compare], or name a Python that has them by --compare-python"
        )
        raise SkippedError(msg)
    n_frames = N_FRAMES // (QUICK_FACTOR if options.is_quick else 1)
    source = options.workdir / "positions.npy"
    np.save(source, _trajectory(n_frames))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*OURS, *others)}
    for number in range(1 if options.is_quick else ROUNDS):
        for name, figures in found.items():
            options.say(f"round {number + 1}: {name}")
            python = sys.executable if name in OURS else options.compare_python
            figures.append(_run(python, name, source, options.workdir))
    best = {name: {k: min(f[k] for f in fs) for k in fs[0]} for name, fs in found.items()}
    return Outcome(
        _rows(best, others, _difference(options.workdir, others)),
        breakdown=[{"way": name, **figures} for name, figures in best.items()],
        notes=[
            (
                f"{n_frames} frames x {N_ATOMS} atoms, MSD of {N_IONS} of them, positions "
                f"float32 in memory; least of {len(found['dasksse'])} rounds, each in a new "
                "process; memory is what the process grew by; kinisi sums 10 lags directly, "
                "pymatgen gives 200 lags after a transform of all atoms, the others all lags."
            ),
            *(f"Left out: {name} ({modules} missing)." for name, modules in missing.items()),
        ],
    )


def _rows(best: dict[str, dict[str, float]], others: list[str], difference: float) -> list[Row]:
    rows = []
    packages = [name for name in others if name in ALL_LAGS]
    if packages:
        cpu_s = min(best[name]["cpu_s"] for name in packages)
        wall_s = min(best[name]["wall_s"] for name in packages)
        two_s = best["dasksse_2_threads"]["wall_s"]
        rows += [
            Row("fastest other package by FFT over dasksse, CPU time of one thread",
                cpu_s / best["dasksse"]["cpu_s"], at_least=6),
            Row("fastest other package by FFT over dasksse in two threads, wall time",
                wall_s / two_s, at_least=10),
        ]  # fmt: skip
    if "pymatgen_kernel" in others:
        ratio = best["pymatgen_kernel"]["cpu_s"] / best["dasksse_kernel"]["cpu_s"]
        rows.append(Row("FFT kernel of pymatgen-analysis-diffusion over ours, CPU time", ratio))
    rows.append(Row("largest relative difference of the MSDs", difference, at_most=AGREEMENT))
    return rows


def _difference(folder: Path, others: list[str]) -> float:
    """Largest relative difference of any other MSD from ours, at its lags above 0."""
    ours = np.load(folder / "dasksse.npz")["msd"]
    largest = 0.0
    for name in (*OURS, *others):
        result = np.load(folder / f"{name}.npz")
        lags, msd = result["lags"], result["msd"]
        moved = lags > 0
        ratio = msd[moved] / ours[lags[moved]]
        largest = max(largest, float(np.max(np.abs(ratio - 1.0))))
    return largest


def _run(python: str, name: str, source: Path, folder: Path) -> dict[str, float]:
    result = subprocess.run(
        [python, str(CHILD), name, str(source), str(folder / f"{name}.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        msg = f"{name} failed:\n{result.stderr[-2000:]}"
        raise RuntimeError(msg)
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return figures


def _can_import(python: str, modules: str) -> bool:
    command = [python, "-c", f"import {modules}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _trajectory(n_frames: int) -> NDArray[np.float32]:
    """Ions that walk in a framework that vibrates about a centre that stands still."""
    rng = np.random.default_rng(1)
    positions = np.empty((n_frames, N_ATOMS, 3), np.float32)
    steps = rng.normal(0.0, 0.1, (n_frames, N_IONS, 3))
    positions[:, :N_IONS] = np.cumsum(steps, axis=0, out=steps)
    half = (N_ATOMS - N_IONS) // 2
    vibration = rng.normal(0.0, 0.2, (n_frames, half, 3))
    positions[:, N_IONS : N_IONS + half] = vibration
    positions[:, N_IONS + half :] = -vibration
    return positions
