"""Runs units on Dask workers: one unit for each free worker, results on disk."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.engine.settings import TAGS
from dasksse.engine.worker_setup import run_unit, unpack
from dasksse.errors import ClusterError
from dasksse.records import Done, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dasksse.engine.hub import Hub, Worker
    from dasksse.engine.jobs import JobKeeper
    from dasksse.records import Outcome, PoolState, Unit

STOPPABLE = frozenset({"TRAIN", "MD"})
"""Units with these tags stop at a checkpoint when their worker's time is up."""

LEAST_TIME_S = 5.0
"""A worker with less time left gets nothing more [s]."""

SILENT_S = 10.0
"""A unit that ended and whose outcome has not come for so long [s] is asked for again."""

SAFETY = 1.3
"""A unit that cannot be stopped needs so many times what the longest of its kind took."""


@dataclass
class _Flight:
    """A unit on its way."""

    unit: Unit
    future: Any
    worker: Worker


class DaskRunner:
    """Places units on workers itself: it knows how long each may take and each may live.

    Parameters
    ----------
    hub
        The scheduler and its workers.
    jobs
        Keeps the workers' jobs.
    run_dir
        Run folder, visible to all workers.
    reproducible
        True in comparison mode.
    """

    def __init__(
        self, hub: Hub, jobs: JobKeeper, run_dir: Path, *, reproducible: bool = False
    ) -> None:
        self._hub = hub
        self._jobs = jobs
        self._run_dir = run_dir
        self._reproducible = reproducible
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended_at: dict[str, float] = {}
        self._flights: dict[str, _Flight] = {}
        self._busy: dict[str, str] = {}  # name of the flight by worker address
        self._last_kind: dict[str, str] = {}
        self._longest_s: dict[str, float] = {}
        self._waiting: dict[str, int] = {}
        self._news: list[str] = []
        self._count = 0

    def describe(self) -> list[str]:
        """Say where the dashboard is and what the pools are."""
        from dasksse.engine.watching import dashboard_lines, looks_remote

        lines = dashboard_lines(
            self._hub.dashboard, self._hub.facts.host, is_remote=looks_remote()
        )
        return lines + [_pool_line(state) for state in self.pools()]

    def free_slots(self, tag: str, kind: str = "") -> int:
        """Workers that could take a unit of this tag and kind now."""
        if tag not in TAGS:
            msg = f"no worker offers the tag {tag!r}; offered are {TAGS}"
            raise ValueError(msg)
        return sum(1 for _ in self._candidates(tag, kind))

    def _candidates(self, tag: str, kind: str) -> Iterator[Worker]:
        if not self._hub.is_connected:
            return
        for address, worker in self._hub.workers.items():
            if address in self._busy or tag not in worker.tags:
                continue
            if worker.time_left_s() > self._need_s(tag, kind) and self._jobs.is_open(
                worker.job
            ):
                yield worker

    def _need_s(self, tag: str, kind: str) -> float:
        """Time that a unit needs before its worker ends [s]."""
        if tag in STOPPABLE:
            return LEAST_TIME_S
        most = self._jobs.longest_life_s(tag)
        return max(LEAST_TIME_S, min(SAFETY * self._longest_s.get(kind, 0.0), 0.9 * most))

    def submit(self, unit: Unit) -> None:
        """Start a unit on the worker that fits it best.

        A specialised worker is taken before one for all kinds of work, and one that did the
        same kind of work last before others: its engine is loaded.
        """
        candidates = self._candidates(unit.tag, unit.kind)
        worker = min(
            candidates,
            key=lambda w: (len(w.tags), self._last_kind.get(w.address) != unit.kind),
            default=None,
        )
        if worker is None:
            msg = f"no free worker takes {unit.tag} units"
            raise ClusterError(msg)
        self._count += 1
        name = f"{unit.kind}-{unit.key}-{self._count}"
        future = self._hub.client.submit(
            run_unit,
            unit,
            self._run_dir,
            flight=name,
            reproducible=self._reproducible,
            key=name,
            pure=False,
            workers=[worker.address],
            allow_other_workers=False,
            resources={unit.tag: 1},
        )
        self._flights[name] = _Flight(unit, future, worker)
        self._busy[worker.address] = name
        self._last_kind[worker.address] = unit.kind
        future.add_done_callback(lambda _: self._ended.put(name))

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Outcomes that arrived; units of lost workers come back as lost.

        Raises
        ------
        ClusterError
            When no pool can give a worker any more, or no scheduler can be started.
        """
        if hopeless := self._jobs.hopeless():
            msg = f"no workers can be had: {hopeless}"
            raise ClusterError(msg)
        if not self._hub.check():
            return self._restart()
        outcomes: list[Outcome] = []
        end = time.monotonic() + timeout_s
        while not outcomes and time.monotonic() < end:
            try:
                outcomes += self._landed(self._hub.outcomes.get(timeout=min(0.2, timeout_s)))
                while True:
                    outcomes += self._landed(self._hub.outcomes.get_nowait())
            except queue.Empty:
                pass
            if self._has_changed():
                break
        return outcomes + self._lost()

    def _has_changed(self) -> bool:
        """True when the driver should look: a worker was lost, or is free for what waits."""
        workers = self._hub.workers
        if any(flight.worker.address not in workers for flight in self._flights.values()):
            return True
        if not self._hub.is_alive:
            return True
        return any(
            count and next(self._candidates(tag, ""), None) is not None
            for tag, count in self._waiting.items()
        )

    def _restart(self) -> list[Outcome]:
        """Go on after the scheduler's death: all that ran is lost, the jobs will come back."""
        self.tell("the Dask scheduler died; a new one is started")
        lost = [
            Failed(flight.unit, "lost", "the Dask scheduler died", "")
            for flight in self._flights.values()
        ]
        self._flights.clear()
        self._busy.clear()
        self._hub.start()
        return list(lost)

    def _landed(self, message: tuple[str, str]) -> list[Outcome]:
        """Outcome of a flight, if it was still waited for."""
        name, text = message
        if name not in self._flights:
            return []
        flight = self._land(name)
        flight.future.release()
        outcome = unpack(flight.unit, text)
        if isinstance(outcome, Done):
            self._jobs.unit_done(flight.worker.job)
            longest = self._longest_s.get(flight.unit.kind, 0.0)
            self._longest_s[flight.unit.kind] = max(longest, outcome.wall_s)
        return [outcome]

    def _land(self, name: str) -> _Flight:
        flight = self._flights.pop(name)
        self._ended_at.pop(name, None)
        self._busy.pop(flight.worker.address, None)
        return flight

    def _lost(self) -> list[Outcome]:
        """Flights whose worker is gone, or that ended without a word."""
        now = time.monotonic()
        while not self._ended.empty():
            name = self._ended.get()
            if name in self._flights:
                self._ended_at[name] = now
        workers = self._hub.workers
        outcomes: list[Outcome] = []
        for name, flight in list(self._flights.items()):
            is_gone = flight.worker.address not in workers
            is_silent = now - self._ended_at.get(name, now) > SILENT_S
            if is_gone or is_silent or flight.future.status in {"error", "cancelled"}:
                self._land(name)
                outcomes.append(Failed(flight.unit, "lost", _why(flight), ""))
                flight.future.cancel(force=True)
        return outcomes

    def demand(self, waiting: Mapping[str, int]) -> None:
        """Let the pools follow the work."""
        self._waiting = dict(waiting)
        running: dict[str, int] = {}
        for flight in self._flights.values():
            running[flight.worker.job] = running.get(flight.worker.job, 0) + 1
        self._jobs.tell(waiting, running)

    def tell(self, text: str) -> None:
        """Add something to the news."""
        self._news.append(text)

    def news(self) -> list[str]:
        """What happened to workers and jobs."""
        news, self._news = self._news, []
        return news + self._jobs.news()

    def pools(self) -> list[PoolState]:
        """How the pools stand."""
        return self._jobs.states()

    def close(self) -> None:
        """End jobs, workers and scheduler."""
        self._hub.close(self._jobs.close)


def _why(flight: _Flight) -> str:
    """What became of a flight that brought no outcome."""
    if flight.future.status == "error":
        error = flight.future.exception()
        return f"worker {flight.worker.name}: {type(error).__name__}: {error}"
    return f"worker {flight.worker.name} was lost"


def _pool_line(state: PoolState) -> str:
    jobs = "job" if state.max_jobs == 1 else "jobs"
    return f"pool {state.name}: up to {state.max_jobs} {jobs} for {', '.join(state.tags)}"
