from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, check_engine, make_runner, slots
from dasksse.engine.serial_runner import SerialRunner
from dasksse.errors import ConfigError
from dasksse.records import Done, Failed, Outcome, Runner, Unit, content_key
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCAL = RegistrySection(kind="local", settings={"workers": 2, "dashboard_port": 0})


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = make_runner(LOCAL, Start(tmp_path))
    when_ready(made, 2)
    yield made
    made.close()


def when_ready(runner: Runner, workers: int, patience_s: float = 60.0) -> None:
    """Wait until so many workers are free."""
    end = time.monotonic() + patience_s
    while runner.free_slots("MD") < workers and time.monotonic() < end:
        runner.wait(0.1)
    assert runner.free_slots("MD") >= workers


def unit(stage: str, tag: str = "MD", **payload: object) -> Unit:
    key = content_key(stage, tag, payload)
    return Unit("md", key, tag, f"stages_for_tests:{stage}", payload)


def collect(runner: Runner, count: int, patience_s: float = 120.0) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end = time.monotonic() + patience_s
    while len(outcomes) < count and time.monotonic() < end:
        outcomes += runner.wait(1.0)
    return outcomes


def drain(runner: Runner, units: list[Unit]) -> dict[str, Outcome]:
    waiting, outcomes = list(units), {}
    while len(outcomes) < len(units):
        while waiting and runner.free_slots(waiting[0].tag) > 0:
            runner.submit(waiting.pop(0))
        for outcome in runner.wait(1.0):
            outcomes[outcome.unit.key] = outcome
    return outcomes


def test_serial_and_dask_give_equal_records(runner: Runner, tmp_path: Path) -> None:
    units = [unit("double", tag, value=n) for n, tag in enumerate(("MD", "LABEL", "REDUCE"))]
    units.append(unit("crash"))

    with_dask = drain(runner, units)
    serial = drain(SerialRunner(tmp_path / "serial"), units)

    for asked in units[:3]:
        assert with_dask[asked.key].value == serial[asked.key].value  # type: ignore[union-attr]
    for outcome in (with_dask[units[3].key], serial[units[3].key]):
        assert isinstance(outcome, Failed)
        assert outcome.failure_class == "engine"
        assert "last words" in outcome.error


def test_the_unit_of_a_killed_worker_comes_back_as_lost_and_can_go_on(
    runner: Runner, tmp_path: Path
) -> None:
    asked = unit("slow", steps=30)
    runner.submit(asked)
    log = RunFolder(tmp_path).part("md", asked.key) / "attempts.jsonl"
    end = time.monotonic() + 60
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.05)
    victim = json.loads(log.read_text().splitlines()[0])["pid"]
    os.kill(victim, signal.SIGKILL)

    (lost,) = collect(runner, 1)
    runner.submit(asked)
    (outcome,) = collect(runner, 1)

    assert isinstance(lost, Failed)
    assert lost.failure_class == "lost"
    assert isinstance(outcome, Done)
    assert RunFolder(tmp_path).unit_result("md", asked.key)["attempts"] == 2
    when_ready(runner, 2)


def test_no_more_units_are_in_flight_than_there_are_workers(runner: Runner) -> None:
    assert runner.free_slots("MD") == 2

    runner.submit(unit("slow", steps=3))

    assert runner.free_slots("TRAIN") == 1
    collect(runner, 1)
    assert runner.free_slots("MD") == 2


def test_a_tag_that_no_worker_offers_is_refused(runner: Runner) -> None:
    with pytest.raises(ValueError, match="offered are"):
        runner.free_slots("GPU")


def test_closing_the_runner_leaves_no_process(tmp_path: Path) -> None:
    me = psutil.Process()
    before = {process.pid for process in me.children(recursive=True)}
    made = make_runner(LOCAL, Start(tmp_path))
    when_ready(made, 1)
    made.submit(unit("slow", steps=600))
    time.sleep(1.0)
    started = {process.pid for process in me.children(recursive=True)} - before

    made.close()

    assert started
    left = [p for p in started if psutil.pid_exists(p)]
    alive = [psutil.Process(p) for p in left]
    alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    commands = [" ".join(process.cmdline()) for process in alive]
    assert [text for text in commands if "resource_tracker" not in text] == []


def test_the_dashboard_address_is_told_and_on_loopback(runner: Runner) -> None:
    assert any("http://127.0.0.1:" in line for line in runner.describe())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (RegistrySection(kind="slrum"), "did you mean 'slurm'"),
        (RegistrySection(kind="locall"), "did you mean 'local'"),
        (RegistrySection(kind="local", settings={"workers": 0}), "settings.workers: found 0"),
        (RegistrySection(kind="local", settings={"cores": 1}), "settings.cores: unknown key"),
    ],
)
def test_a_wrong_engine_is_refused_with_what_is_allowed(
    section: RegistrySection, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_engine(section)

    assert message in str(caught.value)


def test_slots_are_workers() -> None:
    assert slots(LOCAL) == 2
    assert slots(RegistrySection(kind="serial")) == 1
