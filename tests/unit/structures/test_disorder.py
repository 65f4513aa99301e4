from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from dasksse.config.schema import OrderingSection
from dasksse.errors import StructureError
from dasksse.structures import (
    Ordered,
    ewald_energy,
    minimum_distance,
    neighbour_pairs,
    order_structure,
    read_structure,
)

if TYPE_CHECKING:
    from pathlib import Path

LGPS_CHARGES = {"Li": 1.0, "Ge": 4.0, "P": 5.0, "S": -2.0}
LGPS = "Li10GeP2S12_Kuhn2013_disordered.cif"


@pytest.fixture(scope="module")
def lgps(crystals: Path) -> Structure:
    return read_structure(LGPS, base_dir=crystals)


@pytest.fixture(scope="module")
def lowest(lgps: Structure) -> Ordered:
    return order_structure(lgps, OrderingSection())


def toy_salt(lithium: float = 0.5) -> Structure:
    """Eight sites for four lithium ions beside four chlorine."""
    places = [[x / 4, y / 2, 0.0] for x in range(4) for y in range(2)]
    chlorine = [[x / 4, 0.25, 0.5] for x in range(4)]
    return Structure(
        Lattice.orthorhombic(12, 6, 6), [{"Li": lithium}] * 8 + ["Cl"] * 4, places + chlorine
    )


def mobile_distance(structure: Structure, element: str) -> float:
    places = [site.coords for site in structure if site.specie.symbol == element]
    return minimum_distance(places, structure.lattice.matrix)


def test_lgps_is_ordered_at_least_as_low_as_by_others(
    lgps: Structure, shared_crystals: Path
) -> None:
    reference = read_structure("POSCAR_Li10GeP2S12", base_dir=shared_crystals)

    ordered = order_structure(lgps, OrderingSection(seed=3))

    assert ordered.structure.composition == reference.composition
    assert ordered.energy_eV is not None
    assert ordered.energy_eV <= ewald_energy(reference, LGPS_CHARGES) + 1e-4


def test_reported_energy_is_the_ewald_energy_of_the_structure(lgps: Structure) -> None:
    ordered = order_structure(lgps, OrderingSection(method="random", seed=1))

    assert ordered.energy_eV == pytest.approx(ewald_energy(ordered.structure, LGPS_CHARGES))


def test_ewald_ordering_lies_below_random_ones(lgps: Structure, lowest: Ordered) -> None:
    others = [order_structure(lgps, OrderingSection(method="random", seed=s)) for s in range(5)]

    assert lowest.energy_eV is not None
    assert all(o.energy_eV is not None and lowest.energy_eV < o.energy_eV - 5.0 for o in others)


def test_rounded_composition_is_in_the_notes(lowest: Ordered) -> None:
    text = " ".join(lowest.notes)

    assert "Li 20.06 -> 20" in text
    assert "Li1 16h Li 7.456 -> 8 of 16 sites" in text


@pytest.mark.parametrize("method", ["ewald", "random"])
def test_equal_seeds_give_equal_orderings(method: str) -> None:
    section = OrderingSection(method=method, seed=4)

    first, second = (order_structure(toy_salt(), section).structure for _ in range(2))

    assert first == second


def test_seeds_and_ranks_give_different_random_orderings(lgps: Structure) -> None:
    sections = [
        OrderingSection(method="random", seed=seed, rank=rank)
        for seed, rank in ((0, 0), (1, 0), (0, 1))
    ]

    structures = [order_structure(lgps, section).structure for section in sections]

    assert structures[0] != structures[1]
    assert structures[0] != structures[2]


def test_ranks_go_up_in_energy(lgps: Structure) -> None:
    energies = [
        order_structure(lgps, OrderingSection(rank=rank)).energy_eV for rank in range(4)
    ]

    steps = np.diff(np.array(energies, dtype=float))
    assert (steps > -1e-4).all()
    assert steps.sum() > 0.01


def test_random_ordering_uses_all_sites_of_a_sublattice_alike() -> None:
    occupied = np.zeros(8)
    for seed in range(60):
        ordered = order_structure(toy_salt(), OrderingSection(method="random", seed=seed))
        places = np.round(ordered.structure.frac_coords[:4], 6) % 1.0
        for x, y, _ in places:
            occupied[round(4 * x) * 2 + round(2 * y)] += 1

    assert occupied.sum() == 240
    assert occupied.min() > 15
    assert occupied.max() < 45


def test_split_sites_are_never_filled_together(crystals: Path) -> None:
    tin = read_structure("Li10SnP2S12_disordered.cif", base_dir=crystals)
    lithium = [site.coords for site in tin if "Li" in site.species]
    assert minimum_distance(lithium, tin.lattice.matrix) < 0.5

    ordered = order_structure(tin, OrderingSection(method="random", seed=2))

    assert mobile_distance(ordered.structure, "Li") >= 1.2


