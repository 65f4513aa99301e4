"""What is left, and what goes on, when a process of the local engine dies."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, make_runner
from dasksse.records import Done, Failed, Outcome, Unit, content_key
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dasksse.engine.dask_runner import DaskRunner

PATIENCE_S = 90.0


class Site:
    """A run folder with a running engine, and its processes."""

    def __init__(self, run_dir: Path, **settings: Any) -> None:
        self.run_dir = run_dir
        section = RegistrySection(
            kind="local", settings={"workers": 2, "dashboard_port": 0, **settings}
        )
        self.runner: DaskRunner = make_runner(section, Start(run_dir))  # type: ignore[assignment]

    def until(self, happened: Callable[[], Any]) -> list[Outcome]:
        """Keep the runner going until something has happened."""
        outcomes: list[Outcome] = []
        end = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < end, "it did not happen in time"
            outcomes += self.runner.wait(0.1)
        return outcomes

    def when_free(self, workers: int = 2) -> None:
        self.until(lambda: self.runner.free_slots("MD") >= workers)

    def outcome(self) -> Outcome:
        found: list[Outcome] = []
        end = time.monotonic() + PATIENCE_S
        while not found:
            assert time.monotonic() < end, "no outcome in time"
            found = self.runner.wait(0.5)
        return found[0]

    def start(self, unit: Unit) -> None:
        """Submit a unit and wait until it runs."""
        self.runner.submit(unit)
        part = RunFolder(self.run_dir).part(unit.kind, unit.key)
        self.until((part / "progress.json").exists)

    def job(self) -> dict[str, Any]:
        """Processes of the one job."""
        (path,) = (self.run_dir / "cluster" / "workers").glob("*-local-1.json")
        facts: dict[str, Any] = json.loads(path.read_text())
        return facts

    def scheduler(self) -> int:
        values = json.loads((self.run_dir / "cluster" / "scheduler.json").read_text())
        return int(values["pid"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.when_free()
    yield made
    made.runner.close()


def slow(steps: int) -> Unit:
    return Unit("md", content_key(steps), "MD", "stages_for_tests:slow", {"steps": steps})


def test_a_dead_scheduler_is_replaced_and_the_jobs_find_the_new_one(site: Site) -> None:
    asked = slow(30)
    site.start(asked)
    job = site.job()["pid"]

    os.kill(site.scheduler(), signal.SIGKILL)
    lost = site.outcome()
    site.when_free()
    site.runner.submit(asked)
    again = site.outcome()

    assert isinstance(lost, Failed)
    assert lost.failure_class == "lost"
    while isinstance(again, Failed):  # the old worker may still hold the unit's lock
        assert again.failure_class == "lost"
        site.when_free()
        site.runner.submit(asked)
        again = site.outcome()
    assert isinstance(again, Done)
    assert site.job()["pid"] == job
    assert any("scheduler died" in text for text in site.runner.news())


def test_a_dead_nanny_takes_its_workers_along_and_another_job_comes(site: Site) -> None:
    site.start(slow(600))
    job = site.job()
    workers = [psutil.Process(pid) for pid in job["worker_pids"]]

    os.kill(job["pid"], signal.SIGKILL)
    lost = site.outcome()
    site.when_free()

    assert isinstance(lost, Failed)
    assert lost.failure_class == "lost"
    assert not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers)
    assert site.runner.pools()[0].jobs_running == 1


def test_a_worker_that_stands_still_takes_no_process_with_it(site: Site) -> None:
    first, second = slow(20), slow(21)
    site.start(first)
    site.start(second)
    victim = site.job()["worker_pids"][0]

    os.kill(victim, signal.SIGKILL)
    outcomes = [site.outcome(), site.outcome()]

    assert {type(outcome) for outcome in outcomes} == {Done, Failed}
    site.when_free()


def test_workers_leave_before_the_walltime_and_units_that_stop_go_on(tmp_path: Path) -> None:
    pool = {"walltime": 18, "max_jobs": 2, "cores": 1}
    site = Site(tmp_path, pools={"short": pool})
    try:
        site.runner.demand({"MD": 1})
        site.when_free(1)
        asked = Unit(
            "md",
            content_key("stop"),
            "MD",
            "stages_for_tests:steps_with_a_clock",
            {"steps": 90},
        )
        site.runner.submit(asked)
        stopped = site.outcome()
        site.runner.demand({"MD": 1})
        sessions = 1
        outcome = stopped
        while isinstance(outcome, Failed):
            assert outcome.failure_class == "walltime"
            site.runner.demand({"MD": 1})
            site.when_free(1)
            site.runner.submit(asked)
            sessions += 1
            outcome = site.outcome()
        news = site.runner.news()
    finally:
        site.runner.close()

    assert isinstance(stopped, Failed)
    assert isinstance(outcome, Done)
    assert outcome.value["done"] == 90
    assert outcome.value["repeated"] == 0
    assert sessions >= 2
    assert not any("lost" in text for text in news)


def test_a_worker_near_its_end_gets_no_unit_that_cannot_end_in_time(tmp_path: Path) -> None:
    site = Site(tmp_path, pools={"short": {"walltime": 25, "max_jobs": 1, "cores": 1}})
    try:
        site.runner.demand({"LABEL": 1})
        site.until(lambda: site.runner.free_slots("LABEL", "label"))
        site.runner._longest_s["label"] = 8.0
        assert site.runner.free_slots("LABEL", "label") == 1
        assert site.runner.free_slots("MD", "md") == 1
        site.until(lambda: not site.runner.free_slots("LABEL", "label"))
        assert site.runner.free_slots("MD", "md") == 1  # it can stop at a checkpoint
    finally:
        site.runner.close()


def test_keys_are_for_the_user_alone_and_strangers_are_refused(site: Site) -> None:
    from distributed import Client

    tls = site.run_dir / "cluster" / "tls"
    assert {path.stat().st_mode & 0o777 for path in tls.iterdir()} == {0o600}
    assert tls.stat().st_mode & 0o777 == 0o700
    address = json.loads((site.run_dir / "cluster" / "scheduler.json").read_text())["address"]
    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises((OSError, TypeError, ValueError)):
        Client(address.replace("tls://", "tcp://"), timeout=2)


def test_without_tls_nothing_is_encrypted_when_a_site_wants_it_so(tmp_path: Path) -> None:
    site = Site(tmp_path, tls=False)
    try:
        site.when_free()
        facts = json.loads((tmp_path / "cluster" / "scheduler.json").read_text())
        assert facts["address"].startswith("tcp://127.0.0.1:")
        assert not (tmp_path / "cluster" / "tls").exists()
    finally:
        site.runner.close()
