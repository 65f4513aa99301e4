"""The engine on a real SLURM: pools, cancelled jobs, walltime, refusals, drivers that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, make_runner
from dasksse.errors import ClusterError
from dasksse.records import Done, Failed, Outcome, Runner, Unit, content_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurm import Slurm

PATIENCE_S = 180.0
POOLS: dict[str, Any] = {
    "cpu": {"queue": "cpu", "tags": ["LABEL", "REDUCE"], "units": 2, "cores": 2, "max_jobs": 2},
    "gpu": {"queue": "gpu", "tags": ["TRAIN", "MD"], "gpus": 1},
}


@pytest.fixture
def site(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The session's SLURM as the engine finds it; no job is left behind."""
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    yield slurm
    slurm.scancel_all()


def section(pools: dict[str, Any], **more: Any) -> RegistrySection:
    """A cluster file's content; jobs are small, the machine is too."""
    small = {name: {"memory": "600 MB", **pool} for name, pool in pools.items()}
    settings = {
        "pools": small,
        "host": "127.0.0.1",
        "dashboard_port": 0,
        "poll": 1,
        "idle": 3600,
        **more,
    }
    return RegistrySection(kind="slurm", settings=settings)


def unit(stage: str, tag: str, number: int = 0, **payload: Any) -> Unit:
    key = content_key(stage, tag, number, payload)
    return Unit(tag.lower(), key, tag, f"stages_for_tests:{stage}", payload)


def until(
    runner: Runner, happened: Callable[[], Any], waiting: dict[str, int] | None = None
) -> list[Outcome]:
    """Keep a runner going until something has happened; it did within the patience."""
    outcomes: list[Outcome] = []
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, f"it did not happen; news: {runner.news()}"
        runner.demand(waiting or {})
        outcomes += runner.wait(0.2)
    return outcomes


def run_all(runner: Runner, units: list[Unit]) -> dict[str, Outcome]:
    """Run units to their end; what was lost or ran out of time goes on."""
    waiting = {u.key: u for u in units}
    outcomes: dict[str, Outcome] = {}
    end = time.monotonic() + PATIENCE_S
    while len(outcomes) < len(units):
        assert time.monotonic() < end, f"not done in time; news: {runner.news()}"
        for key, asked in list(waiting.items()):
            if runner.free_slots(asked.tag):
                runner.submit(asked)
                del waiting[key]
        tags = [u.tag for u in waiting.values()]
        runner.demand({tag: tags.count(tag) for tag in tags})
        for outcome in runner.wait(0.2):
            if isinstance(outcome, Failed) and outcome.failure_class in {"lost", "walltime"}:
                waiting[outcome.unit.key] = outcome.unit
            else:
                outcomes[outcome.unit.key] = outcome
    return outcomes


def test_one_scheduler_feeds_two_partitions(site: Slurm, tmp_path: Path) -> None:
    runner = make_runner(section(POOLS), Start(tmp_path))
    try:
        units = [unit("where_am_i", "MD", n) for n in range(2)]
        units += [unit("where_am_i", "LABEL", n) for n in range(6)]
        outcomes = run_all(runner, units)
        states = {state.name: state for state in runner.pools()}
        jobs = {job.partition for job in site.squeue()}
    finally:
        runner.close()

    found = {key: outcome.value for key, outcome in outcomes.items()}  # type: ignore[union-attr]
    assert {found[u.key]["partition"] for u in units[:2]} == {"gpu"}
    assert {found[u.key]["partition"] for u in units[2:]} == {"cpu"}
    assert jobs == {"cpu", "gpu"}
    assert states["gpu"].jobs_running == 1
    assert 1 <= states["cpu"].jobs_running <= 2
    site.wait_idle()


def test_a_cancelled_job_is_replaced_and_its_unit_goes_on(site: Slurm, tmp_path: Path) -> None:
    runner = make_runner(section({"all": {"queue": "cpu"}}), Start(tmp_path))
    asked = unit("slow", "MD", steps=30)
    try:
        until(runner, lambda: runner.free_slots("MD"), {"MD": 1})
        runner.submit(asked)
        part = tmp_path / "work" / asked.kind / f"{asked.key}.part"
        until(runner, (part / "progress.json").exists)
        (job,) = site.squeue()
        site.run("scancel", str(job.id))
        lost = until(runner, lambda: not runner.free_slots("MD") and part.is_dir(), {"MD": 1})
        outcomes = run_all(runner, [asked])
    finally:
        runner.close()

    assert isinstance(outcomes[asked.key], Done)
    assert all(isinstance(outcome, Failed) for outcome in lost)
    record = json.loads(
        (tmp_path / "work" / asked.kind / asked.key / "result.json").read_text()
    )
    assert record["attempts"] == 2
    site.wait_idle()


