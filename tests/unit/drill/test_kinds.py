"""Victims are found among real processes, and die as they should."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import actors
import numpy as np
import psutil
import pytest

from dasksse.drill.kinds import KINDS, Strike
from dasksse.drill.scene import Scene, look_at, units_at_work
from dasksse.drill.strays import end_strays, processes_of
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

JOB = "dasksse-1234-local-1"
KEY = "a" * 16
PATIENCE_S = 30.0


class Site:
    """A run folder with a job, its worker and the worker's engine; no driver, no scheduler."""

    def __init__(self, run_dir: Path, kind: str = "md") -> None:
        self.run_dir = run_dir
        words = ["job", str(run_dir), JOB, kind, KEY]
        self.job = psutil.Popen([sys.executable, actors.__file__, *words], cwd=run_dir)
        self.children: list[psutil.Process] = []
        (run_dir / "cluster").mkdir()
        (run_dir / "cluster" / "jobs.json").write_text(json.dumps({"kind": "local"}))

    def look(self) -> Scene:
        return look_at(self.run_dir, driver_pid=0)

    def ready(self) -> Site:
        until(lambda: self.look().workers and self.look().workers[0].engine)
        self.children = self.job.children(recursive=True)
        return self

    def find(self, kind: str) -> Strike:
        strike = KINDS[kind].find(self.look(), np.random.default_rng(0))
        assert strike is not None
        return strike

    def stop(self) -> None:
        for process in [*self.children, self.job]:
            if process.is_running():
                process.kill()
        self.job.wait()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made.ready()
    made.stop()


def test_a_scene_joins_units_workers_engines_and_jobs(site: Site) -> None:
    (job,) = site.look().jobs
    (worker,) = job.workers
    worker_process, engine = site.children

    assert (job.name, job.job_id, job.process) == (JOB, "77", site.job)
    assert worker.process == worker_process
    assert worker.engine == engine
    assert worker.unit == job.units[0] == site.look().units[0]
    assert (worker.unit.kind, worker.unit.key, worker.unit.attempts) == ("md", KEY, 1)


@pytest.mark.parametrize(
    ("kind", "dead"),
    [
        ("worker", [False, True, False]),
        ("engine", [False, False, True]),
        ("nanny", [True, False, False]),
        ("node", [True, True, True]),
        ("job", [True, False, False]),
    ],
)
def test_the_right_process_dies_and_no_other(kind: str, dead: list[bool], site: Site) -> None:
    processes = [site.job, *site.children]

    site.find(kind).deal()

    until(lambda: [is_dead(process) for process in processes] == dead)


def test_the_largest_process_runs_out_of_memory(site: Site) -> None:
    worker, engine = site.children
    until(lambda: engine.memory_info().rss > actors.ENGINE_BYTES)

    site.find("memory").deal()

    until(lambda: is_dead(engine))
    assert not is_dead(worker)


def test_a_hung_engine_is_stopped_and_alive(site: Site) -> None:
    _, engine = site.children

    site.find("hang").deal()

    until(lambda: engine.status() == psutil.STATUS_STOPPED)


def test_a_full_disk_holds_for_worker_and_engine_until_it_is_relieved(site: Site) -> None:
    def limits() -> list[int]:
        return [resource.prlimit(p.pid, resource.RLIMIT_FSIZE)[0] for p in site.children]

    before = limits()
    strike = site.find("disk")

    strike.deal()
    during = limits()
    strike.relieve()

    assert during == [0, 0]
    assert limits() == before


def test_relieving_the_dead_harms_nobody(site: Site) -> None:
    strike = site.find("disk")
    strike.deal()
    site.stop()

    strike.relieve()

    assert site.job.poll() is not None


def test_every_strike_names_the_unit_it_interrupts(site: Site) -> None:
    for kind in ("worker", "engine", "nanny", "node", "job", "memory", "disk", "hang"):
        assert [unit.key for unit in site.find(kind).units] == [KEY]


