"""Overhead of a unit of work: many trivial units through Dask, and some without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from measure import Clock, Outcome, Row, clocked, local_engine

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, make_runner
from dasksse.loop.units import start_unit_for
from dasksse.loop.walk import make_unit
from dasksse.records import Failed, Frames, Unit

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Options

    from dasksse.records import Runner

N_UNITS, N_SERIAL, WARM_UP = 1000, 200, 8
QUICK_UNITS, QUICK_SERIAL = 20, 10
SYSTEM_FILE = "system.npz"


def measure(options: Options) -> Outcome:
    """Send the units around as the driver does: a new one for every free worker."""
    n_units = QUICK_UNITS if options.is_quick else N_UNITS
    n_serial = QUICK_SERIAL if options.is_quick else N_SERIAL
    options.say(f"{n_serial} units in this process")
    serial = _run(options.workdir / "serial", {"kind": "serial"}, n_serial)
    options.say(f"{n_units} units on {options.workers} Dask workers")
    dask = _run(options.workdir / "dask", local_engine(options.workers), n_units)
    unit_ms = 1000 * dask.wall_s / n_units
    alone_ms = 1000 * serial.wall_s / n_serial
    return Outcome(
        [
            Row("overhead of Dask per unit", unit_ms - alone_ms / options.workers, "ms"),
            Row("wall time per unit through Dask", unit_ms, "ms"),
            Row("wall time per unit in one process", alone_ms, "ms"),
            Row("units per second through Dask", 1000 / unit_ms, "1/s"),
        ],
        notes=[
            (
                f"{n_units} units through the runner, {n_serial} without: two rattled copies "
                "of two atoms each, with staging folder, lock, record and rename; about one "
                "unit per worker in flight, as in a run. Overhead is wall time per unit less "
                "the unit's own time over the number of workers."
            ),
        ],
    )


def _run(run_dir: Path, engine: dict[str, object], n_units: int) -> Clock:
    """Wall and CPU time of the units; workers have imported everything before."""
    run_dir.mkdir()
    molecule = Frames(np.array([3, 17]), np.array([[[0.0, 0, 0], [2.5, 2.5, 2.5]]]), CELL)
    molecule.save(run_dir / SYSTEM_FILE)
    section = RegistrySection.model_validate(engine)
    runner = make_runner(section, Start(run_dir))
    try:
        _drive(runner, [_unit(seed) for seed in range(WARM_UP)])
        with clocked() as clock:
            _drive(runner, [_unit(WARM_UP + seed) for seed in range(n_units)])
    finally:
        runner.close()
    return clock


CELL = 5.0 * np.eye(3)[None]
"""Cell of the two atoms [Å], shape ``(frame, lattice, xyz)``."""


def _unit(seed: int) -> Unit:
    """The cheap unit that ``dasksse doctor`` sends around, with a seed of its own."""
    payload = {**start_unit_for(SYSTEM_FILE).payload, "seed": seed}
    return make_unit("start", "REDUCE", "structures:start_set", payload)


def _drive(runner: Runner, units: list[Unit]) -> None:
    """Keep the workers busy until all units are done.

    Raises
    ------
    RuntimeError
        When a unit fails.
    """
    waiting = list(reversed(units))
    n_done = 0
    while n_done < len(units):
        while waiting and runner.free_slots(waiting[-1].tag) > 0:
            runner.submit(waiting.pop())
        outcomes = runner.wait(1.0)
        errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
        if errors:
            msg = f"a trivial unit failed: {errors[0]}"
            raise RuntimeError(msg)
        n_done += len(outcomes)
