from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Self

import pytest
from ase import Atoms
from ase.build import bulk
from pymatgen.core import Lattice, Structure

from dasksse.errors import StructureError
from dasksse.structures import read_structure, to_atoms
from dasksse.structures.read import check_elements

if TYPE_CHECKING:
    from pathlib import Path

SPLIT_CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
M1a Ge 0 0 0(1) {first}
M1b P 0 0 0 0.5
Cl Cl1- 0.5 0.5 0.5 1
"""


def test_partial_occupancies_are_kept(crystals: Path) -> None:
    structure = read_structure("Li10GeP2S12_Kuhn2013_disordered.cif", base_dir=crystals)

    assert structure.composition["Li"] == pytest.approx(20.056)
    assert structure.composition["Ge"] == pytest.approx(2.0)


def test_all_labels_and_the_wyckoff_symbol_of_a_shared_site_are_kept(crystals: Path) -> None:
    structure = read_structure("Li10GeP2S12_Kuhn2013_disordered.cif", base_dir=crystals)

    names = structure.site_properties["site_names"]
    assert names.count("M1Ge M1P 4d") == 4
    assert names.count("P2 2b") == 2


@pytest.mark.parametrize("name", ["POSCAR", "salt.extxyz", "salt.cif", "salt.json"])
def test_usual_formats_give_the_same_crystal(tmp_path: Path, name: str) -> None:
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    if name.endswith("xyz"):
        to_atoms(salt).write(tmp_path / name)
    else:
        salt.to(filename=str(tmp_path / name))

    structure = read_structure(name, base_dir=tmp_path)

    assert structure.composition.formula == "Na4 Cl4"
    assert structure.volume == pytest.approx(5.6**3)


def test_oxidation_states_of_the_file_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.cif").write_text(SPLIT_CIF.format(first=0.5))

    structure = read_structure("x.cif", base_dir=tmp_path)

    assert {str(e) for e in structure.composition.elements} == {"Ge", "P", "Cl"}


def test_occupancies_slightly_above_one_are_scaled_and_noted(tmp_path: Path) -> None:
    (tmp_path / "x.cif").write_text(SPLIT_CIF.format(first=0.51))

    structure = read_structure("x.cif", base_dir=tmp_path)

    assert structure.composition["Ge"] == pytest.approx(0.51 / 1.01)
    assert "x.cif" in structure.properties["notes"][0]
    assert "sum to > 1" in structure.properties["notes"][0]


def test_harmless_remarks_of_the_parser_are_no_notes(
    crystals: Path, recwarn: pytest.WarningsRecorder
) -> None:
    structure = read_structure("Li7La3Zr2O12_disordered.cif", base_dir=crystals)

    assert structure.properties["notes"] == ()
    assert len(recwarn) == 0


def test_last_of_several_frames_is_taken_and_noted(tmp_path: Path) -> None:
    from ase.io import write

    write(tmp_path / "run.extxyz", [bulk("Cu", a=3.6), bulk("Cu", a=3.7)])

    structure = read_structure("run.extxyz", base_dir=tmp_path)

    assert structure.volume == pytest.approx(3.7**3 / 4)
    assert "2 frames" in structure.properties["notes"][0]


def test_second_structure_of_a_cif_is_noted(tmp_path: Path) -> None:
    text = SPLIT_CIF.format(first=0.5)
    (tmp_path / "x.cif").write_text(text + text.replace("data_x", "data_y"))

    structure = read_structure("x.cif", base_dir=tmp_path)

    assert "2 structures in the file" in structure.properties["notes"][0]


def test_missing_file_is_named_by_its_full_path(tmp_path: Path) -> None:
    with pytest.raises(StructureError, match=str(tmp_path / "no.cif")):
        read_structure("sub/../no.cif", base_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("bad.cif", "this is no cif", "no structures"),
        ("full.cif", SPLIT_CIF.format(first=1.4), "Occupancy 1.9"),
        (
            "POSCAR",
            "x\n1\n3 0 0\n0 3 0\n0 0 3\n1 1\nDirect\n0 0 0\n.5 .5 .5\n",
            "cannot be det",
        ),
        ("odd.txt", "nothing", "Unrecognized extension"),
    ],
)
def test_unreadable_file_is_named_with_the_reason(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(StructureError, match=rf"(?s){name}.*{reason}"):
        read_structure(name, base_dir=tmp_path)


def test_molecule_without_cell_is_refused(tmp_path: Path) -> None:
    Atoms("Li", [[0, 0, 0]]).write(tmp_path / "atom.xyz")

    with pytest.raises(StructureError, match="no periodic cell"):
        read_structure("atom.xyz", base_dir=tmp_path)


def test_element_without_type_is_named_with_the_type_map(crystals: Path) -> None:
    structure = read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals)

    with pytest.raises(StructureError, match=r"here: Ge, S .*type_map \['Li', 'P'\]"):
        check_elements(structure, ["Li", "P"], where="here")


def test_elements_with_types_pass(crystals: Path) -> None:
    structure = read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals)

    check_elements(structure, ["S", "P", "Ge", "Li", "Na"], where="here")


def fake_client(monkeypatch: pytest.MonkeyPatch, answer: Structure | Exception) -> None:
    class MPRester:
        def __init__(self, key: str) -> None:
            assert key == "secret"

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def get_structure_by_material_id(self, material_id: str) -> Structure:
            if isinstance(answer, Exception):
                raise answer
            assert material_id == "mp-696138"
            return answer

    client = types.ModuleType("mp_api.client")
    client.MPRester = MPRester  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mp_api", types.ModuleType("mp_api"))
    monkeypatch.setitem(sys.modules, "mp_api.client", client)


def test_database_id_without_client_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mp_api.client", None)

    with pytest.raises(StructureError, match=r"pip install 'dasksse\[materials-project\]'"):
        read_structure("mp-696138", base_dir=tmp_path)


def test_database_id_without_key_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_client(monkeypatch, Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]]))
    monkeypatch.delenv("MP_API_KEY", raising=False)

    with pytest.raises(StructureError, match="set the environment variable MP_API_KEY"):
        read_structure("mp-696138", base_dir=tmp_path)


def test_database_entry_is_fetched_by_id(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_client(monkeypatch, Structure(Lattice.cubic(3), ["Li+"], [[0, 0, 0]]))
    monkeypatch.setenv("MP_API_KEY", "secret")

    structure = read_structure("mp-696138", base_dir=tmp_path)

    assert str(structure[0].specie) == "Li"


def test_refusal_of_the_database_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_client(monkeypatch, RuntimeError("no such material"))
    monkeypatch.setenv("MP_API_KEY", "secret")

    with pytest.raises(StructureError, match="no such material"):
        read_structure("mvc-1", base_dir=tmp_path)


def test_atoms_keep_places_and_site_names(crystals: Path) -> None:
    structure = read_structure("Li10GeP2S12_ordered.cif", base_dir=crystals)

    atoms = to_atoms(structure)

    assert atoms.pbc.all()
    assert atoms.get_chemical_symbols() == [site.specie.symbol for site in structure]
    assert abs(atoms.positions - structure.cart_coords).max() < 1e-9
    assert sum(name.startswith("M1") for name in atoms.arrays["site_names"]) == 4
