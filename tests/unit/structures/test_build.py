from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from dasksse.config.schema import SystemSection
from dasksse.errors import StructureError
from dasksse.structures import BuiltSystem, build_system

if TYPE_CHECKING:
    from pathlib import Path

LGPS = "Li10GeP2S12_Kuhn2013_disordered.cif"
TYPES = ["Li", "Ge", "P", "S"]


def build(base_dir: Path, structure: str, **settings: Any) -> BuiltSystem:
    section = SystemSection(name="lgps", structure=structure, **settings)
    return build_system(section, type_map=TYPES, base_dir=base_dir, mobile_species="Li")


def test_disordered_file_becomes_a_periodic_crystal_in_type_order(crystals: Path) -> None:
    built = build(crystals, LGPS, ordering={"method": "random"})

    symbols = built.atoms.get_chemical_symbols()
    assert symbols == ["Li"] * 20 + ["Ge"] * 2 + ["P"] * 4 + ["S"] * 24
    assert built.atoms.pbc.all()
    assert built.name == "lgps"
    assert built.min_distance_A > 1.2
    assert set(built.atoms.arrays) == {"numbers", "positions"}


def test_what_was_changed_is_in_the_notes(crystals: Path) -> None:
    built = build(
        crystals,
        LGPS,
        ordering={"method": "random"},
        cation_ordering={"species": ["Ge", "P"], "site": "4d", "seed": 7},
    )

    text = "\n".join(built.notes)
    assert "Li 20.06 -> 20" in text
    assert "point-charge energy" in text
    assert "Ge, P permuted over site 4d, seed 7" in text


def test_supercell_has_a_cation_ordering_of_its_own(crystals: Path) -> None:
    built = build(
        crystals,
        LGPS,
        ordering={"method": "random"},
        cation_ordering={"species": ["Ge", "P"], "site": "M1"},
        supercell=(2, 2, 2),
    )

    germanium = built.atoms[built.atoms.symbols == "Ge"].get_scaled_positions() * 2 % 1.0
    lithium = built.atoms[built.atoms.symbols == "Li"].get_scaled_positions() * 2 % 1.0
    assert len(built.atoms) == 400
    assert len(np.unique(np.round(germanium, 4) % 1.0, axis=0)) == 4
    assert len(np.unique(np.round(lithium, 4) % 1.0, axis=0)) == 20


def test_volume_scale_applies_to_the_cell_of_the_file(crystals: Path) -> None:
    plain = build(crystals, "Li10GeP2S12_ordered.cif")
    scaled = build(crystals, "Li10GeP2S12_ordered.cif", volume_scale=0.97)

    assert scaled.atoms.get_volume() == pytest.approx(0.97 * plain.atoms.get_volume())
    assert scaled.min_distance_A == pytest.approx(plain.min_distance_A * 0.97 ** (1 / 3))


def test_partial_occupancies_without_ordering_are_refused_by_site(crystals: Path) -> None:
    with pytest.raises(StructureError, match=r"'lgps'.*Li1 16h \(Li0.47\).*add `ordering:`"):
        build(crystals, LGPS)


def test_element_without_type_is_refused(crystals: Path) -> None:
    with pytest.raises(StructureError, match=r"'lgps'.*Sn .*not in type_map"):
        build(crystals, "Li10SnP2S12_disordered.cif", ordering={})


def test_crystal_without_the_mobile_species_is_refused(tmp_path: Path) -> None:
    Structure(Lattice.cubic(5), ["P", "S"], [[0] * 3, [0.5] * 3]).to(
        filename=tmp_path / "a.cif"
    )

    with pytest.raises(StructureError, match=r"no Li \(mobile_species\) in P1 S1"):
        build(tmp_path, "a.cif")


def test_charged_crystal_is_refused_and_charges_can_be_given(
    tmp_path: Path, crystals: Path
) -> None:
    structure = Structure.from_file(crystals / "Li10GeP2S12_ordered.cif")
    structure.remove_sites([0])
    structure.to(filename=tmp_path / "a.cif")

    with pytest.raises(StructureError, match=r"'lgps'.*net charge of -1 e"):
        build(tmp_path, "a.cif")
    charges = {"Li": 20 / 19, "Ge": 4, "P": 5, "S": -2}
    assert len(build(tmp_path, "a.cif", ordering={"charges": charges}).atoms) == 49


def test_atoms_too_close_are_named(tmp_path: Path) -> None:
    structure = Structure(
        Lattice.cubic(6), ["Li", "Li", "S"], [[0, 0, 0], [0.05, 0, 0], [0.5, 0.5, 0.5]]
    )
    structure.to(filename=tmp_path / "a.cif")

    with pytest.raises(StructureError, match=r"\(Li\) and \d \(Li\) are 0.3 Å apart"):
        build(tmp_path, "a.cif")


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, dasksse.structures; "
        "print([m for m in ('pymatgen', 'torch', 'matplotlib') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
