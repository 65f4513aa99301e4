"""What failed for good and comes back later never makes finished work be done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pretender import DIGESTS, Pretender, toy

from dasksse.loop.release import choose_releases

if TYPE_CHECKING:
    from dasksse.records import Unit


def run_with_one_lost(kind: str, **changes: object) -> tuple[Pretender, Unit]:
    """A finished run in which the first unit of a kind failed for good."""
    config = toy(**{"train__ensemble_size": 3, **changes})
    pretender = Pretender(config, accurate=[0.2])
    lost = pretender.until(kind).ready[0]
    pretender.fail(lost)
    assert pretender.run().is_finished
    return pretender, lost


@pytest.mark.parametrize("kind", ["md", "train"])
def test_one_that_comes_back_after_its_generation_went_on_changes_nothing(kind: str) -> None:
    pretender, lost = run_with_one_lost(kind)
    done = list(pretender.done)

    del pretender.failed[lost.key]
    plan = pretender.plan()

    assert plan.is_finished
    assert plan.ready == []
    assert lost.key in plan.touched
    assert pretender.done == done


@pytest.mark.parametrize("kind", ["md", "train"])
def test_a_run_of_an_earlier_version_gets_the_same_keys_and_then_keeps_them(kind: str) -> None:
    pretender, _ = run_with_one_lost(kind)
    kept = {n: v for n, v in pretender.decisions.items() if n.startswith(("expl", "ens"))}
    for name in kept:
        del pretender.decisions[name]

    plan = pretender.plan()

    assert plan.is_finished
    assert len(kept) == 1
    assert {name: pretender.decisions[name] for name in kept} == kept


def test_a_calm_run_needs_no_such_decisions() -> None:
    pretender = Pretender(toy(), accurate=[0.2])

    pretender.run()

    assert [n for n in pretender.decisions if n.startswith(("expl", "ens"))] == []


@pytest.mark.parametrize("kind", ["md", "train"])
def test_one_that_comes_back_in_time_is_used_like_the_others(kind: str) -> None:
    pretender = Pretender(toy(train__ensemble_size=3), accurate=[0.2])
    calm = Pretender(toy(train__ensemble_size=3), accurate=[0.2])
    calm.run()
    lost = pretender.until(kind).ready[0]
    pretender.fail(lost)
    pretender.plan()

    del pretender.failed[lost.key]
    pretender.run()

    assert {unit.key for unit in pretender.done} == {unit.key for unit in calm.done}


def test_a_label_that_comes_back_joins_the_next_data_set_and_no_earlier_one() -> None:
    pretender = Pretender(toy(), accurate=[0.2])
    lost = pretender.until("label").ready[0]
    pretender.fail(lost)
    pretender.until("md")
    first = [unit.key for unit in pretender.done]

    del pretender.failed[lost.key]
    pretender.run()

    members = [
        {key for _, key, _ in unit.payload["sources"]} for unit in pretender.kinds("dataset")
    ]
    assert [lost.key in part for part in members] == [False, True, True]
    assert [unit.key for unit in pretender.done][: len(first)] == first


def test_a_production_run_that_comes_back_asks_for_a_new_analysis_and_nothing_else() -> None:
    pretender, lost = run_with_one_lost("production")
    done = len(pretender.done)

    del pretender.failed[lost.key]
    pretender.run()

    assert [unit.kind for unit in pretender.done[done:]] == ["production", "diffusion"]
    old, new = pretender.kinds("diffusion")
    assert sorted(old.payload["n_valid"].values()) == [0, 41]
    assert sorted(new.payload["n_valid"].values()) == [41, 41]


def test_an_ensemble_of_one_blocks_the_run_and_decides_nothing() -> None:
    pretender = Pretender(toy(train__ensemble_size=2), accurate=[0.2])
    lost = pretender.until("train").ready[0]
    pretender.fail(lost)
    pretender.finish(pretender.plan().ready[0])

    plan = pretender.plan()

    assert "1 of 2 train units of generation 0 succeeded, 2 are needed" in plan.blocked
    assert "dasksse retry" in plan.blocked
    assert plan.ready == []
    assert not plan.is_finished
    del pretender.failed[lost.key]
    assert pretender.run().is_finished


@pytest.mark.parametrize(
    "kind", ["structure", "start", "dataset", "probe", "select", "diffusion"]
)
def test_a_run_says_which_failure_it_cannot_be_finished_with(kind: str) -> None:
    pretender = Pretender(toy(), accurate=[0.2])
    lost = pretender.until(kind).ready[0]
    pretender.fail(lost, "no memory left")

    plan = pretender.plan()
    while plan.ready:
        pretender.finish(plan.ready[0])
        plan = pretender.plan()

    assert f"{kind} {lost.key} failed for good: no memory left" in plan.blocked
    assert not plan.is_finished
    del pretender.failed[lost.key]
    assert pretender.run().is_finished


@pytest.mark.parametrize("kind", ["md", "train"])
@pytest.mark.parametrize("is_old", [False, True])
def test_what_the_run_went_on_without_stays_in_quarantine(kind: str, is_old: bool) -> None:
    pretender, lost = run_with_one_lost(kind)
    if is_old:  # of a version that kept no such decisions
        pretender.decisions = {
            n: v for n, v in pretender.decisions.items() if not n.startswith(("expl", "ens"))
        }

    releases = choose_releases(pretender.config, DIGESTS, pretender.books(), [lost.key])

    assert releases.released == []
    assert releases.kept == {lost.key: "generation 0 went on without it"}


@pytest.mark.parametrize("kind", ["label", "production", "evaluate"])
def test_what_is_still_of_use_is_released(kind: str) -> None:
    pretender, lost = run_with_one_lost(kind)

    releases = choose_releases(pretender.config, DIGESTS, pretender.books(), [lost.key])

    assert releases.released == [lost.key]
    assert releases.kept == {}


@pytest.mark.parametrize("kind", ["md", "train", "select", "diffusion"])
def test_units_that_stopped_the_run_are_released_together(kind: str) -> None:
    pretender = Pretender(toy(), accurate=[0.2])
    lost = [unit for unit in pretender.until(kind).ready if unit.kind == kind]
    for unit in lost:  # no plan was made between the failures and the stop by the budget
        pretender.fail(unit)
    keys = [unit.key for unit in lost]

    releases = choose_releases(pretender.config, DIGESTS, pretender.books(), keys)

    assert releases.released == keys


def test_units_of_an_earlier_configuration_stay_in_quarantine() -> None:
    pretender, lost = run_with_one_lost("production")
    changed = toy(train__ensemble_size=3, production__temperatures_K=[450.0])

    releases = choose_releases(changed, DIGESTS, pretender.books(), [lost.key])

    assert releases.kept == {lost.key: "the configuration has no use for it any more"}
