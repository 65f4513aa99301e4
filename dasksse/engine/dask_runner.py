"""Runs units on a Dask cluster: about one task per free slot in flight, results on disk."""

from __future__ import annotations

import logging
import queue
from typing import TYPE_CHECKING, Any

from dasksse.loop.execute import execute_unit
from dasksse.records import Failed

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import SpecCluster

    from dasksse.records import Outcome, Unit

TAGS = ("TRAIN", "MD", "LABEL", "REDUCE")


def _close_engines() -> None:
    """End the resident engines of a worker."""
    from dasksse.explore import close_clients

    close_clients()


class DaskRunner:
    """Feeds a cluster whose workers offer the tags as Dask resources.

    Parameters
    ----------
    cluster
        A started Dask cluster; closed with the runner.
    run_dir
        Run folder, visible to all workers.
    threads
        Threads an engine may use.
    reproducible
        True in comparison mode.
    """

    def __init__(
        self,
        cluster: SpecCluster,
        run_dir: Path,
        *,
        threads: int = 1,
        reproducible: bool = False,
    ) -> None:
        from distributed import Client

        self._cluster = cluster
        self._run_dir = run_dir
        self._threads = threads
        self._reproducible = reproducible
        self._client = Client(cluster, set_as_default=False)
        self._arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._in_flight: dict[str, tuple[Unit, Any]] = {}
        self._count = 0

    def describe(self) -> str:
        """Say how many workers there are and where the dashboard is."""
        workers = len(self._cluster.workers)
        return f"dashboard {self._client.dashboard_link}   {workers} workers"

    def free_slots(self, tag: str) -> int:
        """Workers with this tag that have no unit yet."""
        if tag not in TAGS:
            msg = f"no worker offers the tag {tag!r}; offered are {TAGS}"
            raise ValueError(msg)
        return max(0, len(self._cluster.workers) - len(self._in_flight))

    def submit(self, unit: Unit) -> None:
        """Start a unit on a worker that offers its tag."""
        self._count += 1
        name = f"{unit.kind}-{unit.key}-{self._count}"
        future = self._client.submit(
            execute_unit,
            unit,
            self._run_dir,
            threads=self._threads,
            reproducible=self._reproducible,
            key=name,
            pure=False,
            resources={unit.tag: 1},
        )
        self._in_flight[name] = (unit, future)
        future.add_done_callback(lambda _: self._arrived.put(name))

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Outcomes that arrived; a lost worker's unit has gone to another one by itself."""
        names: list[str] = []
        try:
            names.append(self._arrived.get(timeout=timeout_s))
            while True:
                names.append(self._arrived.get_nowait())
        except queue.Empty:
            pass
        return [self._collect(name) for name in names if name in self._in_flight]

    def _collect(self, name: str) -> Outcome:
        unit, future = self._in_flight.pop(name)
        try:
            outcome: Outcome = future.result()
        except Exception as error:  # noqa: BLE001 - KilledWorker, unpickling, cancelled ...
            outcome = Failed(unit, "lost", f"{type(error).__name__}: {error}", "")
        future.release()
        return outcome

    def close(self) -> None:
        """End engines, workers and scheduler."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if self._in_flight:
            self._client.cancel([future for _, future in self._in_flight.values()], force=True)
        else:
            self._client.run(_close_engines)
        self._client.close(timeout=5)
        self._cluster.close(timeout=10)
