"""How Dask is set for units that take hours and run outside programs."""

from __future__ import annotations

from typing import Any

DASK_SETTINGS: dict[str, Any] = {
    # every task on a dying worker counts; the driver has its own budget of failures
    "distributed.scheduler.allowed-failures": 1000,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    # an engine that holds the GIL for minutes is no dead worker, one silent for half an hour is
    "distributed.scheduler.worker-ttl": "30 minutes",
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.daemon": False,
    "distributed.admin.tick.limit": "60s",
    # engines change slowly: look at CPU and memory of processes less often than twice a second
    "distributed.admin.system-monitor.interval": "2s",
    # what the performance report can show; each unit is kept in the scheduler's memory, 3 kB
    "distributed.scheduler.dashboard.tasks.task-stream-length": 5_000,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.comm.timeouts.tcp": "120s",
}


def set_up_dask() -> None:
    """Apply the settings to this process; children of a nanny inherit them."""
    import dask

    dask.config.set(DASK_SETTINGS)
