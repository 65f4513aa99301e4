"""What a run is doing at this moment: units at work, and the processes of this host."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from dasksse.engine.folder import ClusterFolder
from dasksse.errors import StoreError
from dasksse.store.folders import ATTEMPTS, PART, RunFolder, read_json, unit_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ENGINE_OF = {
    "train": "deepmd_child",
    "evaluate": "deepmd_child",
    "md": "lammps_server",
    "production": "lammps_server",
}
"""Kind of a unit, and a word of the command line of the child that works for it."""

_HOLDER = re.compile(r"process (\d+) on (\S+) since")


@dataclass(frozen=True)
class Running:
    """A unit at work.

    Attributes
    ----------
    kind, key
        As in :class:`dasksse.records.Unit`.
    pid, host
        Worker process that holds the unit's lock.
    attempts
        Attempts so far, this one included.
    """

    kind: str
    key: str
    pid: int
    host: str
    attempts: int


@dataclass(frozen=True)
class Worker:
    """A busy worker process of this host.

    Attributes
    ----------
    process
        The worker.
    unit
        What it works on.
    engine
        The child that works for that unit; None when the unit needs none.
    """

    process: psutil.Process
    unit: Running
    engine: psutil.Process | None


@dataclass(frozen=True)
class Job:
    """A job with at least one busy worker.

    Attributes
    ----------
    name, job_id
        Its name, and its id in the batch system.
    units
        What its workers work on.
    process
        The job's own program; None when it runs on another host.
    workers
        Its busy workers; none when they run on another host.
    """

    name: str
    job_id: str
    units: tuple[Running, ...]
    process: psutil.Process | None
    workers: tuple[Worker, ...]


@dataclass(frozen=True)
class Scene:
    """Units at work and the processes that can be killed.

    Attributes
    ----------
    driver
        The driver; None when it is dead.
    scheduler
        The Dask scheduler; None when there is none.
    units
        All units at work.
    jobs
        Jobs with busy workers, by name.
    queue
        Kind of the engine, such as ``local`` or ``slurm``.
    """

    driver: psutil.Process | None
    scheduler: psutil.Process | None
    units: tuple[Running, ...]
    jobs: tuple[Job, ...]
    queue: str

    @property
    def workers(self) -> list[Worker]:
        """Busy workers of this host."""
        return [worker for job in self.jobs for worker in job.workers]


def attempts_of(folder: RunFolder, kind: str, key: str) -> int:
    """How often a unit was begun, wherever its folder is now; 0 when there is none."""
    for path in (folder.unit(kind, key), folder.part(kind, key)):
        with contextlib.suppress(FileNotFoundError):
            return (path / ATTEMPTS).read_bytes().count(b"\n")
    return 0


def units_at_work(folder: RunFolder) -> tuple[Running, ...]:
    """Units whose lock a process holds."""
    found = []
    for part in sorted(folder.work.glob(f"*/*{PART}")):
        lock = unit_lock(part)
        holder = _HOLDER.search(lock.holder())
        if holder is None or not lock.is_held():
            continue
        kind, key = part.parent.name, part.name.removesuffix(PART)
        attempts = attempts_of(folder, kind, key)
        found.append(Running(kind, key, int(holder[1]), holder[2], attempts))
    return tuple(found)


def look_at(run_dir: Path, driver_pid: int) -> Scene:
    """Scene of a run whose driver this process has started."""
    cluster = ClusterFolder(run_dir / "cluster")
    units = units_at_work(RunFolder(run_dir))
    facts = cluster.read_scheduler()
    scheduler = None
    if facts is not None and facts.host == this_host():
        scheduler = _living(facts.pid, "dasksse.engine.scheduler")
    jobs = (_job(path.stem, values, units) for path, values in _job_files(cluster))
    return Scene(
        driver=_living(driver_pid, "dasksse.run"),
        scheduler=scheduler,
        units=units,
        jobs=tuple(job for job in jobs if job is not None),
        queue=_read(cluster.jobs_file).get("kind", ""),
    )


def this_host() -> str:
    """Name of this host, as workers write it down."""
    return socket.gethostname()


def hosts_of_jobs(run_dir: Path) -> set[str]:
    """Hosts that jobs of a run have started on."""
    return {values["host"] for _, values in _job_files(ClusterFolder(run_dir / "cluster"))}


def _job_files(cluster: ClusterFolder) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(cluster.workers.glob("*.json")):
        if values := _read(path):
            yield path, values


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = read_json(path)
    except (OSError, StoreError):
        return {}
    return values


def _job(name: str, values: dict[str, Any], units: Iterable[Running]) -> Job | None:
    """Job with its busy workers; None when it has none or is gone."""
    own = {
        unit.pid: unit
        for unit in units
        if unit.host == values["host"] and unit.pid in values["worker_pids"]
    }
    if not own:
        return None
    process, workers = None, []
    if values["host"] == this_host():
        process = _living(values["pid"], name)
        if process is None:
            return None
        workers = [
            _worker(child, own[child.pid]) for child in process.children() if child.pid in own
        ]
    return Job(name, values["job_id"], tuple(own.values()), process, tuple(workers))


def _worker(process: psutil.Process, unit: Running) -> Worker:
    word = ENGINE_OF.get(unit.kind)
    engines = []
    if word is not None:
        engines = [child for child in process.children() if word in _command_line(child)]
    return Worker(process, unit, engines[0] if engines else None)


def _living(pid: int, word: str) -> psutil.Process | None:
    """Process of this id, if it lives and its command line has the word."""
    try:
        process = psutil.Process(pid)
        is_it = process.status() != psutil.STATUS_ZOMBIE and word in _command_line(process)
    except psutil.NoSuchProcess:
        return None
    return process if is_it else None


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
