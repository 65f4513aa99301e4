from __future__ import annotations

from typing import Any

import pytest
from pretender import toy
from pydantic import ValidationError

from dasksse.config.schema import FiltersSection


def test_all_rules_are_off_by_default() -> None:
    assert not FiltersSection().is_on
    assert not FiltersSection(min_frames=50).is_on


@pytest.mark.parametrize(
    "rule",
    [
        {"min_distance_A": "auto"},
        {"min_distance_A": {"Li-S": 1.5}},
        {"volume_ratio": (0.8, 1.2)},
        {"max_bond_change": 0.2},
        {"max_broken_share": 0.0},
        {"max_framework_rmsd_A": 1.0},
        {"energy_iqr": 2.0},
        {"force_iqr": 10.0},
    ],
)
def test_a_rule_is_on_when_it_has_a_value(rule: dict[str, Any]) -> None:
    assert FiltersSection(**rule).is_on


def test_pairs_are_kept_in_one_spelling() -> None:
    section = FiltersSection(min_distance_A={"S-Li": 1.5, "P-P": 2.0})

    assert section.min_distance_A == {"Li-S": 1.5, "P-P": 2.0}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Li-S": 1.5, "S-Li": 1.4}, "each pair listed once"),
        ({"Li": 1.5}, "two elements such as Li-S"),
        ({"Li-P-S": 1.5}, "two elements such as Li-S"),
        ({"Li-Xx": 1.5}, "no chemical element"),
        ({"Li-S": -1.0}, "greater than 0"),
        ("some", "auto"),
    ],
)
def test_distances_that_make_no_sense_are_refused(value: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FiltersSection(min_distance_A=value)


def test_volumes_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match=r"first \(1\.2\) must be below the second"):
        FiltersSection(volume_ratio=(1.2, 0.8))


def test_a_pair_of_elements_the_run_does_not_have_is_refused() -> None:
    with pytest.raises(ValidationError, match="Li-O has O, which is not in type_map"):
        toy(label__filters={"min_distance_A": {"Li-O": 1.2}})
