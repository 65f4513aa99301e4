"""The cluster's part of a run folder: who runs where, written by one and read by all.

``RUN/cluster/`` holds what driver, scheduler and workers must know of each other. It is how a
job that outlives its driver finds the next one.
"""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.errors import StoreError
from dasksse.store.folders import read_json, write_atomically, write_json

if TYPE_CHECKING:
    from dasksse.engine.settings import PoolSettings

JOB_PREFIX = "dasksse"


@dataclass(frozen=True)
class PoolFacts:
    """What a job of a pool reads when it starts.

    Attributes
    ----------
    tags
        Tags its workers offer.
    units
        Units at the same time, each in its own worker process.
    threads
        Threads of an engine.
    gpus
        GPUs of the job, dealt out to the worker processes in turn.
    prefix
        Words before the command of an engine.
    walltime_s
        Time from the start of the job to its end [s], None for ever.
    hung_after_s
        Silence after which an engine is taken for hung [s].
    grace_s
        How long a job waits for a new driver [s].
    interface
        Network interface, or None.
    scratch
        Node-local folder, or None.
    modules
        Folders of the user's own modules, which workers import too.
    """

    tags: tuple[str, ...]
    units: int
    threads: int
    gpus: int
    prefix: tuple[str, ...]
    walltime_s: float | None
    hung_after_s: float
    grace_s: float
    interface: str | None = None
    scratch: str | None = None
    modules: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, pool: PoolSettings, *, hung_after_s: float, grace_s: float, interface: str | None
    ) -> PoolFacts:
        """Facts of a pool as it is set."""
        return cls(
            tags=tuple(pool.tags),
            units=pool.units,
            threads=pool.threads,
            gpus=pool.gpus,
            prefix=tuple(pool.prefix),
            walltime_s=pool.walltime,
            hung_after_s=hung_after_s,
            grace_s=grace_s,
            interface=interface,
            scratch=pool.scratch,
            modules=tuple(own_module_folders()),
        )


def own_module_folders() -> list[str]:
    """Import path of this process without what belongs to Python's own installation."""
    installed = tuple(Path(p).resolve() for p in (sys.prefix, sys.base_prefix))
    folders = (Path(entry or ".").resolve() for entry in sys.path)
    return [
        str(folder)
        for folder in folders
        if folder.is_dir() and not any(folder.is_relative_to(p / "lib") for p in installed)
    ]


@dataclass(frozen=True)
class SchedulerFacts:
    """Where the scheduler of the present driver listens.

    Attributes
    ----------
    session
        Counts schedulers of this run; a job that lost its scheduler waits for a higher one.
    address
        Of the scheduler; empty when the run has ended and jobs are to end too.
    pid, host
        Its process.
    dashboard_port
        Of the dashboard on loopback; 0 when there is none.
    tls
        True when keys from the ``tls`` folder are needed.
    """

    session: int
    address: str
    pid: int = 0
    host: str = ""
    dashboard_port: int = 0
    tls: bool = False


class ClusterFolder:
    """Paths and small files of one cluster folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def scheduler_file(self) -> Path:
        """Where the scheduler listens."""
        return self.root / "scheduler.json"

    @property
    def jobs_file(self) -> Path:
        """Batch jobs that the last driver knew."""
        return self.root / "jobs.json"

    @property
    def tls(self) -> Path:
        """Keys and certificate, for the user alone."""
        return self.root / "tls"

    @property
    def logs(self) -> Path:
        """What scheduler and jobs print."""
        return self.root / "logs"

    @property
    def workers(self) -> Path:
        """One file for each job whose workers have started."""
        return self.root / "workers"

    def script(self, job_name: str) -> Path:
        """Job script."""
        return self.root / "scripts" / f"{job_name}.sh"

    def prepare(self) -> str:
        """Make the folders; give the run's own id, part of every job's name."""
        for folder in (self.root, self.logs, self.workers, self.root / "scripts"):
            folder.mkdir(parents=True, exist_ok=True)
        path = self.root / "run-id"
        if not path.is_file():
            write_atomically(path, secrets.token_hex(4))
        return path.read_text().strip()

    def write_pool(self, name: str, facts: PoolFacts) -> None:
        """Write what jobs of a pool must know."""
        write_json(self.root / f"pool-{name}.json", asdict(facts))

    def read_pool(self, name: str) -> PoolFacts:
        """Read what :meth:`write_pool` wrote."""
        values: dict[str, Any] = read_json(self.root / f"pool-{name}.json")
        lists = {key: tuple(values[key]) for key in ("tags", "prefix", "modules")}
        return PoolFacts(**{**values, **lists})

    def write_scheduler(self, facts: SchedulerFacts) -> None:
        """Say where the scheduler listens."""
        write_json(self.scheduler_file, asdict(facts))

    def read_scheduler(self) -> SchedulerFacts | None:
        """Where the scheduler listens; None when that is not known."""
        try:
            return SchedulerFacts(**read_json(self.scheduler_file))
        except (OSError, StoreError, TypeError):
            return None

    def write_worker(self, job_name: str, values: dict[str, Any]) -> None:
        """Note the processes of a job, for people and for the crash drill."""
        write_json(self.workers / f"{job_name}.json", {"at": time.time(), **values})
