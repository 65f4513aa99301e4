"""The verdict follows from the numbers; the JSON holds the promised keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dasksse.drill.outcome import Outcome

KEYS = {
    "kills_by_kind",
    "units_total",
    "units_repeated",
    "md_steps_lost_max",
    "recover_s_by_kind",
    "equal_to_calm",
}


def outcome(**values: Any) -> Outcome:
    made = Outcome(seed=0, engine="local", segment_steps=500, is_compared=True)
    made.recover_s = {"worker": [2.0, 4.0, 9.0], "driver": [7.0]}
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_the_promised_numbers_are_there_as_json() -> None:
    values = json.loads(json.dumps(outcome(units_total=40, md_steps_lost_max=460).to_json()))

    assert set(values) >= KEYS
    assert values["kills_by_kind"] == {"worker": 3, "driver": 1}
    assert values["recover_s_by_kind"]["worker"] == {"median": 4.0, "max": 9.0, "n": 3}
    assert values["kills"] == 4
    assert values["equal_to_calm"] is True
    assert values["wrong"] == []


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("units_repeated", ["md/1"], "done again: unit md/1"),
        ("segments_repeated", ["md/1.part/segment-00000.npz"], "done again: MD segment md/1"),
        ("md_steps_lost_max", 501, "501 MD steps, more than a segment of 500"),
        ("differences", ["round-1: x"], "not equal to the calm run: round-1: x"),
        ("is_compared", False, "no disturbed run could be compared"),
        ("orphans", ["17: python"], "process left behind: 17: python"),
        ("troubles", ["the driver ended by itself"], "the driver ended by itself"),
    ],
)
def test_each_fault_fails_the_drill_and_is_named(name: str, value: Any, text: str) -> None:
    (wrong,) = outcome(**{name: value}).wrong()

    assert text in wrong


def test_a_difference_or_no_comparison_is_not_equal() -> None:
    assert not outcome(differences=["x"]).is_equal
    assert not outcome(is_compared=False).is_equal
    assert outcome(md_steps_lost_max=500).wrong() == []