def test_a_walltime_of_one_minute_loses_no_step(site: Slurm, tmp_path: Path) -> None:
    """The unit takes longer than the job lives: it stops, and goes on in the next job."""
    pool = {"queue": "cpu", "walltime": "1 min", "max_jobs": 2}
    runner = make_runner(section({"short": pool}), Start(tmp_path))
    asked = unit("steps_with_a_clock", "MD", steps=600)
    try:
        outcome = run_all(runner, [asked])[asked.key]
        news = runner.news()
    finally:
        runner.close()

    assert isinstance(outcome, Done)
    assert outcome.value == {"done": 600, "repeated": 0}
    assert not any("was lost" in text for text in news)


def test_a_refused_job_ends_the_run_with_the_queue_s_own_words(
    site: Slurm, tmp_path: Path
) -> None:
    pools = {"all": {"queue": "no_such_partition"}}
    runner = make_runner(section(pools, job_attempts=2), Start(tmp_path))
    try:
        with pytest.raises(ClusterError, match=r"(?i)invalid partition"):
            until(runner, lambda: False, {"MD": 1})
        news = runner.news()
    finally:
        runner.close()

    assert "invalid partition" in news[0].lower()
    assert any("no more jobs for this pool" in text for text in news)


def _driver(folder: Path, cluster: RegistrySection, steps: int) -> subprocess.Popen[str]:
    """A driver of its own process, which runs one unit and prints when it is done."""
    text = f"""
        import sys, time
        from pathlib import Path
        from dasksse.config.schema import RegistrySection
        from dasksse.engine.cluster import Start, make_runner
        from dasksse.records import Unit
        section = RegistrySection(**{cluster.model_dump()!r})
        runner = make_runner(section, Start(Path({str(folder)!r})))
        payload = {{"steps": {steps}}}
        unit = Unit("md", "0123456789abcdef", "MD", "stages_for_tests:slow", payload)
        outcome = None
        while outcome is None or type(outcome).__name__ == "Failed":
            if runner.free_slots("MD"):
                runner.submit(unit)
            runner.demand({{"MD": 1}})
            outcome = next(iter(runner.wait(0.5)), outcome)
        print(*runner.news(), type(outcome).__name__, sep="|", flush=True)
        runner.close()
    """
    support = str(Path(__file__).parents[1] / "support")
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": support},
    )


def _await_start(folder: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not (folder / "work/md/0123456789abcdef.part/progress.json").exists():
        assert time.monotonic() < end, "the unit did not start"
        time.sleep(0.1)


def test_the_jobs_of_a_killed_driver_go_on_under_the_next_one(
    site: Slurm, tmp_path: Path
) -> None:
    cluster = section({"all": {"queue": "cpu"}}, grace=120)
    first = _driver(tmp_path, cluster, steps=3000)
    try:
        _await_start(tmp_path)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    (before,) = site.squeue()

    second = _driver(tmp_path, cluster, steps=5)
    try:
        printed, _ = second.communicate(timeout=PATIENCE_S)
    finally:
        second.kill()
        second.wait()

    assert "1 jobs of an earlier driver go on" in printed
    assert printed.strip().endswith("Done")
    ended = {job.id: job.state for job in site.squeue("--states=all")}
    names = {job.name for job in site.squeue("--states=all") if job.name == before.name}
    assert names == {before.name}
    assert ended[before.id] in {"CANCELLED", "COMPLETING", "COMPLETED"}
    site.wait_idle()


def test_without_a_next_driver_no_job_is_left_after_the_grace_time(
    site: Slurm, tmp_path: Path
) -> None:
    cluster = section({"all": {"queue": "cpu"}}, grace=10)
    driver = _driver(tmp_path, cluster, steps=3000)
    try:
        _await_start(tmp_path)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()

    site.wait_idle(patience_s=60.0)
