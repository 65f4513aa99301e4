from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from dasksse.errors import StructureError
from dasksse.structures import check_neutral, guess_charges
from dasksse.structures.charges import formula, net_charge, resolve_charges


def cell_of(**amounts: int) -> Structure:
    species = [element for element, n in amounts.items() for _ in range(n)]
    places = [[i / len(species), 0.0, 0.0] for i in range(len(species))]
    return Structure(Lattice.cubic(30), species, places)


@pytest.mark.parametrize(
    ("amounts", "charges"),
    [
        ({"Li": 20.056, "Ge": 2, "P": 4, "S": 24}, {"Li": 1, "Ge": 4, "P": 5, "S": -2}),
        ({"Li": 56, "La": 24, "Zr": 16, "O": 96}, {"Li": 1, "La": 3, "Zr": 4, "O": -2}),
        ({"Li": 24, "P": 4, "S": 20, "Cl": 4}, {"Li": 1, "P": 5, "S": -2, "Cl": -1}),
        ({"Na": 1, "Cl": 1}, {"Na": 1, "Cl": -1}),
    ],
)
def test_charges_of_known_electrolytes_are_guessed(
    amounts: dict[str, float], charges: dict[str, float]
) -> None:
    assert guess_charges(amounts) == charges


@pytest.mark.parametrize("amounts", [{"Cu": 4}, {"Fe": 3, "O": 4}, {"Li": 2, "S": 4}])
def test_metals_and_mixed_valences_have_no_guess(amounts: dict[str, float]) -> None:
    assert guess_charges(amounts) is None


@pytest.mark.parametrize(("n_lithium", "net"), [(21, r"\+1 e"), (19, "-1 e")])
def test_cell_with_a_lithium_too_many_or_few_is_refused(n_lithium: int, net: str) -> None:
    structure = cell_of(Li=n_lithium, Ge=2, P=4, S=24)

    with pytest.raises(
        StructureError, match=rf"Li{n_lithium} Ge2 P4 S24 .*net charge of {net}"
    ):
        check_neutral(structure)


def test_garnet_without_one_lithium_is_refused_although_it_holds_a_transition_metal() -> None:
    with pytest.raises(StructureError, match="net charge of -1 e"):
        check_neutral(cell_of(Li=55, La=24, Zr=16, O=96))


def test_neutral_cell_passes_without_note() -> None:
    assert check_neutral(cell_of(Li=20, Ge=2, P=4, S=24)) == ()


def test_given_charges_are_believed() -> None:
    with pytest.raises(StructureError, match="net charge of -2 e"):
        check_neutral(cell_of(Fe=3, O=4), {"Fe": 2.0, "O": -2.0})


def test_metal_that_changes_valence_is_a_note() -> None:
    (note,) = check_neutral(cell_of(Li=15, Co=16, O=32))

    assert "mixed valence" in note


def test_unknown_oxidation_states_are_a_note() -> None:
    (note,) = check_neutral(cell_of(Cu=4))

    assert "neutrality not checked" in note


def test_charges_must_be_given_for_every_element() -> None:
    with pytest.raises(StructureError, match="no charge for Cl; the cell holds Na, Cl"):
        resolve_charges({"Na": 1, "Cl": 1}, {"Na": 1.0})


def test_formula_shows_fractions_and_net_charge_sums_them() -> None:
    amounts = {"Li": 20.056, "S": 10.0}

    assert formula(amounts) == "Li20.06 S10"
    assert net_charge(amounts, {"Li": 1.0, "S": -2.0}) == pytest.approx(0.056)
