from __future__ import annotations

import time

from dasksse.loop.agenda import Agenda
from dasksse.records import Unit


def unit(key: str, kind: str = "label", tag: str = "LABEL", amount: float = 2.0) -> Unit:
    return Unit(kind, key, tag, "x:y", {}, 0, amount)


def keys(agenda: Agenda, slots: dict[str, int]) -> list[str]:
    """Keys of the units that are handed out while slots are free, by tag."""
    taken = []
    for one in agenda.take(lambda u: slots.get(u.tag, 0) > 0):
        slots[one.tag] -= 1
        taken.append(one.key)
    return taken


def test_the_most_urgent_unit_that_a_slot_is_free_for_comes_first() -> None:
    agenda = Agenda()
    agenda.refill([unit("a"), unit("m", "md", "MD"), unit("b"), unit("n", "md", "MD")])

    assert keys(agenda, {"MD": 1}) == ["m"]
    assert keys(agenda, {"LABEL": 5, "MD": 5}) == ["a", "b", "n"]
    assert set(agenda.in_flight) == {"a", "b", "m", "n"}


def test_a_kind_without_a_slot_does_not_hold_up_another_kind_of_the_same_tag() -> None:
    agenda = Agenda()
    agenda.refill([unit("long", "relax"), unit("short")])

    taken = [one.key for one in agenda.take(lambda u: u.kind == "label")]

    assert taken == ["short"]


def test_asking_for_a_slot_does_not_depend_on_the_number_of_units() -> None:
    agenda = Agenda()
    agenda.refill([unit(str(n)) for n in range(1000)])
    asked = []

    taken = list(agenda.take(lambda u: asked.append(u) or len(asked) < 4))  # type: ignore[func-returns-value]

    assert len(taken) == 3
    assert len(asked) == 4


def test_a_new_plan_does_not_hand_out_again_what_is_in_flight() -> None:
    agenda = Agenda()
    agenda.refill([unit("a"), unit("b")])
    keys(agenda, {"LABEL": 1})

    agenda.refill([unit("a"), unit("b"), unit("c")])

    assert agenda.waiting() == {"LABEL": 2}
    assert keys(agenda, {"LABEL": 9}) == ["b", "c"]


def test_a_unit_to_be_tried_again_waits_and_then_goes_first() -> None:
    agenda = Agenda()
    agenda.refill([unit("a"), unit("b")])
    keys(agenda, {"LABEL": 1})
    assert agenda.land(unit("a"))

    agenda.put_back(unit("a"), 0.05)
    agenda.refill([unit("a"), unit("b")])  # the delay outlives a new plan

    assert 0.0 < agenda.next_due_s() <= 0.05
    assert agenda.waiting() == {"LABEL": 1}
    time.sleep(0.06)
    assert agenda.waiting() == {"LABEL": 2}
    assert keys(agenda, {"LABEL": 1}) == ["a"]


def test_a_unit_that_is_tried_again_at_once_does_not_wait() -> None:
    agenda = Agenda()
    agenda.refill([unit("a"), unit("b")])
    keys(agenda, {"LABEL": 1})
    agenda.land(unit("a"))

    agenda.put_back(unit("a"), 0.0)

    assert keys(agenda, {"LABEL": 1}) == ["a"]


def test_an_outcome_of_a_unit_that_is_not_in_flight_is_told() -> None:
    agenda = Agenda()
    agenda.refill([unit("a")])

    assert not agenda.land(unit("a"))


def test_open_work_is_counted_by_kind_until_it_is_settled() -> None:
    agenda = Agenda()
    agenda.refill([unit("a"), unit("b"), unit("m", "md", "MD", 500.0)])
    keys(agenda, {"LABEL": 1})

    agenda.land(unit("a"))
    agenda.settle(unit("a"))
    agenda.settle(unit("a"))

    assert agenda.open == {
        "label": {"units": 1, "amount": 2.0},
        "md": {"units": 1, "amount": 500.0},
    }


def test_it_is_short_when_slots_may_soon_stay_free_and_empty_when_all_is_settled() -> None:
    agenda = Agenda()
    agenda.refill([unit("a"), unit("b"), unit("c")])
    assert not agenda.is_short
    keys(agenda, {"LABEL": 2})
    assert agenda.is_short
    assert not agenda.is_empty

    keys(agenda, {"LABEL": 1})
    for key in "abc":
        agenda.land(unit(key))
        agenda.settle(unit(key))

    assert agenda.is_empty
