from __future__ import annotations

import pytest
from ase.data import atomic_numbers
from ase.formula import Formula
from ase.symbols import string2symbols

from dasksse.study.published import PUBLISHED, published_for


def numbers(formula: str) -> list[int]:
    return [atomic_numbers[symbol] for symbol in string2symbols(formula)]


@pytest.mark.parametrize(
    ("formula", "simulated", "measured"),
    [
        ("Li10GeP2S12", 19e-12, 4.1e-12),
        ("Li20Si2P4S24", 16e-12, 5.8e-12),
        ("Li10SnP2S12", 9e-12, 3.1e-12),
    ],
)
def test_the_numbers_are_those_of_the_text(
    formula: str, simulated: float, measured: float
) -> None:
    found = [p for p in published_for(numbers(formula)) if p.label.endswith("2021")]

    assert [(p.kind, p.D_m2_s, p.D_err_m2_s) for p in found] == [
        ("simulation", simulated, 2e-12),
        ("experiment", measured, 2e-12),
    ]


def test_other_materials_have_no_published_values() -> None:
    assert published_for(numbers("Li7La3Zr2O12")) == []
    assert published_for(numbers("Li11GeP2S12")) == []


def test_every_value_says_where_it_is_from() -> None:
    assert all(p.citation and (p.D_m2_s or p.Ea_eV) for p in PUBLISHED)
    assert all(Formula(p.formula).count()["Li"] == 10 for p in PUBLISHED)
