"""Labels at most: one number, or one for each explored system."""

from __future__ import annotations

from typing import Any

import pytest
from pretender import toy
from pydantic import ValidationError

from dasksse.config.schema import SelectSection
from dasksse.loop.estimate import estimate_run


def test_one_number_serves_all_systems() -> None:
    section = SelectSection(max_labels=7)

    assert section.labels_of("any") == 7


def test_each_system_has_its_number() -> None:
    section = SelectSection.model_validate({"max_labels": {"small": 300, "large": 150}})

    assert (section.labels_of("small"), section.labels_of("large")) == (300, 150)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"slat": 3, "salt": 3}, "no system named slat"),
        ({}, "no number for salt; give one number for all, or one for each of salt"),
        ({"salt": -1}, "greater than or equal to 0"),
    ],
)
def test_numbers_must_fit_the_systems(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        toy(select__max_labels=numbers)


def test_the_estimate_counts_what_each_system_may_have() -> None:
    one, each = (estimate_run(toy(select__max_labels=n), {"salt": 8}) for n in (5, {"salt": 5}))

    assert one.amounts == each.amounts
