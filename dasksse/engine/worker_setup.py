"""Inside a worker process: its workplace, and leaving when its time is up."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from dasksse.records import Workplace

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import Outcome, Unit

WORKPLACE_VARIABLE = "DASKSSE_WORKPLACE"
CHECK_S = 0.5


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


def run_unit(unit: Unit, run_dir: Path, *, reproducible: bool) -> Outcome:
    """Run a unit on this worker; the one function that travels to workers."""
    from dasksse.loop.execute import execute_unit

    return execute_unit(unit, run_dir, workplace=workplace(), reproducible=reproducible)


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