def test_a_victim_that_ended_by_itself_is_no_death(site: Site) -> None:
    strike = site.find("engine")
    site.children[1].kill()
    until(lambda: not psutil.pid_exists(site.children[1].pid))

    with pytest.raises(psutil.NoSuchProcess):
        strike.deal()


def test_a_cancelled_batch_job_is_cancelled_by_its_batch_system(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[tuple[str, list[str]]] = []

    class Queue:
        def __init__(self, kind: str) -> None:
            self.kind = kind

        def cancel(self, job_ids: list[str]) -> None:
            cancelled.append((self.kind, job_ids))

    monkeypatch.setattr("dasksse.engine.queues.batch_queue", Queue)
    (site.run_dir / "cluster" / "jobs.json").write_text(json.dumps({"kind": "slurm"}))

    site.find("job").deal()

    assert cancelled == [("slurm", ["77"])]


def test_without_driver_scheduler_or_units_there_is_no_victim(tmp_path: Path) -> None:
    scene = look_at(tmp_path, driver_pid=0)

    assert scene == Scene(None, None, (), (), "")
    found = [kind.find(scene, np.random.default_rng(0)) for kind in KINDS.values()]
    assert found == [None] * len(KINDS)


def test_a_unit_that_needs_no_engine_offers_none(tmp_path: Path) -> None:
    site = Site(tmp_path, kind="select")
    try:
        until(lambda: site.look().workers)
        site.children = site.job.children(recursive=True)
        (worker,) = site.look().workers

        assert worker.engine is None
        assert KINDS["engine"].find(site.look(), np.random.default_rng(0)) is None
        assert site.find("worker").units == (worker.unit,)
    finally:
        until(lambda: len(site.job.children(recursive=True)) == 2)
        site.children = site.job.children(recursive=True)
        site.stop()


def test_a_job_of_another_host_can_only_be_cancelled(site: Site) -> None:
    path = site.run_dir / "cluster" / "workers" / f"{JOB}.json"
    lock = RunFolder(site.run_dir).part("md", KEY) / ".lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "node17"}))
    lock.write_text(f"process {site.children[0].pid} on node17 since 2026-01-01 00:00:00\n")
    (site.run_dir / "cluster" / "jobs.json").write_text(json.dumps({"kind": "slurm"}))
    scene = site.look()

    found = {k: kind.find(scene, np.random.default_rng(0)) for k, kind in KINDS.items()}

    assert [name for name, strike in found.items() if strike is not None] == ["job"]


def test_a_dead_holder_is_not_at_work(site: Site) -> None:
    site.stop()

    until(lambda: units_at_work(RunFolder(site.run_dir)) == ())


def test_processes_left_behind_are_found_by_folder_and_ended(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    words = [sys.executable, "-c", "import time; time.sleep(600)", "dasksse.engine.worker"]
    stray = subprocess.Popen(words, cwd=run_dir)
    reader = subprocess.Popen(["sleep", "600"], cwd=run_dir)
    try:
        until(lambda: processes_of(run_dir))
        texts = end_strays(run_dir, patience_s=0.0)

        assert len(texts) == 1
        assert texts[0].startswith(f"{stray.pid}: ")
        assert stray.wait() == -9
        assert reader.poll() is None
        assert end_strays(run_dir, patience_s=0.0) == []
    finally:
        for process in (stray, reader):
            process.kill()
            process.wait()


def test_a_process_that_inherited_the_run_folder_belongs_to_it(tmp_path: Path) -> None:
    child = psutil.Popen(["sleep", "600"], env={"DASKSSE_DRILL": str(tmp_path)})
    try:
        until(lambda: processes_of(tmp_path) == [child])
        assert processes_of(tmp_path / "other") == []
    finally:
        child.kill()
        child.wait()


def test_deaths_that_need_no_worker_on_this_host_are_three() -> None:
    assert len(KINDS) == 10
    assert len({kind.summary for kind in KINDS.values()}) == 10
    assert [name for name, kind in KINDS.items() if not kind.is_local] == [
        "scheduler",
        "driver",
        "job",
    ]
