"""Jobs a driver knows, kept on disk so that the next driver finds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dasksse.errors import StoreError
from dasksse.store.folders import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.engine.folder import ClusterFolder
    from dasksse.engine.queues import QueuedJob
    from dasksse.engine.scaling import BackOff, SlowToShrink
    from dasksse.engine.settings import PoolSettings


@dataclass
class Job:
    """One job and what is known of it; times in seconds since the epoch, 0 for never."""

    name: str
    pool: str
    job_id: str
    submitted: float
    running_since: float = 0.0
    first_seen: float = 0.0
    last_seen: float = 0.0
    connected: bool = False
    leaving: bool = False


@dataclass
class PoolCare:
    """What the keeper remembers of a pool."""

    settings: PoolSettings
    shrink: SlowToShrink
    back_off: BackOff
    trouble: str = ""
    given_up: str = ""
    target: int = 0


@dataclass
class Demand:
    """Units that wait, by tag, and that run, by job."""

    waiting: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)


class JobBooks:
    """The jobs of one run.

    Parameters
    ----------
    folder
        Cluster folder.
    kind
        Kind of the queue they are in.
    prefix
        Start of their names, the same for all drivers of this run and for no other run.
    """

    def __init__(self, folder: ClusterFolder, kind: str, prefix: str) -> None:
        self._folder = folder
        self._kind = kind
        self._prefix = prefix
        self._saved = ""
        self.jobs: dict[str, Job] = {}
        """By name."""
        self._known = self._load()
        self._sequence = int(self._known.get("sequence", 0))

    def _load(self) -> dict[str, Any]:
        try:
            values: dict[str, Any] = read_json(self._folder.jobs_file)
        except (OSError, StoreError):
            return {}
        return values

    def next_name(self, pool: str) -> str:
        """Name for a new job."""
        self._sequence += 1
        return f"{self._prefix}-{pool}-{self._sequence}"

    def add(self, job: Job) -> None:
        """Note a new job at once: the queue has it."""
        self.jobs[job.name] = job
        self.save()

    def drop(self, job: Job) -> None:
        """Forget a job."""
        self.jobs.pop(job.name, None)

    def save(self) -> None:
        """Write the books when they have changed."""
        values = {
            "kind": self._kind,
            "sequence": self._sequence,
            "jobs": [asdict(job) for job in self.jobs.values()],
        }
        stamp = repr(
            [values["sequence"], [(j.name, j.running_since) for j in self.jobs.values()]]
        )
        if stamp != self._saved:
            write_json(self._folder.jobs_file, values)
            self._saved = stamp

    def adopt(
        self, listing: Sequence[QueuedJob], pools: set[str], now: float
    ) -> tuple[list[str], list[str]]:
        """Take over jobs of this run that are in the queue.

        Returns
        -------
        tuple[list[str], list[str]]
            Names of jobs that go on, and ids of jobs whose pool is there no more.
        """
        known = {entry["job_id"]: entry for entry in self._known.get("jobs", [])}
        fit, unfit = [], []
        for entry in listing:
            if not entry.name.startswith(f"{self._prefix}-") or entry.state == "ending":
                continue
            pool, _, number = entry.name[len(self._prefix) + 1 :].rpartition("-")
            if pool not in pools or not number.isdigit():
                unfit.append(entry.job_id)
                continue
            self._sequence = max(self._sequence, int(number))
            since = float(known.get(entry.job_id, {}).get("running_since", 0.0))
            if entry.state == "running":
                since = since or now
            self.jobs[entry.name] = Job(entry.name, pool, entry.job_id, now, since)
            fit.append(entry.name)
        return fit, unfit


def is_overdue(job: Job, settings: PoolSettings, now: float) -> bool:
    """True when a job's walltime is nearly over: its successor may come."""
    return bool(job.running_since) and now > job.running_since + settings.life_s
