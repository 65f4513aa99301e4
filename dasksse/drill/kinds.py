"""The kinds of death: who the victim is, what is done to it, which units it interrupts."""

from __future__ import annotations

import contextlib
import resource
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from dasksse.drill.scene import Job, Running, Scene, Worker


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Strike:
    """A death that is ready to happen.

    Attributes
    ----------
    units
        Units it interrupts.
    deal
        Does it. Raises :class:`psutil.NoSuchProcess` when the victim has gone meanwhile.
    relieve
        Ends a trouble that does not end by itself.
    """

    units: tuple[Running, ...]
    deal: Callable[[], None]
    relieve: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Kind:
    """One kind of death.

    Attributes
    ----------
    find
        Finds a victim in a scene; None when there is none at this moment.
    summary
        What happens, for the user.
    is_local
        True when the victim is a process of a job, which must be on this host.
    stops_driver
        True when the driver ends, and the same command must be given again.
    """

    find: Callable[[Scene, np.random.Generator], Strike | None]
    summary: str
    is_local: bool = True
    stops_driver: bool = False


def _kill(*processes: psutil.Process) -> Callable[[], None]:
    return lambda: _signal(processes, signal.SIGKILL)


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    """Send a signal to all; the first must be there, the others may have gone with it."""
    first, *others = processes
    first.send_signal(number)
    for process in others:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _one_of(things: Sequence[Any], rng: np.random.Generator) -> Any:  # noqa: ANN401
    return things[int(rng.integers(len(things)))] if things else None


def _worker(scene: Scene, rng: np.random.Generator) -> Strike | None:
    worker: Worker | None = _one_of(scene.workers, rng)
    return None if worker is None else Strike((worker.unit,), _kill(worker.process))


def _with_engine(scene: Scene) -> list[tuple[Worker, psutil.Process]]:
    return [(w, w.engine) for w in scene.workers if w.engine is not None]


def _engine(scene: Scene, rng: np.random.Generator) -> Strike | None:
    found = _one_of(_with_engine(scene), rng)
    return None if found is None else Strike((found[0].unit,), _kill(found[1]))


def _hang(scene: Scene, rng: np.random.Generator) -> Strike | None:
    found = _one_of(_with_engine(scene), rng)
    if found is None:
        return None
    worker, engine = found
    return Strike((worker.unit,), lambda: _signal([engine], signal.SIGSTOP))


def _memory(scene: Scene, _: np.random.Generator) -> Strike | None:
    """The kernel's choice: the largest process, among those that work for a unit."""
    owners = [(w.unit, w.process) for w in scene.workers]
    owners += [(worker.unit, engine) for worker, engine in _with_engine(scene)]
    if not owners:
        return None
    unit, largest = max(owners, key=lambda owner: owner[1].memory_info().rss)
    return Strike((unit,), _kill(largest))


def _disk(scene: Scene, rng: np.random.Generator) -> Strike | None:
    worker: Worker | None = _one_of(scene.workers, rng)
    if worker is None:
        return None
    processes = [worker.process, *worker.process.children(recursive=True)]
    return Strike(
        (worker.unit,),
        lambda: _limit_files(processes, 0),
        lambda: _limit_files(processes, resource.RLIM_INFINITY),
    )


def _limit_files(processes: Sequence[psutil.Process], size_bytes: int) -> None:
    """Let processes write no file beyond a size: what a full disk looks like from inside."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if process.is_running():
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                size = hard if size_bytes == resource.RLIM_INFINITY else size_bytes
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def _here(scene: Scene) -> list[tuple[Job, psutil.Process]]:
    return [(job, job.process) for job in scene.jobs if job.process is not None]


def _nanny(scene: Scene, rng: np.random.Generator) -> Strike | None:
    found = _one_of(_here(scene), rng)
    return None if found is None else Strike(found[0].units, _kill(found[1]))


def _node(scene: Scene, rng: np.random.Generator) -> Strike | None:
    found = _one_of(_here(scene), rng)
    if found is None:
        return None
    job, program = found
    return Strike(job.units, _kill(program, *program.children(recursive=True)))


def _job(scene: Scene, rng: np.random.Generator) -> Strike | None:
    """Cancel a job: by the batch system, locally by the signal that a cancelled job gets."""
    if scene.queue == "local":
        found = _one_of(_here(scene), rng)
        if found is None:
            return None
        job, program = found
        return Strike(job.units, lambda: _signal([program], signal.SIGTERM))
    cancelled: Job | None = _one_of([job for job in scene.jobs if job.job_id], rng)
    if cancelled is None:
        return None
    return Strike(cancelled.units, lambda: _cancel(scene.queue, cancelled.job_id))


def _cancel(queue: str, job_id: str) -> None:
    from dasksse.engine.queues import batch_queue

    batch_queue(queue).cancel([job_id])


def _scheduler(scene: Scene, _: np.random.Generator) -> Strike | None:
    if scene.scheduler is None or not scene.units:
        return None
    return Strike(scene.units, _kill(scene.scheduler))


def _driver(scene: Scene, _: np.random.Generator) -> Strike | None:
    if scene.driver is None or not scene.units:
        return None
    return Strike(scene.units, _kill(scene.driver))


KINDS: dict[str, Kind] = {
    "worker": Kind(_worker, "worker process killed"),
    "nanny": Kind(_nanny, "the job's own program killed, which keeps the workers"),
    "engine": Kind(_engine, "LAMMPS or DeePMD-kit killed"),
    "scheduler": Kind(_scheduler, "Dask scheduler killed", is_local=False),
    "driver": Kind(_driver, "driver killed", is_local=False, stops_driver=True),
    "job": Kind(_job, "job cancelled", is_local=False),
    "node": Kind(_node, "all processes of a job killed at once"),
    "memory": Kind(_memory, "largest process killed, as the kernel does when memory runs out"),
    "disk": Kind(_disk, "no file can be written any more", stops_driver=True),
    "hang": Kind(_hang, "LAMMPS or DeePMD-kit stopped, but alive"),
}
