"""The driver's side of the scheduler: its process, the client, and who works for it."""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.engine.dask_settings import set_up_dask
from dasksse.engine.folder import SchedulerFacts
from dasksse.engine.scheduler import TOPIC, list_workers
from dasksse.engine.tls import make_keys, security
from dasksse.engine.worker_setup import OUTCOMES
from dasksse.errors import ClusterError
from dasksse.process import end_process, launch, read_log_tail

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from dasksse.engine.folder import ClusterFolder

START_TIMEOUT_S = 90.0
RESYNC_S = 15.0
DEAF_S = 30.0
"""A scheduler that cannot be spoken to for so long [s] is started anew."""


@dataclass(frozen=True)
class Worker:
    """A worker process that takes one unit at a time.

    Attributes
    ----------
    address
        Dask's address.
    name
        Name on the dashboard.
    pool, job
        Where it belongs.
    tags
        Units it takes.
    stop_at
        When it wants to be free, seconds since the epoch; None for never.
    """

    address: str
    name: str
    pool: str
    job: str
    tags: frozenset[str]
    stop_at: float | None

    def time_left_s(self) -> float:
        """Time until it wants to be free [s]."""
        return float("inf") if self.stop_at is None else self.stop_at - time.time()


@dataclass(frozen=True)
class Listening:
    """Where a scheduler listens."""

    host: str | None = "127.0.0.1"
    interface: str | None = None
    port: int = 0
    dashboard_port: int = 8787
    tls: bool = True


class Hub:
    """A scheduler in its own process, started anew when it dies.

    Parameters
    ----------
    folder
        Cluster folder of the run.
    listening
        Where it listens.

    Raises
    ------
    ClusterError
        When the scheduler cannot be started; carries the end of its log.
    """

    def __init__(self, folder: ClusterFolder, listening: Listening) -> None:
        self._folder = folder
        self._listening = listening
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}
        self._synced = 0.0
        self._connected = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._report = contextlib.ExitStack()
        self._record_to: Path | None = None
        self.outcomes: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        """Name and packed outcome of each flight that has landed."""
        self.client: Any = None
        """Dask client, a new one after each start."""
        set_up_dask()
        # a dead scheduler is ours to tell; Dask would print tracebacks over the progress
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if listening.tls:
            make_keys(folder.tls)
        before = folder.read_scheduler()
        self.facts = before or SchedulerFacts(0, "")
        self.start()

    def start(self) -> None:
        """Start a scheduler and connect to it."""
        from distributed import Client

        self._drop()
        session = self.facts.session + 1
        self._process = self._launch(session)
        self.facts = self._await_scheduler(session)
        self.client = Client(
            self.facts.address,
            security=security(self._folder.tls, tls=self._listening.tls),
            set_as_default=False,
            timeout=START_TIMEOUT_S,
            name="dasksse-driver",
        )
        self.client.subscribe_topic(TOPIC, self._note)
        self.client.subscribe_topic(OUTCOMES, self._note_outcome)
        self._sync()
        self._record()

    def _launch(self, session: int) -> subprocess.Popen[bytes]:
        where = self._listening
        words = [sys.executable, "-m", "dasksse.engine.scheduler", str(self._folder.root)]
        words += ["--session", str(session), "--port", str(where.port)]
        # the same as before, so that an open page or an ssh tunnel goes on
        dashboard_port = self.facts.dashboard_port or where.dashboard_port
        words += ["--dashboard-port", str(dashboard_port)]
        for option, value in (("--host", where.host), ("--interface", where.interface)):
            words += [option, value] if value else []
        words += ["--tls"] if where.tls else []
        with self._log.open("ab") as log:
            return launch(words, workdir=self._folder.root, stdout=log)

    @property
    def _log(self) -> Path:
        return self._folder.logs / "scheduler.log"

    def _await_scheduler(self, session: int) -> SchedulerFacts:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.is_alive:
            facts = self._folder.read_scheduler()
            if facts is not None and facts.session == session and facts.address:
                return facts
            time.sleep(0.05)
        self._drop()
        msg = (
            f"the Dask scheduler did not start; end of {self._log}:\n{read_log_tail(self._log)}"
        )
        raise ClusterError(msg)

    @property
    def is_alive(self) -> bool:
        """True while the scheduler's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_connected(self) -> bool:
        """True while the scheduler can be spoken to."""
        return self.client is not None and self.client.status == "running"

    @property
    def dashboard(self) -> str:
        """Address of the dashboard on this machine."""
        return f"http://127.0.0.1:{self.facts.dashboard_port}/status"

    @property
    def workers(self) -> dict[str, Worker]:
        """Workers by address."""
        with self._lock:
            return dict(self._workers)

    def _note(self, event: tuple[float, dict[str, Any]]) -> None:
        """Hear of a worker; called in the client's thread."""
        _, message = event
        with self._lock:
            if message["action"] == "remove":
                self._workers.pop(message["address"], None)
            else:
                self._workers[message["address"]] = _worker(message)

    def _note_outcome(self, event: tuple[float, dict[str, str]]) -> None:
        """Hear of a unit's end; called in the client's thread."""
        _, message = event
        self.outcomes.put((message["flight"], message["outcome"]))

    def _sync(self) -> None:
        facts = self.client.run_on_scheduler(list_workers)
        with self._lock:
            self._workers = {entry["address"]: _worker(entry) for entry in facts}
            self._synced = self._connected = time.monotonic()

    def check(self) -> bool:
        """Compare notes with the scheduler now and then.

        Returns
        -------
        bool
            False when the scheduler is dead, or alive and deaf: it must be started anew.
        """
        now = time.monotonic()
        if self.is_connected:
            self._connected = now
            if now - self._synced > RESYNC_S:
                with contextlib.suppress(OSError):  # a dying scheduler is seen in the next call
                    self._sync()
        return self.is_alive and now - self._connected < DEAF_S

    def record(self, path: Path) -> None:
        """Write Dask's own performance report there when the hub is closed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._record_to = path
        self._record()

    def _record(self) -> None:
        from distributed import performance_report

        if self._record_to is not None:
            self._report.enter_context(self.client.as_current())
            self._report.enter_context(performance_report(filename=str(self._record_to)))

    def close(self, end_jobs: Callable[[], None]) -> None:
        """Write the performance report, tell all jobs to end, stop the scheduler.

        Parameters
        ----------
        end_jobs
            Ends the jobs; called when they have been told.
        """
        if self.is_alive:
            with contextlib.suppress(Exception):
                self._report.close()
        self._folder.write_scheduler(SchedulerFacts(self.facts.session, ""))
        end_jobs()
        self._drop()

    def _drop(self) -> None:
        """Let go of client and scheduler, dead or alive."""
        if self.client is not None:
            self._report.pop_all()
            with contextlib.suppress(Exception):
                self.client.close(timeout=2 if self.is_alive else 0.1)
            self.client = None
        if self._process is not None:
            end_process(self._process)
            self._process = None
        with self._lock:
            self._workers.clear()


def _worker(facts: dict[str, Any]) -> Worker:
    return Worker(
        address=facts["address"],
        name=facts["name"],
        pool=facts.get("pool", ""),
        job=facts.get("job", ""),
        tags=frozenset(facts.get("tags", ())),
        stop_at=facts.get("stop_at"),
    )
