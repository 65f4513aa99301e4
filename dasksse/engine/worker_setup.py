"""Inside a worker process: its workplace, and leaving when its time is up."""

from __future__ import annotations

import json
import os
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dasksse.records import Done, Failed, Workplace

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import Outcome, Unit

WORKPLACE_VARIABLE = "DASKSSE_WORKPLACE"
CHECK_S = 0.5

OUTCOMES = "dasksse-outcomes"
"""Events that carry what became of units."""

_running: set[str] = set()
"""Units that this process works on."""


def _values() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(os.environ.get(WORKPLACE_VARIABLE, "{}"))
    return values


def workplace() -> Workplace:
    """What this worker gives its units."""
    values = _values()
    values.pop("job", None)
    return Workplace(**{**values, "prefix": tuple(values.get("prefix", ()))})


async def startup_facts(worker: Any) -> dict[str, Any]:  # noqa: ANN401 - Dask's Worker
    """What the scheduler is told when the worker registers."""
    values = _values()
    return {
        "pool": values.get("pool", ""),
        "job": values.get("job", ""),
        "stop_at": values.get("stop_at"),
        "tags": sorted(worker.state.total_resources),
    }


def run_unit(unit: Unit, run_dir: Path, *, flight: str, reproducible: bool) -> None:
    """Run a unit on this worker and tell the driver; the one function that travels to workers.

    The outcome goes over the stream that worker, scheduler and driver keep open. Fetched as a
    result it would need connections of its own, and hundreds of workers would wait for them.
    """
    from distributed import get_worker

    from dasksse.loop.execute import execute_unit

    _running.add(flight)
    try:
        outcome = execute_unit(unit, run_dir, workplace=workplace(), reproducible=reproducible)
    finally:
        _running.discard(flight)
    get_worker().log_event(OUTCOMES, {"flight": flight, "outcome": pack(outcome)})


def pack(outcome: Outcome) -> str:
    """An outcome without its unit, as JSON."""
    values = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    del values["unit"]
    return json.dumps([type(outcome).__name__, values])


def unpack(unit: Unit, text: str) -> Outcome:
    """Restore what :func:`pack` packed."""
    name, values = json.loads(text)
    return {"Done": Done, "Failed": Failed}[name](unit, **values)


async def dask_setup(worker: Any) -> None:  # noqa: ANN401 - Dask's Worker; called by preloading
    """Let the worker leave by itself when its time is up and no unit runs."""
    from tornado.ioloop import PeriodicCallback

    stop_at = workplace().stop_at
    if stop_at is None:
        return

    async def leave_in_time() -> None:
        if time.time() >= stop_at and not worker.state.executing:
            await worker.close(nanny=True, reason="walltime")

    callback = PeriodicCallback(leave_in_time, 1000 * CHECK_S)
    worker.periodic_callbacks["dasksse-walltime"] = callback
    callback.start()


def dask_teardown(worker: Any) -> None:  # noqa: ANN401, ARG001 - called by preloading
    """End the process at once when a unit still runs, and its engines with it.

    Dask would wait for the thread, half a minute. Nothing is gained by that: the scheduler is
    gone or the job has to end, and the unit goes on from its last checkpoint elsewhere.
    """
    if _running:
        os._exit(1)
