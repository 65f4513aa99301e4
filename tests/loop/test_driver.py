"""The whole driver on units that do nothing: what it hands out, keeps, says and survives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_runs import InProcess, drive, fake_scheme, finished

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, make_runner
from dasksse.errors import ClusterError, ConfigError, DasksseError, FailureBudgetError
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk, make_unit
from dasksse.records import Failed, PoolState, Unit
from dasksse.store.folders import RunFolder
from dasksse.store.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.records import Outcome

SUPPORT = Path(__file__).parents[1] / "support"
N_UNITS = 200


def rows(run_dir: Path) -> dict[str, Any]:
    journal = Journal(run_dir / "journal.sqlite")
    found = {row.key: row for row in journal.units()}
    journal.close()
    return found


def facts(run_dir: Path) -> dict[str, Any]:
    journal = Journal(run_dir / "journal.sqlite")
    found = journal.facts()
    journal.close()
    return found


def fail_first(times: int, **values: Any) -> Callable[[Unit], Outcome | None]:
    """Let the first unit fail so many times."""
    left = [times]

    def answer(unit: Unit) -> Outcome | None:
        if unit.payload["number"] or unit.payload["generation"] or not left[0]:
            return None
        left[0] -= 1
        return Failed(unit, **{"error": "boom", "workdir": "", "wall_s": 9.0, **values})

    return answer


def test_every_unit_is_done_once_and_is_in_the_journal(tmp_path: Path) -> None:
    runner = InProcess(tmp_path, slots=3)

    run = drive(tmp_path, fake_scheme(N_UNITS), lambda: runner)

    assert len(runner.submitted) == N_UNITS == run.driver.n_units
    assert len(finished(tmp_path)) == N_UNITS
    known = rows(tmp_path)
    assert len(known) == N_UNITS
    assert {row.status for row in known.values()} == {"done"}
    assert {row.attempts for row in known.values()} == {1}
    assert known[runner.submitted[5].key].result == {"n": 5, "n_good": 1, "generation": 0}
    assert facts(tmp_path)["stage"] == "finished"
    assert facts(tmp_path)["ready"] == {}


def test_a_later_generation_starts_when_the_one_before_is_settled(tmp_path: Path) -> None:
    runner = InProcess(tmp_path, slots=3)

    drive(tmp_path, fake_scheme(20), lambda: runner)

    generations = [unit.generation for unit in runner.submitted]
    assert generations == [0] * 10 + [1] * 10
    assert runner.demands[0] == {"LABEL": 3, "MD": 4}  # 10 units, 3 of them in flight
    log = (tmp_path / "run.log").read_text()
    assert "10 units are settled" in log


def test_planning_takes_a_small_share_of_the_time(tmp_path: Path) -> None:
    calls = []
    scheme = fake_scheme(N_UNITS)

    def slow(*arguments: Any) -> Plan:
        calls.append(time.monotonic())
        time.sleep(0.05)
        return scheme(*arguments)

    drive(tmp_path, slow, lambda: InProcess(tmp_path))

    assert len(calls) < N_UNITS / 4


def test_a_finished_run_starts_no_engine_even_without_its_journal(tmp_path: Path) -> None:
    drive(tmp_path, fake_scheme(20), lambda: InProcess(tmp_path))
    before = finished(tmp_path)
    (tmp_path / "journal.sqlite").unlink()

    again = drive(tmp_path, fake_scheme(20), lambda: pytest.fail("an engine was started"))

    assert again.driver.n_units == 0
    assert finished(tmp_path) == before
    assert len(rows(tmp_path)) == 20


def test_a_driver_killed_between_two_batches_repeats_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from fake_runs import InProcess, drive, fake_scheme\n"
        f"run_dir = Path({str(tmp_path)!r})\n"
        f"drive(run_dir, fake_scheme({N_UNITS}), lambda: InProcess(run_dir, slots=2))\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", code])
    while len(list(tmp_path.glob("work/*/*/result.json"))) < 30:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = finished(tmp_path)
    in_journal = rows(tmp_path)
    runner = InProcess(tmp_path, slots=2)

    drive(tmp_path, fake_scheme(N_UNITS), lambda: runner)

    assert 28 <= len(before) < N_UNITS  # one or two may die between result and rename
    assert len(in_journal) <= len(before)
    assert len(runner.submitted) == N_UNITS - len(before)
    after = finished(tmp_path)
    assert {unit: after[unit] for unit in before} == before
    assert len(rows(tmp_path)) == N_UNITS


def test_the_dask_engine_does_the_same_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    section = RegistrySection(kind="local", settings={"workers": 2, "dashboard_port": 0})

    run = drive(tmp_path, fake_scheme(N_UNITS), lambda: make_runner(section, Start(tmp_path)))

    assert run.driver.n_units == N_UNITS
    assert {row.attempts for row in rows(tmp_path).values()} == {1}
    records = tmp_path.glob("work/*/*/result.json")
    assert [json.loads(path.read_text())["attempts"] for path in records] == [1] * N_UNITS


def test_a_stop_by_the_walltime_is_free_and_goes_on_at_once(tmp_path: Path) -> None:
    answer = fail_first(30, failure_class="walltime")
    runner = InProcess(tmp_path, answer=answer)

    drive(tmp_path, fake_scheme(4), lambda: runner)

    first = runner.submitted[0]
    assert [unit.key for unit in runner.submitted[:31]] == [first.key] * 31
    assert rows(tmp_path)[first.key].attempts == 31
    assert (tmp_path / "run.log").read_text().count("failed (walltime)") == 30
    assert not (tmp_path / "failed").exists()


def test_a_unit_that_never_finds_enough_walltime_is_quarantined(tmp_path: Path) -> None:
    config = toy_with(tmp_path, "stop: {failure_budget: {label: 1.0}}")
    runner = InProcess(
        tmp_path / "run", answer=fail_first(1000, failure_class="walltime", error="2 s left")
    )

    drive(tmp_path / "run", fake_scheme(4), lambda: runner, config=config)

    (reason,) = RunFolder(tmp_path / "run").quarantined().values()
    assert "too short for this unit: give its pool more; the last stop: 2 s left" in str(reason)
    assert len(finished(tmp_path / "run")) == 3


def toy_with(folder: Path, line: str) -> Path:
    """The toy configuration with one section replaced."""
    toy = Path(__file__).parents[2] / "configs" / "toy.yaml"
    section = line.partition(":")[0]
    kept = [text for text in toy.read_text().splitlines() if not text.startswith(section)]
    text = "\n".join([*kept, line]).replace("structures/", f"{toy.parent}/structures/")
    path = folder / "config.yaml"
    path.write_text(text + "\n")
    return path


def test_a_unit_given_up_is_quarantined_and_the_rest_is_done(tmp_path: Path) -> None:
    config = toy_with(tmp_path, "stop: {retries: 0, failure_budget: {label: 0.5}}")
    error = "[/tmp/x] broke\nlast words"  # rich would take the bracket for a tag
    runner = InProcess(
        tmp_path / "run", answer=fail_first(1, failure_class="engine", error=error)
    )

    run = drive(tmp_path / "run", fake_scheme(8), lambda: runner, config=config)

    folder = RunFolder(tmp_path / "run")
    ((key, reason),) = folder.quarantined().items()
    assert key == runner.submitted[0].key
    assert reason["error"] == error
    assert rows(folder.root)[key].status == "quarantined"
    assert len(finished(folder.root)) == 7
    assert "[/tmp/x] broke" in run.screen.getvalue()
    log = folder.log.read_text()
    assert f"label {key} failed (engine): [/tmp/x] broke | last words" in log
    assert f"warning: label {key} is quarantined in {folder.failed(key)}" in log


def test_a_budget_that_is_spent_stops_this_session_and_the_next(tmp_path: Path) -> None:
    config = toy_with(tmp_path, "stop: {retries: 0, failure_budget: {label: 0.0}}")
    run_dir = tmp_path / "run"
    runner = InProcess(run_dir, answer=fail_first(1, failure_class="engine"))

    with pytest.raises(FailureBudgetError, match="1 of 2 label units failed"):
        drive(run_dir, fake_scheme(8), lambda: runner, config=config)
    with pytest.raises(FailureBudgetError, match="1 of 2 label units failed"):
        drive(run_dir, fake_scheme(8), lambda: pytest.fail("too late"), config=config)

    ((key, reason),) = RunFolder(run_dir).quarantined().items()
    RunFolder(run_dir).release(reason["kind"], key)
    drive(run_dir, fake_scheme(8), lambda: InProcess(run_dir), config=config)
    assert len(finished(run_dir)) == 8


def test_a_run_without_workers_ends_with_the_reason_and_can_go_on(tmp_path: Path) -> None:
    class Hopeless(InProcess):
        def wait(self, timeout_s: float) -> list[Outcome]:
            if len(self.submitted) == 5:
                msg = "no workers can be had: pool gpu: invalid account"
                raise ClusterError(msg)
            return super().wait(timeout_s)

    with pytest.raises(ClusterError, match="invalid account"):
        drive(tmp_path, fake_scheme(8), lambda: Hopeless(tmp_path))
    before = finished(tmp_path)
    drive(tmp_path, fake_scheme(8), lambda: InProcess(tmp_path))

    assert len(before) == 4
    assert {unit: finished(tmp_path)[unit] for unit in before} == before
    assert len(finished(tmp_path)) == 8


def test_what_came_in_with_a_failure_that_ends_the_run_is_recorded(tmp_path: Path) -> None:
    class Both(InProcess):
        def wait(self, timeout_s: float) -> list[Outcome]:
            done = super().wait(timeout_s)
            bad = self._queue.popleft()
            return [Failed(bad, "input", "no such file", ""), *done]

    with pytest.raises(ConfigError, match="no such file"):
        drive(tmp_path, fake_scheme(8), lambda: Both(tmp_path, slots=2))

    assert [row.status for row in rows(tmp_path).values()] == ["done"]


def test_lines_news_and_pools_of_the_engine_reach_user_log_and_facts(tmp_path: Path) -> None:
    pool = PoolState("gpu", ("MD",), 1, 2, 4, 1, 1, "waits: Resources")
    seen = []

    class Talking(InProcess):
        def describe(self) -> list[str]:
            return ["dashboard http://127.0.0.1:8787/status", "pool gpu: up to 4 jobs for MD"]

        def news(self) -> list[str]:
            return ["pool gpu: job 7 was cancelled"] if len(self.submitted) == 3 else []

        def pools(self) -> list[PoolState]:
            return [pool]

        def wait(self, timeout_s: float) -> list[Outcome]:
            if len(self.submitted) == 2:
                seen.append(facts(tmp_path))
            return super().wait(timeout_s)

    run = drive(tmp_path, fake_scheme(4), lambda: Talking(tmp_path))

    log = (tmp_path / "run.log").read_text()
    for line in ("dashboard http", "up to 4 jobs for MD", "job 7 was cancelled"):
        assert line in run.screen.getvalue()
        assert line in log
    assert seen[0]["pools"][0]["trouble"] == "waits: Resources"
    assert seen[0]["dashboard"] == "http://127.0.0.1:8787/status"
    assert seen[0]["ready"] == {"md": {"units": 1, "amount": 1.0}}
    assert facts(tmp_path)["pools"] == []


def test_a_run_that_cannot_be_finished_does_what_it_can_and_says_why(tmp_path: Path) -> None:
    needed = make_unit("select", "REDUCE", "x", {"number": 0, "generation": 0})
    other = make_unit("md", "MD", "x", {"number": 1, "generation": 0})
    units = [
        Unit(u.kind, u.key, u.tag, "fake_runs:echo", u.payload, 0) for u in (needed, other)
    ]

    def scheme(config: Any, digests: Any, state: RunState) -> Plan:
        walk = Walk(state)
        try:
            walk.need(units)
        except WaitingError:
            return walk.plan
        return Plan(is_finished=True)

    config = toy_with(tmp_path, "stop: {retries: 0}")
    run_dir = tmp_path / "run"
    runner = InProcess(run_dir, answer=fail_first(1, failure_class="engine"))

    with pytest.raises(DasksseError, match=f"select {needed.key} failed for good: boom"):
        drive(run_dir, scheme, lambda: runner, config=config)
    with pytest.raises(DasksseError, match="dasksse retry"):
        drive(run_dir, scheme, lambda: pytest.fail("nothing to do"), config=config)

    assert list(finished(run_dir)) == [("md", other.key)]
    RunFolder(run_dir).release("select", needed.key)
    drive(run_dir, scheme, lambda: InProcess(run_dir), config=config)
    assert len(finished(run_dir)) == 2


def test_a_plan_without_work_and_without_end_is_a_mistake_and_no_endless_wait(
    tmp_path: Path,
) -> None:
    with pytest.raises(DasksseError, match="please report it"):
        drive(tmp_path, lambda *_: Plan(stage="x"), lambda: InProcess(tmp_path))
