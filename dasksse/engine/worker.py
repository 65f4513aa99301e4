"""A job's own program: ``python -m dasksse.engine.worker FOLDER --name JOB --pool POOL``.

It keeps one worker process for each unit the job may run at a time, restarts those that die,
leaves before the walltime ends, and, when scheduler or driver die, waits for their successor:
a job that stood hours in a queue is not thrown away because a login node was rebooted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dasksse.engine.dask_settings import set_up_dask
from dasksse.engine.folder import ClusterFolder, PoolFacts, SchedulerFacts
from dasksse.engine.settings import margin_s
from dasksse.engine.tls import security
from dasksse.engine.worker_setup import WORKPLACE_VARIABLE, startup_facts
from dasksse.records import Workplace

JOB_ID_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID", "OAR_JOB_ID")
LOOK_S = 0.5
LAST_MOMENT_S = 4.0
"""Workers are ended so long before the batch system would do it [s]."""
WITHOUT_WORKER_S = 60.0
"""A nanny that has no worker for so long [s] is started anew."""


class JobProgram:
    """The life of one job.

    Parameters
    ----------
    folder
        Cluster folder of the run.
    name
        Name of the job.
    pool
        Name of its pool.
    """

    def __init__(self, folder: ClusterFolder, name: str, pool: str) -> None:
        self._folder = folder
        self._name = name
        self._pool = pool
        self._started = time.time()
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End the workers and the job."""
        self._leaving.set()

    async def live(self) -> None:
        """Serve one scheduler after the other until there is no more need or time."""
        session = 0
        while (scheduler := await self._find_scheduler(session)) is not None:
            session = scheduler.session
            facts = self._folder.read_pool(self._pool)
            sys.path += [folder for folder in facts.modules if folder not in sys.path]
            await self._serve(scheduler, facts)
            if self._leaving.is_set() or self._time_left_s(facts) <= 0:
                return

    def _ends_at(self, facts: PoolFacts) -> float | None:
        return None if facts.walltime_s is None else self._started + facts.walltime_s

    def _time_left_s(self, facts: PoolFacts) -> float:
        """Time until units are to stop [s]."""
        ends_at = self._ends_at(facts)
        if ends_at is None or facts.walltime_s is None:
            return float("inf")
        return ends_at - margin_s(facts.walltime_s) - time.time()

    async def _find_scheduler(self, after: int) -> SchedulerFacts | None:
        """A scheduler newer than the one before; None when none comes within the grace."""
        facts = self._folder.read_pool(self._pool)
        end = time.time() + facts.grace_s
        while time.time() < end and not self._leaving.is_set() and self._time_left_s(facts) > 0:
            scheduler = self._folder.read_scheduler()
            if scheduler is not None and not scheduler.address:
                return None
            if scheduler is not None and scheduler.session > after:
                return scheduler
            await asyncio.sleep(LOOK_S)
        return None

    async def _serve(self, scheduler: SchedulerFacts, facts: PoolFacts) -> None:
        """Keep workers connected to one scheduler until it goes or the job leaves."""
        nannies = [self._nanny(scheduler, facts, index) for index in range(facts.units)]
        try:
            started = await asyncio.gather(
                *(asyncio.ensure_future(_start(nanny)) for nanny in nannies),
                return_exceptions=True,
            )
            for result in started:
                if isinstance(result, BaseException):
                    sys.stderr.write(f"a worker could not start: {result!r}\n")
            self._note(nannies, facts)
            await self._watch(nannies, facts)
        finally:
            await asyncio.gather(
                *(nanny.close(timeout=2, reason="job leaves") for nanny in nannies),
                return_exceptions=True,
            )

    async def _watch(self, nannies: list[Any], facts: PoolFacts) -> None:
        from distributed.core import Status

        ends_at = self._ends_at(facts)
        pids: list[int | None] = []
        without_since: dict[int, float] = {}
        while not self._leaving.is_set():
            living = [n for n in nannies if n.status not in {Status.closed, Status.failed}]
            if len(living) < len(nannies) and not _any_running(living):
                return
            if ends_at is not None and time.time() > ends_at - LAST_MOMENT_S:
                return
            if pids != (pids := [nanny.pid for nanny in nannies]):
                self._note(nannies, facts)
            for index, nanny in enumerate(nannies):
                if nanny.is_alive():
                    without_since.pop(index, None)
                elif time.time() - without_since.setdefault(index, time.time()) > (
                    WITHOUT_WORKER_S
                ):
                    return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), LOOK_S)

    def _nanny(self, scheduler: SchedulerFacts, facts: PoolFacts, index: int) -> Any:  # noqa: ANN401
        from distributed import Nanny

        scratch = Path(facts.scratch) if facts.scratch else self._folder.root.parent / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        ends_at = self._ends_at(facts)
        stop_at = None
        if ends_at is not None and facts.walltime_s is not None:
            stop_at = ends_at - margin_s(facts.walltime_s)
        workplace = Workplace(
            threads=facts.threads,
            prefix=facts.prefix,
            stop_at=stop_at,
            hung_after_s=facts.hung_after_s,
            pool=self._pool,
        )
        environment = {
            WORKPLACE_VARIABLE: json.dumps({**asdict(workplace), "job": self._name}),
            "DASKSSE_SCRATCH": str(scratch),
        }
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(facts.threads)
        if facts.gpus and (devices := _devices(facts.gpus)):
            environment["CUDA_VISIBLE_DEVICES"] = devices[index % len(devices)]
        return Nanny(
            scheduler.address,
            nthreads=1,
            name=f"{self._name}-{index}",
            memory_limit=0,
            resources=dict.fromkeys(facts.tags, 1),
            security=security(self._folder.tls, tls=scheduler.tls),
            interface=facts.interface,
            local_directory=str(scratch),
            preload=["dasksse.engine.worker_setup"],
            env=environment,
            startup_information={"dasksse": startup_facts},
            dashboard=False,
        )

    def _note(self, nannies: list[Any], facts: PoolFacts) -> None:
        self._folder.write_worker(
            self._name,
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "worker_pids": [nanny.pid for nanny in nannies if nanny.pid],
                "pool": self._pool,
                "job_id": next(
                    (os.environ[v] for v in JOB_ID_VARIABLES if v in os.environ), ""
                ),
                "started": self._started,
                "ends_at": self._ends_at(facts),
            },
        )


async def _start(nanny: Any) -> None:  # noqa: ANN401 - Dask's Nanny
    await nanny


def _any_running(nannies: list[Any]) -> bool:
    return any(nanny.is_alive() for nanny in nannies)


def _devices(count: int) -> list[str]:
    """GPUs that the batch system gave, else the first ones."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return given.split(",") if given else [str(index) for index in range(count)]


async def _run(arguments: argparse.Namespace) -> None:
    program = JobProgram(ClusterFolder(arguments.folder), arguments.name, arguments.pool)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, program.leave)
    await program.live()


def main(words: list[str]) -> int:
    """Parse the command line and serve until the job's end."""
    parser = argparse.ArgumentParser(prog="python -m dasksse.engine.worker")
    parser.add_argument("folder", type=Path, help="cluster folder of the run")
    parser.add_argument("--name", required=True, help="name of the job")
    parser.add_argument("--pool", required=True, help="name of its pool")
    parser.add_argument("--nthreads", help="given by dask-jobqueue; the pool's file decides")
    parser.add_argument("--memory-limit", help="given by dask-jobqueue; the queue enforces it")
    arguments = parser.parse_args(words)
    set_up_dask()
    asyncio.run(_run(arguments))
    # worker processes that would not end die with this one
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
