"""Times of MD steps, by the engine that explores and produces; and laws through them."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import ExplorationError
from dasksse.records import Frames, Json, UnitContext
from dasksse.store.folders import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.explore.lammps_client import LammpsClient
    from dasksse.explore.md_spec import MdSpec

ROWS = "rows.json"
"""Measurements that are done; a broken-off attempt goes on behind them."""

WARM_UP_STEPS = 10
"""Not timed: the first steps load, compile and fill caches."""

TIME_MARGIN = 1.3
"""A measurement is begun if so many times the longest one of this attempt fits in the time."""

SECONDS_PER_HOUR, FS_PER_NS = 3600.0, 1e6


# --- measurement -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where one crystal is timed."""

    spec: MdSpec
    start: Frames
    folder: Path


def measure(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Time the steps of every cell, with one model and with all, one after the other.

    Frames and deviations are written as in production. The time of a step is that of a run
    over its steps: it has a share of the one setup (a neighbour list and a step more).

    Returns
    -------
    dict
        ``rows``: ``cell``, ``n_atoms``, ``n_models``, ``seconds_per_step`` of each repeat,
        ``reason`` where there is none, and ``machine``, see :func:`machine`.
    """
    done = context.workdir / ROWS
    rows: list[dict[str, Any]] = read_json(done) if done.exists() else []
    known = {(row["cell"], row["n_models"]) for row in rows}
    models = [str(context.run_dir / path) for path in payload["spec"]["models"]]
    ensembles = [models[:1], models] if len(models) > 1 else [models]
    todo = [(used, cell) for used in ensembles for cell in payload["cells"]]
    longest_s = 0.0
    for used, cell in todo:
        if (cell["name"], len(used)) in known:
            continue
        context.workplace.check_time(TIME_MARGIN * longest_s)
        started = time.monotonic()
        rows.append(_row(payload, context, used, cell))
        longest_s = max(longest_s, time.monotonic() - started)
        write_json(done, rows)
        context.progress(len(rows) / len(todo), f"{cell['name']}, {len(used)} models")
    return {"rows": rows}


def _row(
    payload: Mapping[str, Json],
    context: UnitContext,
    models: Sequence[str],
    cell: Mapping[str, Json],
) -> dict[str, Any]:
    """Times of one cell with some models."""
    from dasksse.explore import MdSpec
    from dasksse.explore.lammps_client import LammpsFailure, lammps_client
    from dasksse.explore.lammps_setup import EngineSetup

    spec = MdSpec.from_json({**payload["spec"], "models": list(models)})
    start = Frames.load(context.run_dir / cell["structure_file"])
    place = context.workplace
    setup = EngineSetup(
        spec.models,
        spec.type_map,
        spec.frame_interval_steps,
        spec.zbl,
        place.threads,
        place.prefix,
    )
    row = {
        "cell": cell["name"],
        "n_atoms": start.n_atoms,
        "n_models": len(models),
        "machine": machine(context),
    }
    seconds: list[float] = []
    reason = ""
    try:
        with lammps_client(setup) as client:
            at = _Place(spec, start, context.workdir)
            seconds = _times(client, at, payload, place.hung_after_s)
    except (LammpsFailure, ExplorationError) as error:
        reason = str(error)
    return {**row, "seconds_per_step": seconds, "reason": reason}


def _times(
    client: LammpsClient, at: _Place, payload: Mapping[str, Json], hung_after_s: float
) -> list[float]:
    """Seconds for a step, of each repeat."""
    from dasksse.explore.lammps_client import LammpsFailure
    from dasksse.explore.lammps_input import output_commands, start_commands
    from dasksse.explore.segments import END_STATE, write_arrays
    from dasksse.explore.start_state import start_state

    spec = at.spec
    state = start_state(
        at.start, spec.type_map, temperature_K=spec.temperature_K, seed=spec.seed
    )
    first = at.folder / "start.npz"
    write_arrays(first, {END_STATE + name: array for name, array in state.items()})
    output = output_commands(
        spec.frame_interval_steps,
        dump_file=at.folder / "timed.dump",
        log_file=at.folder / "timed.log",
    )
    begin = start_commands(spec, volume_A3=float(at.start.volumes_A3[0]))
    steps, n_steps, seconds = 0, WARM_UP_STEPS, []
    for repeat in range(payload["repeats"] + 1):
        started = time.monotonic()
        facts = client.run(
            state_in=None if repeat else first,
            commands=output if repeat else [*begin, *output],
            steps=n_steps,
            state_out=at.folder / "end.npz",
            hung_after_s=hung_after_s,
        )
        elapsed_s = time.monotonic() - started
        client.take_deviation_rows()
        steps += n_steps
        if facts["step"] < steps:
            msg = f"blew up at step {facts['step']}: {facts['temp']:.0f} K"
            raise LammpsFailure(msg)
        if repeat:
            seconds.append(elapsed_s / n_steps)
        n_steps = payload["n_steps"]
    return seconds


def machine(context: UnitContext) -> dict[str, Any]:
    """What a time depends on: processor, its cores, threads, ranks, GPUs, how busy it is."""
    from dasksse.process import ranks_of

    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return {
        "cpu": _listed(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cpu_cores": os.cpu_count(),
        "threads": context.workplace.threads,
        "ranks": ranks_of(context.workplace.prefix),
        "gpus": [_listed(path, "Model") for path in gpus],
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def _listed(path: Path, name: str) -> str:
    """Value of a ``name : value`` line; empty without one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


# --- laws ------------------------------------------------------------------------------------


def hours_per_ns(seconds_per_step: float, timestep_fs: float) -> float:
    """Wall time of a nanosecond [h]."""
    return seconds_per_step * FS_PER_NS / timestep_fs / SECONDS_PER_HOUR


def laws(n_atoms: Sequence[int], seconds: Sequence[float]) -> dict[str, float | None] | None:
    """Line ``t = a + b N`` and power law ``t ~ N^p`` through times of steps; None below two.

    Both by least squares of relative deviations, as times scatter in proportion to themselves.
    Standard errors are those of the scatter about the curve, and None for two points.

    Returns
    -------
    dict or None
        ``a_s``, ``b_s_per_atom``, ``exponent`` and each with ``_err``.
    """
    sizes, times = np.asarray(n_atoms, dtype=float), np.asarray(seconds, dtype=float)
    if len(set(n_atoms)) < 2:  # noqa: PLR2004 - a line has two parameters
        return None
    ones = np.ones(len(sizes))
    line, line_err = _fitted(np.column_stack([ones, sizes]) / times[:, None], ones)
    power, power_err = _fitted(np.column_stack([ones, np.log(sizes)]), np.log(times))
    return {
        "a_s": line[0],
        "a_s_err": line_err[0],
        "b_s_per_atom": line[1],
        "b_s_per_atom_err": line_err[1],
        "exponent": power[1],
        "exponent_err": power_err[1],
    }


def _fitted(
    design: np.ndarray, target: np.ndarray
) -> tuple[list[float], list[float] | list[None]]:
    """Two parameters by least squares, and their standard errors."""
    parameters, *_ = np.linalg.lstsq(design, target, rcond=None)
    n_free = len(target) - 2
    values = [float(value) for value in parameters]
    if n_free < 1:
        return values, [None, None]
    residual = target - design @ parameters
    covariance = np.linalg.inv(design.T @ design) * float(residual @ residual) / n_free
    return values, [float(error) for error in np.sqrt(np.diag(covariance))]
