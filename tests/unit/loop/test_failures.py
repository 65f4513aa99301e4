from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dasksse.config.schema import StopSection
from dasksse.errors import ConfigError, FailureBudgetError, StoreError
from dasksse.loop.execute import HELD
from dasksse.loop.failures import LOST_LIMIT, WALLTIME_LIMIT, Budget, Failures, GiveUp, Retry
from dasksse.records import Failed, FailureClass, Unit
from dasksse.store.folders import CRASHES, RunFolder

if TYPE_CHECKING:
    from pathlib import Path

UNIT = Unit("md", "a" * 16, "MD", "x:y", {}, 2, 500.0)


def failed(failure_class: FailureClass, error: str = "boom", wall_s: float = 60.0) -> Failed:
    return Failed(UNIT, failure_class, error, "", wall_s)


def judge_often(failures: Failures, outcome: Failed, times: int) -> list[Retry | GiveUp]:
    return [failures.judge(outcome) for _ in range(times)]


def test_a_crash_is_retried_as_often_as_configured_and_then_given_up(tmp_path: Path) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection(retries=2))

    verdicts = judge_often(failures, failed("engine"), 3)

    assert verdicts == [Retry(1.0), Retry(2.0), GiveUp("boom")]
    assert failures.count(UNIT.key) == 3


@pytest.mark.parametrize("failure_class", ["scf", "limit"])
def test_a_label_without_convergence_or_at_its_limit_is_not_tried_again(
    tmp_path: Path, failure_class: FailureClass
) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection(retries=2))

    assert failures.judge(failed(failure_class)) == GiveUp("boom")


def test_a_new_driver_goes_on_counting_crashes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    Failures(folder, StopSection(retries=1)).judge(failed("engine"))

    verdict = Failures(folder, StopSection(retries=1)).judge(failed("engine"))

    assert verdict == GiveUp("boom")
    lines = (folder.part("md", UNIT.key) / CRASHES).read_text().splitlines()
    assert len(lines) == 2


def test_lost_workers_do_not_count_as_crashes(tmp_path: Path) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection(retries=0))

    verdicts = judge_often(failures, failed("lost", "worker was lost"), LOST_LIMIT + 1)

    assert all(isinstance(verdict, Retry) for verdict in verdicts[:-1])
    assert verdicts[-1] == GiveUp("worker was lost")
    assert not (RunFolder(tmp_path).part("md", UNIT.key) / CRASHES).exists()


def test_a_unit_that_another_process_works_on_is_waited_for_however_long(
    tmp_path: Path,
) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection(retries=0))
    held = failed("lost", f"{HELD}: process 7 on node3", wall_s=0.0)

    verdicts = judge_often(failures, held, 10 * LOST_LIMIT)

    assert all(isinstance(verdict, Retry) for verdict in verdicts)
    assert verdicts[-1] == Retry(60.0, is_news=False)
    assert isinstance(failures.judge(failed("lost")), Retry)


def test_the_end_of_a_walltime_costs_nothing_and_the_unit_goes_on_at_once(
    tmp_path: Path,
) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection(retries=0))

    verdicts = judge_often(failures, failed("walltime", "3 s left"), WALLTIME_LIMIT)

    assert verdicts[:-1] == [Retry(0.0, is_news=False)] * (WALLTIME_LIMIT - 1)
    assert isinstance(verdicts[-1], GiveUp)
    assert "too short for this unit" in verdicts[-1].error
    assert "3 s left" in verdicts[-1].error


def test_a_unit_that_found_no_time_at_all_waits_before_it_is_sent_out_again(
    tmp_path: Path,
) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection())

    verdicts = judge_often(failures, failed("walltime", wall_s=0.01), 3)

    assert [verdict.delay_s for verdict in verdicts if isinstance(verdict, Retry)] == [1, 2, 3]


def test_what_makes_further_work_useless_ends_the_run(tmp_path: Path) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection())

    with pytest.raises(ConfigError, match="no such file"):
        failures.judge(failed("input", "no such file"))
    with pytest.raises(StoreError, match="disk full: quota; free space"):
        failures.judge(failed("disk", "quota"))
    with pytest.raises(KeyboardInterrupt):
        failures.judge(failed("interrupted"))


def test_the_reason_says_what_was_given_up_and_why(tmp_path: Path) -> None:
    failures = Failures(RunFolder(tmp_path), StopSection())

    reason = failures.reason(failed("engine"), "boom")

    assert reason == {
        "kind": "md",
        "key": UNIT.key,
        "generation": 2,
        "amount": 500.0,
        "failure_class": "engine",
        "error": "boom",
        "attempts": 0,
    }


def test_production_counts_against_the_budget_of_md(tmp_path: Path) -> None:
    stop = StopSection.model_validate({"failure_budget": {"md": 0.5}})
    budget = Budget(stop, RunFolder(tmp_path))
    budget.count(["md", "md", "production", "label"], [{"kind": "md", "error": "first"}])

    budget.spend({"kind": "select", "error": "has no budget"})
    with pytest.raises(
        FailureBudgetError, match=r"2 of 3 md units failed.*= 0\.5 allows; the last: second"
    ):
        budget.spend({"kind": "production", "error": "second"})


def test_a_budget_that_is_spent_stops_the_next_session_too(tmp_path: Path) -> None:
    stop = StopSection.model_validate({"failure_budget": {"label": 0.1}})

    with pytest.raises(FailureBudgetError, match="dasksse retry"):
        Budget(stop, RunFolder(tmp_path)).count(
            ["label"] * 5, [{"kind": "label", "error": "SCF"}]
        )
