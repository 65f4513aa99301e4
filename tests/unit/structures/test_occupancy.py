from __future__ import annotations

import itertools

import pytest
from pymatgen.core import Lattice, Structure

from dasksse.errors import StructureError
from dasksse.structures.charges import net_charge
from dasksse.structures.occupancy import (
    Sublattice,
    composition_notes,
    find_sublattices,
    neutral_counts,
)


def sublattice(size: int, **occupancies: float) -> Sublattice:
    return Sublattice("-".join(occupancies), tuple(range(size)), occupancies)


def test_sites_of_equal_occupancy_are_one_sublattice_whatever_their_labels() -> None:
    structure = Structure(
        Lattice.cubic(10),
        [{"Li": 0.5}, {"Li": 0.5}, {"Li": 0.25}, {"Ge": 0.5, "P": 0.5}, "S"],
        [[0, 0, x / 5] for x in range(5)],
        labels=["A", "B", "C", "M", "S"],
    )

    found = find_sublattices(structure)

    assert [s.sites for s in found] == [(0, 1), (2,), (3,)]
    assert [s.name for s in found] == ["A, B", "C", "M"]
    assert [s.has_vacancies for s in found] == [True, True, False]


def test_counts_are_the_nearest_neutral_ones_of_all() -> None:
    lattices = [sublattice(6, Li=0.55), sublattice(4, Li=0.3), sublattice(4, Ge=0.6, P=0.4)]
    charges = {"Li": 1.0, "Ge": 4.0, "P": 5.0, "S": -2.0}
    fixed = {"S": 11.0}

    counts = neutral_counts(lattices, fixed, charges)

    def cost(a: int, b: int, ge: int) -> float:
        total = abs(a + b - 4.5) + 2 * (abs(ge - 2.4) + abs(4 - ge - 1.6))
        return total + 0.01 * (abs(a - 3.3) + abs(b - 1.2) + 2 * abs(ge - 2.4))

    best = min(
        (cost(a, b, ge), a, b, ge)
        for a, b, ge in itertools.product(range(7), range(5), range(5))
        if a + b + 4 * ge + 5 * (4 - ge) == 22
    )
    assert (counts[0]["Li"], counts[1]["Li"], counts[2]["Ge"]) == best[1:]
    assert counts[2]["Ge"] + counts[2]["P"] == 4


def test_lithium_gives_way_before_the_shared_site_does() -> None:
    lattices = [sublattice(16, Li=11.056 / 16), sublattice(4, Ge=0.515, P=0.485)]
    charges = {"Li": 1.0, "Ge": 4.0, "P": 5.0, "S": -2.0}
    fixed = {"Li": 9.0, "P": 2.0, "S": 24.0}

    counts = neutral_counts(lattices, fixed, charges)

    assert counts == [{"Li": 11}, {"Ge": 2, "P": 2}]
    whole = {"Li": 20.0, "Ge": 2.0, "P": 4.0, "S": 24.0}
    assert net_charge(whole, charges) == 0.0


def test_without_charges_counts_are_the_nearest_whole_numbers() -> None:
    assert neutral_counts([sublattice(10, Li=0.28)], {}, None) == [{"Li": 3}]


def test_charge_that_no_filling_cancels_is_refused() -> None:
    with pytest.raises(StructureError, match="no whole-number filling of Mg is neutral"):
        neutral_counts([sublattice(2, Mg=0.5)], {"Cl": 1.0}, {"Mg": 2.0, "Cl": -1.0})


def test_change_of_the_composition_is_reported() -> None:
    lattices = [sublattice(10, Li=0.51)]
    published = {"Li": 5.1, "Cl": 5.0}

    (note,) = composition_notes(
        lattices, [{"Li": 5}], published, {"Li": 1.0, "Cl": -1.0}, max_change=0.05
    )

    assert "neutral" in note
    assert "Li 5.1 -> 5" in note


def test_change_above_the_limit_is_refused_with_the_numbers() -> None:
    lattices = [sublattice(10, Li=0.6)]
    published = {"Li": 6.0, "Cl": 5.0}

    with pytest.raises(StructureError, match=r"net charge \+1 e.*Li 6 -> 5: 10.0%.*5.0%"):
        composition_notes(
            lattices, [{"Li": 5}], published, {"Li": 1.0, "Cl": -1.0}, max_change=0.05
        )


def test_unchanged_composition_needs_no_note() -> None:
    notes = composition_notes(
        [sublattice(4, Li=0.5)], [{"Li": 2}], {"Li": 2.0}, None, max_change=0.0
    )

    assert notes == ()
