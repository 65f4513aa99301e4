"""The job keeper against a queue made of memory, round by round, with a clock of our own."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from dasksse.engine.folder import ClusterFolder
from dasksse.engine.hub import Worker
from dasksse.engine.job_queue import Pace
from dasksse.engine.jobs import JobKeeper
from dasksse.engine.queues import QueuedJob, QueueError
from dasksse.engine.settings import PoolSettings
from dasksse.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PACE = Pace(poll_s=10.0, settle_s=20.0, idle_s=100.0, start_timeout_s=300.0, job_attempts=3)


class MemoryQueue:
    """A batch system whose jobs do as the test says."""

    kind = "memory"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, QueuedJob] = {}
        self.refusal = ""
        self.is_down = False
        self.polls = 0
        self.submitted = 0
        self.cancelled: list[str] = []

    def submit(self, name: str, pool: str) -> str:
        if self.refusal:
            raise QueueError(self.refusal)
        self.submitted += 1
        job_id = str(100 + self.submitted)
        self.jobs[job_id] = QueuedJob(job_id, name, "queued", "Priority")
        return job_id

    def poll(self) -> list[QueuedJob]:
        self.polls += 1
        if self.is_down:
            raise QueueError("squeue: unable to contact slurm controller")
        return list(self.jobs.values())

    def cancel(self, job_ids: Sequence[str]) -> None:
        self.cancelled += job_ids
        for job_id in job_ids:
            self.jobs.pop(job_id, None)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def set(self, job_id: str, state: Any, reason: str = "") -> None:
        self.jobs[job_id] = QueuedJob(job_id, self.jobs[job_id].name, state, reason)


class Bench:
    """A keeper, its queue, the workers it sees, and a clock."""

    def __init__(self, folder: Path, **pool: object) -> None:
        self.folder = ClusterFolder(folder)
        self.folder.prepare()
        self.queue = MemoryQueue(folder)
        self.workers: dict[str, Worker] = {}
        self.pools = {"cpu": PoolSettings.model_validate({"max_jobs": 4, **pool})}
        self.keeper = self.new_keeper()
        self.now = 1000.0

    def new_keeper(self) -> JobKeeper:
        return JobKeeper(
            self.queue, self.pools, self.folder, workers=lambda: self.workers, pace=PACE
        )

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now += 1.0
            self.keeper.round(self.now)

    def connect(self, job_id: str) -> None:
        name = self.queue.jobs[job_id].name
        self.queue.set(job_id, "running")
        self.workers[job_id] = Worker(job_id, name, "cpu", name, frozenset({"MD"}), None)

    def kill(self, job_id: str) -> None:
        self.queue.jobs.pop(job_id)
        self.workers.pop(job_id, None)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_jobs_follow_the_work_and_waiting_jobs_are_not_piled_up(bench: Bench) -> None:
    bench.keeper.tell({"MD": 3}, {})
    bench.wait(200)

    assert bench.queue.submitted == 3
    bench.keeper.tell({"MD": 50}, {})
    bench.wait(200)
    assert bench.queue.submitted == 4


def test_one_look_at_the_queue_serves_all_jobs(bench: Bench) -> None:
    bench.keeper.tell({"MD": 4}, {})
    bench.wait(100)

    assert bench.queue.polls == 10


def test_a_lost_job_is_replaced(bench: Bench) -> None:
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(1)
    bench.connect("101")
    bench.wait(100)

    bench.kill("101")
    bench.wait(20)

    assert bench.queue.submitted == 2
    assert any("was lost; another job goes on" in text for text in bench.keeper.news())


def test_a_job_that_ends_before_its_worker_came_is_replaced_later_and_later(
    bench: Bench,
) -> None:
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(1)
    (bench.folder.root / f"{bench.queue.jobs['101'].name}.log").write_text("no module python\n")
    times = []
    for number in range(2):
        bench.kill(str(101 + number))
        before = bench.now
        while bench.queue.submitted < 2 + number:
            bench.wait(1)
        times.append(bench.now - before)

    news = bench.keeper.news()
    assert "ended before its worker came" in news[0]
    assert "no module python" in news[0]
    assert times[1] > times[0]


def test_after_some_failures_in_a_row_the_pool_is_given_up_and_says_why(bench: Bench) -> None:
    bench.queue.refusal = "sbatch: error: invalid partition specified: cpux"
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(600)

    news = bench.keeper.news()
    assert len(news) == PACE.job_attempts
    assert "invalid partition" in news[0]
    assert "no more jobs for this pool" in news[-1]
    assert "invalid partition" in bench.keeper.hopeless()
    assert "invalid partition" in bench.keeper.states()[0].trouble


def test_a_finished_unit_brings_a_pool_back(bench: Bench) -> None:
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(1)
    bench.connect("101")
    bench.wait(5)
    bench.kill("101")
    bench.wait(30)
    assert "died young" in bench.keeper.news()[0]

    bench.connect("102")
    bench.wait(5)
    bench.keeper.unit_done(bench.queue.jobs["102"].name)
    bench.kill("102")
    bench.wait(25)
    assert "next try in 10 s" in bench.keeper.news()[0]


def test_a_job_that_runs_without_a_worker_is_cancelled_and_replaced(bench: Bench) -> None:
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(1)
    bench.queue.set("101", "running")
    bench.wait(int(PACE.start_timeout_s) + 60)

    assert bench.queue.cancelled == ["101"]
    assert bench.queue.submitted == 2


def test_idle_jobs_end_late_and_jobs_with_units_never(bench: Bench) -> None:
    bench.keeper.tell({"MD": 2}, {})
    bench.wait(1)
    bench.connect("101")
    bench.connect("102")
    busy = bench.queue.jobs["101"].name
    bench.keeper.tell({}, {busy: 1})
    bench.wait(90)
    assert bench.queue.cancelled == []

    bench.wait(20)
    assert bench.queue.cancelled == ["102"]
    assert bench.keeper.is_open(busy)


def test_jobs_that_still_wait_are_cancelled_before_living_ones(bench: Bench) -> None:
    bench.keeper.tell({"MD": 2}, {})
    bench.wait(1)
    bench.connect("101")
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(110)

    assert bench.queue.cancelled == ["102"]


def test_a_silent_queue_changes_nothing_and_is_told_once(bench: Bench) -> None:
    bench.keeper.tell({"MD": 2}, {})
    bench.wait(1)
    bench.connect("101")
    bench.connect("102")
    bench.wait(20)
    bench.queue.is_down = True
    bench.wait(200)

    assert bench.queue.submitted == 2
    news = bench.keeper.news()
    assert len(news) == 1
    assert "unable to contact" in news[0]


def test_why_a_job_waits_is_told_unless_it_is_only_patience(bench: Bench) -> None:
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(30)
    assert bench.keeper.news() == []

    bench.queue.set("101", "queued", "PartitionTimeLimit")
    bench.wait(30)
    (text,) = bench.keeper.news()
    assert "PartitionTimeLimit" in text


def test_the_successor_comes_when_the_walltime_is_nearly_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, walltime="10 min", max_jobs=2)
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(1)
    bench.connect("101")
    bench.wait(520)
    assert bench.queue.submitted == 1

    bench.wait(40)  # margin: a tenth of the walltime
    assert bench.queue.submitted == 2
    bench.kill("101")
    bench.wait(20)
    assert any("reached its walltime" in text for text in bench.keeper.news())


def test_the_next_driver_adopts_jobs_of_this_run_and_leaves_others_alone(bench: Bench) -> None:
    bench.keeper.tell({"MD": 2}, {})
    bench.wait(1)
    names = [job.name for job in bench.queue.jobs.values()]
    run_id = names[0].split("-")[1]
    bench.queue.jobs["7"] = QueuedJob("7", "somebody-else", "running")
    bench.queue.jobs["8"] = QueuedJob("8", f"dasksse-{run_id}-gone-1", "running")

    second = bench.new_keeper()
    second._adopt()
    bench.keeper = second
    bench.keeper.tell({"MD": 2}, {})
    bench.wait(30)

    assert bench.queue.submitted == 2
    assert bench.queue.cancelled == ["8"]
    assert "2 jobs of an earlier driver go on" in second.news()[0]
    assert {j["name"] for j in json.loads(bench.folder.jobs_file.read_text())["jobs"]} == set(
        names
    )


def test_reasons_that_only_count_are_told_once(bench: Bench) -> None:
    bench.keeper.tell({"MD": 1}, {})
    bench.wait(1)
    for hosts in range(3):
        bench.queue.set("101", "queued", f"Job slot limit reached: {hosts} hosts")
        bench.wait(20)

    assert len(bench.keeper.news()) == 1


def test_commands_that_are_not_there_leave_no_hope(bench: Bench) -> None:
    def submit(name: str, pool: str) -> str:
        raise ClusterError("sbatch is not on PATH")

    bench.queue.submit = submit  # type: ignore[method-assign]
    bench.keeper.tell({"MD": 1}, {})
    bench.keeper.start()
    end = time.monotonic() + 20
    while not bench.keeper.hopeless() and time.monotonic() < end:
        time.sleep(0.05)
    bench.keeper.close()

    assert "sbatch is not on PATH" in bench.keeper.hopeless()
