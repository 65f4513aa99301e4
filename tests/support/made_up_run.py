"""A run folder that looks like a run in its middle, written in a moment."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.folders import PROGRESS, RunFolder
from dasksse.store.journal import Journal, UnitRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STARTED = 1_795_000_000.0
BOLTZMANN_EV_K = 8.617333262e-5

_HOLD = """
import sys
from pathlib import Path
from dasksse.store.folders import FileLock
locks = [FileLock(Path(path)) for path in sys.argv[1:]]
assert all(lock.acquire() for lock in locks)
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(paths: Sequence[Path]) -> Iterator[None]:
    """Have another process hold locks."""
    command = [sys.executable, "-c", _HOLD, *map(str, paths)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate("")


def _row(kind: str, number: int, generation: int, at_s: float, **about: Any) -> UnitRow:
    return UnitRow(
        kind=kind,
        key=f"{kind}{number:012d}"[-16:],
        generation=generation,
        status=about.get("status", "done"),
        attempts=1,
        amount=about.get("amount", 1.0),
        wall_s=about.get("cpu_s", 60.0),
        cpu_s=about.get("cpu_s", 60.0),
        result=about["result"],
        ended=STARTED + at_s,
    )


def label_record(n_bad: int) -> dict[str, Any]:
    reason = "ScfError: CP2K exited with 1 in work/label/frame-00003\nnot self-consistent"
    return {"n": 8, "n_good": 8 - n_bad, "reasons": n_bad * [reason], "cores": 4}


def select_record(generation: int) -> dict[str, Any]:
    accurate = 1 - 0.75 * float(np.exp(-1.1 * generation))
    failed = 0.13 * float(np.exp(-1.4 * generation))
    return {
        "accurate": accurate,
        "candidate": 1 - accurate - failed,
        "failed": failed,
        "n_planned": 2400,
        "n_picks": 110,
        "levels": [0.12, 0.25],
        "frame_keys": [f"{i:016x}" for i in range(110)],
    }


def evaluate_record(generation: int) -> dict[str, Any]:
    error = 90 + 100 * float(np.exp(-0.8 * generation))
    return {
        "rmse": {
            "probe": {"mean": {"force_rmse_meV_A": error}, "std": {"force_rmse_meV_A": 6.0}}
        },
        "mean_deviation_eV_A": {"probe": 1.8e-3 * error - 0.02},
    }


def diffusion_point(temperature_K: float) -> dict[str, Any]:
    """One temperature; below 600 K only a bound is known."""
    D = 2.4e-8 * float(np.exp(-0.22 / BOLTZMANN_EV_K / temperature_K))
    is_known = temperature_K >= 600
    return {
        "species": "Li",
        "temperature_K": temperature_K,
        "D_m2_s": D if is_known else None,
        "D_err_m2_s": 0.2 * D if is_known else None,
        "upper_bound_m2_s": None if is_known else 3 * D,
        "regime": "diffusive" if is_known else "subdiffusive",
    }


def made_up_units(generations: int, per_kind: int) -> list[UnitRow]:
    """Units of so many generations, each with so many labels and MD runs."""
    rows = []
    for generation in range(generations):
        start = 3600.0 * generation
        rows += [
            _row(
                "label", 10_000 * generation + i, generation, start + 1500 * (i + 1) / per_kind,
                amount=8, result=label_record(n_bad=0 if i % 9 else 1),
            )
            for i in range(per_kind)
        ]  # fmt: skip
        rows += [
            _row("train", 10 * generation + i, generation, start + 2400, cpu_s=900, result={})
            for i in range(4)
        ]
        if generation == generations - 1:
            break
        rows += [
            _row(
                "md", 10_000 * generation + i, generation, start + 3000, result={"n_frames": 9}
            )
            for i in range(per_kind)
        ]
        for kind, record in (("select", select_record), ("evaluate", evaluate_record)):
            rows.append(
                _row(kind, generation, generation, start + 3200, result=record(generation))
            )
    reason = {"error": "SevenNet exited with 1 in work/label\nlast line", "attempts": 3}
    rows.append(_row("label", 999_999, 2, 9000, status="quarantined", amount=8, result=reason))
    return rows


def make_run_folder(
    root: Path, *, generations: int = 5, per_kind: int = 12, **facts: Any
) -> RunFolder:
    """Write journal and folders of a run that explores its last generation.

    Parameters
    ----------
    facts
        Instead of those of a running driver.
    """
    folder = RunFolder(root)
    folder.work.mkdir(parents=True)
    folder.resolved_config.write_text("name: made-up\n")
    (root / "driver.lock").touch()
    points = [diffusion_point(t) for t in (500.0, 600.0, 700.0, 800.0, 1000.0)]
    record = {"group": "production/lgps", "points": points}
    rows = made_up_units(generations, per_kind)
    rows.append(_row("diffusion", 0, generations, 3600 * generations, result=record))
    pools = [
        {
            "name": "gpu", "tags": ["TRAIN", "MD"], "jobs_running": 2, "jobs_queued": 3,
            "max_jobs": 8, "workers": 2, "units_running": 2,
            "trouble": "sbatch: error: QOSMaxGRESPerUser: wait for another job to end",
        },
        {
            "name": "cpu", "tags": ["LABEL", "REDUCE"], "jobs_running": 4, "jobs_queued": 0,
            "max_jobs": 40, "workers": 16, "units_running": 1, "trouble": "",
        },
    ]  # fmt: skip
    known = {
        "state": "running",
        "stage": f"exploration of generation {generations - 1}",
        "ready": {"md": {"units": 14, "amount": 70_000}, "label": {"units": 4, "amount": 32}},
        "pools": pools,
        "eta_s": 8040.0,
        "wall_s": 15_300.0,
        "dashboard": "http://127.0.0.1:8787/status",
        "updated": STARTED + 15_300.0,
    }
    journal = Journal(folder.journal)
    journal.write(
        units=rows,
        events=[
            (STARTED + i, f"generation {i}: 4 models on {120 + 55 * i} labels")
            for i in range(10)
        ],
        facts={**known, **facts},
    )
    journal.close()
    return folder


def start_units(folder: RunFolder) -> list[Path]:
    """Staging folders of two MD units and a label unit; their locks, for :func:`held`."""
    locks = []
    for kind, key, done in (
        ("md", "a" * 16, 2500),
        ("md", "b" * 16, 1200),
        ("label", "c" * 16, 3),
    ):
        part = folder.part(kind, key)
        part.mkdir(parents=True)
        (part / PROGRESS).write_text(json.dumps({"done": done, "note": "at 600 K"}))
        locks.append(part / ".lock")
    dead = folder.part("md", "d" * 16)
    dead.mkdir(parents=True)
    (dead / ".lock").touch()
    return [folder.root / "driver.lock", *locks]
