"""Which deaths happen, and when, follows from the seed."""

from __future__ import annotations

from collections import Counter

from dasksse.drill.schedule import Schedule

KINDS = ("worker", "engine", "driver")


def test_all_kinds_come_about_equally_often() -> None:
    schedule = Schedule(KINDS, 50, seed=0)

    counts = Counter(schedule.left)

    assert counts.total() == 50
    assert set(counts) == set(KINDS)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_equal_seeds_give_equal_deaths_and_moments_and_others_do_not() -> None:
    one, same, other = (Schedule(KINDS, 30, seed=seed) for seed in (3, 3, 4))

    assert one.left == same.left
    assert [one.wait_s(9.0) for _ in range(5)] == [same.wait_s(9.0) for _ in range(5)]
    assert one.left != other.left


def test_waits_lie_between_nothing_and_the_longest() -> None:
    schedule = Schedule(KINDS, 1, seed=0)

    waits = [schedule.wait_s(9.0) for _ in range(200)]

    assert 0.0 <= min(waits) < 1.0
    assert 8.0 < max(waits) <= 9.0


def test_a_death_that_happened_is_struck_off_once_and_can_be_put_back() -> None:
    schedule = Schedule(KINDS, 6, seed=0)
    before = Counter(schedule.left)

    schedule.done("engine")
    after = Counter(schedule.left)
    schedule.put_back(["engine"])

    assert before - after == Counter({"engine": 1})
    assert schedule.left[0] == "engine"
    assert Counter(schedule.left) == before


def test_kinds_that_cannot_happen_are_dropped_and_named_once() -> None:
    schedule = Schedule(KINDS, 9, seed=0)

    dropped = schedule.drop(lambda kind: kind != "driver")

    assert dropped == ["engine", "worker"]
    assert schedule.left == ("driver",) * 3
