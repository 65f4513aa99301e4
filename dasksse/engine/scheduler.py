"""The Dask scheduler as a process of its own: ``python -m dasksse.engine.scheduler``.

It dies with its driver. When it dies alone, the driver starts another one, and jobs find that
through the run's ``scheduler.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from dasksse.engine.dask_settings import set_up_dask
from dasksse.engine.folder import ClusterFolder, SchedulerFacts
from dasksse.engine.tls import security

TOPIC = "dasksse-workers"
"""Events of workers that come and go, for the driver."""


def worker_facts(state: Any) -> dict[str, Any]:  # noqa: ANN401 - Dask's WorkerState
    """What the driver wants to know of a worker."""
    facts: dict[str, Any] = state.extra.get("dasksse") or {}
    return {"address": state.address, "name": str(state.name), "pid": state.pid, **facts}


def list_workers(dask_scheduler: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Facts of all workers; runs in the scheduler."""
    return [worker_facts(state) for state in dask_scheduler.workers.values()]


def _watch_workers(scheduler: Any) -> None:  # noqa: ANN401 - Dask's Scheduler
    from distributed.diagnostics.plugin import SchedulerPlugin

    class WorkerWatch(SchedulerPlugin):
        """Tells the driver at once who came and who went."""

        def add_worker(self, scheduler: Any, worker: str) -> None:  # noqa: ANN401
            facts = worker_facts(scheduler.workers[worker])
            scheduler.log_event(TOPIC, {"action": "add", **facts})

        def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ANN401
            scheduler.log_event(TOPIC, {"action": "remove", "address": worker})

    scheduler.add_plugin(WorkerWatch(), name="dasksse-workers")


async def serve(arguments: argparse.Namespace) -> None:
    """Run a scheduler until it is told to end."""
    from distributed import Scheduler

    folder = ClusterFolder(arguments.folder)
    scheduler = Scheduler(
        host=arguments.host,
        interface=arguments.interface,
        port=arguments.port,
        protocol="tls" if arguments.tls else "tcp",
        security=security(folder.tls, tls=arguments.tls),
        dashboard=True,
        dashboard_address=f"127.0.0.1:{arguments.dashboard_port}",
    )
    async with scheduler:
        _watch_workers(scheduler)
        with contextlib.suppress(Exception):  # a link less, whatever Dask changed
            from dasksse.engine.science_page import link_science_page

            link_science_page(scheduler)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(
                number, lambda: asyncio.ensure_future(scheduler.close(reason="asked to end"))
            )
        folder.write_scheduler(
            SchedulerFacts(
                session=arguments.session,
                address=scheduler.address,
                pid=os.getpid(),
                host=socket.gethostname(),
                dashboard_port=scheduler.http_server.port,
                tls=arguments.tls,
            )
        )
        await scheduler.finished()


def main(words: list[str]) -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m dasksse.engine.scheduler")
    parser.add_argument("folder", type=Path, help="cluster folder of the run")
    parser.add_argument("--session", type=int, required=True, help="number of this scheduler")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--interface", help="network interface to listen on")
    parser.add_argument("--port", type=int, default=0, help="port, any free one if 0")
    parser.add_argument("--dashboard-port", type=int, default=8787, help="on loopback")
    parser.add_argument("--tls", action="store_true", help="use the run's keys")
    arguments = parser.parse_args(words)
    set_up_dask()
    _add_page(arguments.folder.parent)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments))
    return 0


def _add_page(run_dir: Path) -> None:
    """Put the run's science page on the dashboard; go on without it where that fails."""
    try:
        from dasksse.engine.science_page import add_science_page

        add_science_page(run_dir)
    except Exception as error:  # noqa: BLE001 - whatever Bokeh or Dask changed
        sys.stderr.write(f"no science page: {type(error).__name__}: {error}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