def test_counts_that_do_not_fit_move_to_other_sublattices_and_say_so(crystals: Path) -> None:
    kamaya = read_structure("Li10GeP2S12_Kamaya2011_disordered.cif", base_dir=crystals)

    ordered = order_structure(kamaya, OrderingSection(min_distance_A=2.2))

    assert mobile_distance(ordered.structure, "Li") >= 2.2
    assert ordered.structure.composition["Li"] == 20
    assert "Li1 16h Li 11 -> " in ordered.notes[-1]
    assert "2.2 Å" in ordered.notes[-1]


@pytest.mark.slow
def test_garnet_with_real_distances_is_ordered_about_as_well_as_by_others(
    crystals: Path, shared_crystals: Path
) -> None:
    garnet = read_structure("Li7La3Zr2O12_disordered.cif", base_dir=crystals)
    reference = read_structure("POSCAR_Li7La3Zr2O12", base_dir=shared_crystals)
    charges = {"Li": 1.0, "La": 3.0, "Zr": 4.0, "O": -2.0}

    ordered = order_structure(garnet, OrderingSection(min_distance_A=2.2))

    assert ordered.structure.composition.formula == "Li56 La24 Zr16 O96"
    assert mobile_distance(ordered.structure, "Li") >= 2.2
    assert ordered.energy_eV is not None
    assert ordered.energy_eV < ewald_energy(reference, charges) + 0.6


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("Li10GeP2S12_Kamaya2011_disordered.cif", "Li20 Ge2 P4 S24"),
        ("Li10SiP2S12_disordered.cif", "Li20 Si2 P4 S24"),
        ("Li10SnP2S12_disordered.cif", "Li20 Sn2 P4 S24"),
        ("Li7La3Zr2O12_disordered.cif", "Li56 La24 Zr16 O96"),
        ("Li9.54Si1.74P1.44S11.7Cl0.3_disordered.cif", "Li20 Si3 P3 S23 Cl1"),
        ("Na3Zr2Si2PO12_disordered.cif", "Na12 Zr8 Si8 P4 O48"),
        ("Na3Zr2Si2PO12_R3c_443K_disordered.cif", "Na18 Zr12 Si12 P6 O72"),
    ],
)
def test_every_shipped_crystal_can_be_filled(crystals: Path, name: str, formula: str) -> None:
    structure = read_structure(name, base_dir=crystals)

    ordered = order_structure(structure, OrderingSection(method="random", seed=0))

    assert ordered.structure.composition.formula == formula
    assert ordered.structure.is_ordered
    _, _, vectors = neighbour_pairs(
        ordered.structure.cart_coords, ordered.structure.lattice.matrix, 1.2
    )
    assert len(vectors) == 0


def test_shipped_ordered_lgps_is_what_its_header_says(crystals: Path, lowest: Ordered) -> None:
    shipped = read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals)

    energy = ewald_energy(shipped, LGPS_CHARGES)

    assert shipped.composition == lowest.structure.composition
    assert energy == pytest.approx(lowest.energy_eV, abs=1e-3)


def test_labels_and_site_names_stay_with_the_sites(lgps: Structure) -> None:
    ordered = order_structure(lgps, OrderingSection(method="random")).structure

    shared = [s for s in ordered if s.properties["site_names"] == "M1Ge M1P 4d"]
    assert sorted(s.specie.symbol for s in shared) == ["Ge", "Ge", "P", "P"]
    assert {s.label for s in shared} == {"M1P"}


def test_ordered_structure_is_returned_as_it_is(crystals: Path) -> None:
    structure = read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals)

    ordered = order_structure(structure, OrderingSection())

    assert ordered.structure == structure
    assert "nothing to order" in ordered.notes[0]


def test_composition_too_far_from_neutral_is_refused() -> None:
    with pytest.raises(StructureError, match=r"Li 6\.4 -> 4.*max_composition_change"):
        order_structure(toy_salt(lithium=0.8), OrderingSection(charges={"Li": 1.0, "Cl": -1.0}))


def test_unknown_charges_are_asked_for() -> None:
    alloy = Structure(Lattice.cubic(3), [{"Cu": 0.5, "Au": 0.5}] * 2, [[0] * 3, [0.5] * 3])

    with pytest.raises(StructureError, match=r"give `ordering\.charges`"):
        order_structure(alloy, OrderingSection())


def test_unknown_charges_do_not_stop_a_random_ordering() -> None:
    alloy = Structure(Lattice.cubic(3), [{"Cu": 0.5, "Au": 0.5}] * 2, [[0] * 3, [0.5] * 3])

    ordered = order_structure(alloy, OrderingSection(method="random"))

    assert ordered.energy_eV is None
    assert ordered.structure.composition.formula == "Cu1 Au1"


def test_atoms_that_cannot_fit_are_refused() -> None:
    with pytest.raises(StructureError, match=r"do not fit on Li:0\.5 with 4\.5 Å"):
        order_structure(toy_salt(), OrderingSection(method="random", min_distance_A=4.5))


def test_rank_beyond_what_is_found_is_refused_with_the_number() -> None:
    with pytest.raises(StructureError, match=r"rank is 500, but annealing found \d+ distinct"):
        order_structure(toy_salt(), OrderingSection(rank=500))
