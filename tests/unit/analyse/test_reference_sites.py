from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lattice_walks import UNIT_CELL
from pymatgen.core import Lattice, Structure

from dasksse.analyse.reference_sites import read_reference_sites, reference_sites
from dasksse.errors import AnalysisError

STRUCTURES = Path(__file__).parents[3] / "configs" / "structures"
LGPS_CELL = Lattice.tetragonal(8.69, 12.6).matrix


def test_classes_are_the_labels_and_wyckoff_symbols_of_the_file() -> None:
    path = STRUCTURES / "Li10GeP2S12_Kuhn2013_disordered.cif"

    sites = read_reference_sites(path, "Li", LGPS_CELL * [[2], [2], [1]])

    assert sites.classes == ("Li1 16h", "Li2 8f", "Li3 4c", "Li4 4d")
    assert sites.multiplicities.tolist() == [64, 32, 16, 16]
    assert len(sites.anchors) == 4 * 30
    assert sites.closest_A == pytest.approx(1.5, abs=0.05)


def test_halves_of_a_split_site_are_merged_and_said_so() -> None:
    cell = 12.97 * np.eye(3)

    sites = read_reference_sites(STRUCTURES / "Li7La3Zr2O12_disordered.cif", "Li", cell)

    assert sites.classes == ("Li1 24d", "Li2 96h")
    assert sites.multiplicities.tolist() == [24, 48]
    assert "of 120 sites of Li those closer than 1 Å were merged, 72 are left" in sites.notes[0]


def test_a_merged_site_is_in_the_middle() -> None:
    structure = Structure(
        10.0 * np.eye(3), ["Li", "Li", "S"], [[0.98, 0, 0], [0.03, 0, 0], [0.5] * 3]
    )

    sites = reference_sites(structure, "Li", 10.0 * np.eye(3))

    np.testing.assert_allclose((sites.fractions + 0.5) % 1.0, [[0.505, 0.5, 0.5]])


def test_a_file_without_names_has_orbits_as_classes() -> None:
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.7), ["Cl", "Li", "Li"], [[0, 0, 0], [0.5] * 3, [0.25] * 3]
    )

    sites = reference_sites(structure, "Li", 11.4 * np.eye(3))

    assert sites.classes == ("Li-A", "Li-B")
    assert sites.multiplicities.tolist() == [64, 32]


def test_interstitial_sites_can_be_given_as_element_x() -> None:
    structure = Structure(
        5.0 * np.eye(3), ["Li", "X0+", "S"], [[0, 0, 0], [0.5, 0, 0], [0.5] * 3]
    )

    sites = reference_sites(structure, "Li", 5.0 * np.eye(3))

    assert len(sites) == 2
    assert len(sites.anchors) == 1


def test_an_oblique_repetition_of_a_primitive_cell_is_found() -> None:
    primitive = 0.5 * 5.7 * (np.ones((3, 3)) - np.eye(3))
    structure = Structure(primitive, ["Li", "Cl"], [[0, 0, 0], [0.5] * 3])

    sites = reference_sites(structure, "Li", 5.7 * np.eye(3))

    assert len(sites) == len(sites.anchors) == 4
    assert sites.closest_A == pytest.approx(5.7 / np.sqrt(2.0))


def test_another_cell_is_refused_by_how_much() -> None:
    structure = Structure(UNIT_CELL, ["Li", "S"], [[0, 0, 0], [0.5] * 3])
    cell = UNIT_CELL * [[2.0], [2.0], [2.26]]

    with pytest.raises(
        AnalysisError, match=r"does not match .* nor do 2 x 2 x 2 of it: .*\+13\.0 %.*density"
    ):
        reference_sites(structure, "Li", cell)


def test_a_supercell_that_does_not_fit_is_refused() -> None:
    structure = Structure(UNIT_CELL, ["Li", "S"], [[0, 0, 0], [0.5] * 3])

    with pytest.raises(AnalysisError, match=r"nor do 2 x 1 x 1 of it"):
        reference_sites(structure, "Li", UNIT_CELL, supercell=(2, 1, 1))


def test_a_structure_without_the_ion_is_refused_with_its_elements() -> None:
    structure = Structure(UNIT_CELL, ["Na", "S"], [[0, 0, 0], [0.5] * 3])

    with pytest.raises(AnalysisError, match=r"no site of Li \(or X\); its elements are Na, S"):
        reference_sites(structure, "Li", UNIT_CELL)
