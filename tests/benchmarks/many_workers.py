"""Scheduler and driver under hundreds of workers: joining, memory, units per second."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from measure import Outcome, Row

from dasksse.engine.dask_runner import DaskRunner
from dasksse.engine.folder import ClusterFolder, PoolFacts
from dasksse.engine.hub import Hub, Listening
from dasksse.engine.job_queue import Pace
from dasksse.engine.jobs import JobKeeper
from dasksse.engine.local_queue import LocalQueue
from dasksse.engine.settings import PoolSettings
from dasksse.loop.walk import make_unit
from dasksse.process import launch

if TYPE_CHECKING:
    from measure import Options

CROWD = Path(__file__).with_name("crowd.py")
SIZES, QUICK_SIZES = (100, 500), (4,)
UNITS_PER_WORKER = 4
PATIENCE_S = 300.0
POOL = "crowd"


class CrowdQueue(LocalQueue):
    """Its one job holds all workers."""

    def __init__(self, folder: ClusterFolder, workers: int) -> None:
        super().__init__(folder)
        self._workers = workers

    def submit(self, name: str, pool: str) -> str:
        """Start the crowd."""
        words = [sys.executable, str(CROWD), str(self._folder.root), name, pool]
        with self.log(name).open("ab") as log:
            process = launch(
                [*words, str(self._workers)], workdir=self._folder.root, stdout=log
            )
        self._jobs[str(process.pid)] = (name, process)
        return str(process.pid)


def measure(options: Options) -> Outcome:
    """Let crowds of growing size join and work."""
    rows = []
    for size in QUICK_SIZES if options.is_quick else SIZES:
        options.say(f"{size} workers")
        rows += _with(options.workdir / str(size), size)
    return Outcome(
        rows,
        notes=[
            (
                "Real Dask workers with TLS, all in one process beside driver and scheduler on "
                "this machine, so that the joining time is the crowd's own more than the "
                f"scheduler's; {UNITS_PER_WORKER} units of no work for each worker."
            )
        ],
    )


def _with(run_dir: Path, size: int) -> list[Row]:
    run_dir.mkdir(parents=True)
    folder = ClusterFolder(run_dir / "cluster")
    folder.prepare()
    settings = PoolSettings(cores=size, units=size, min_jobs=1)
    facts = PoolFacts.of(settings, hung_after_s=900.0, grace_s=60.0, interface=None)
    folder.write_pool(POOL, facts)
    hub = Hub(folder, Listening(dashboard_port=0))
    scheduler = psutil.Process(hub.facts.pid)
    empty_MB = scheduler.memory_info().rss / 1e6
    pace = Pace(tick_s=0.5, poll_s=1.0, settle_s=0.0)
    queue = CrowdQueue(folder, size)
    jobs = JobKeeper(queue, {POOL: settings}, folder, workers=lambda: hub.workers, pace=pace)
    jobs.start()
    runner = DaskRunner(hub, jobs, run_dir)
    try:
        started = time.monotonic()
        while runner.free_slots("MD") < size:
            if time.monotonic() - started > PATIENCE_S:
                msg = f"{runner.free_slots('MD')} of {size} workers came in {PATIENCE_S:.0f} s"
                raise RuntimeError(msg)
            runner.wait(0.2)
        joined_s = time.monotonic() - started
        memory_MB = scheduler.memory_info().rss / 1e6 - empty_MB
        rate, driver_ms = _work(runner, size * UNITS_PER_WORKER)
    finally:
        runner.close()
    name = f"{size} workers"
    return [
        Row(f"{name}: all have joined", joined_s, "s"),
        Row(f"{name}: scheduler memory per worker", memory_MB / size, "MB"),
        Row(f"{name}: units per second", rate, "1/s"),
        Row(f"{name}: CPU time of the driver per unit", driver_ms, "ms"),
    ]


def _work(runner: DaskRunner, n_units: int) -> tuple[float, float]:
    """Units per second, and the driver's CPU time per unit [ms]."""
    stage = "stages_for_tests:double"
    units = [make_unit("md", "MD", "", {"value": n}, identity=n) for n in range(n_units)]
    units = [type(u)(u.kind, u.key, u.tag, stage, u.payload) for u in units]
    started, cpu = time.monotonic(), time.process_time()
    n_done = 0
    while n_done < n_units:
        for _ in range(min(len(units), runner.free_slots("MD"))):
            runner.submit(units.pop())
        runner.demand({"MD": len(units)})
        n_done += len(runner.wait(1.0))
    wall_s = time.monotonic() - started
    return n_units / wall_s, 1000 * (time.process_time() - cpu) / n_units
