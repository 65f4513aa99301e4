from __future__ import annotations

import gzip
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ase.data import chemical_symbols
from fake_vasp import make_library, stub_potcar
from pymatgen.core import SETTINGS

from dasksse.errors import ConfigError, ProgramMissingError
from dasksse.label.dft.vasp_potcar import ENVIRONMENT, PotcarLibrary, potcar_name

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_library_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)


def library(
    folder: Path | str | None,
    release: Any = "54",
    functional: str = "PBE",
    **choice: str,
) -> PotcarLibrary:
    return PotcarLibrary(None if folder is None else str(folder), release, functional, choice)


def test_the_recommended_files_are_those_of_the_materials_project() -> None:
    table = yaml.safe_load((files("pymatgen.io.vasp") / "PBE54Base.yaml").read_text())["POTCAR"]

    ours = {element: potcar_name(element, {}) for element in table}

    assert ours == table
    assert {"Li", "Na", "Ge", "Sn", "P", "S", "Cl", "O", "La", "Zr"} <= set(table)
    assert set(table) < set(chemical_symbols)


def test_the_users_choice_comes_first() -> None:
    assert potcar_name("Li", {"Li": "Li"}) == "Li"
    assert potcar_name("Ge", {"Li": "Li"}) == "Ge_d"


def test_files_are_joined_in_the_order_of_the_elements(tmp_path: Path) -> None:
    make_library(tmp_path, "potpaw_PBE.54", ["Li_sv", "S", "P"])

    text = library(tmp_path).read(["P", "Li", "S"])

    assert text == stub_potcar("P") + stub_potcar("Li_sv") + stub_potcar("S")


@pytest.mark.parametrize(
    ("release", "functional", "file"),
    [
        ("54", "PBE", "potpaw_PBE.54/Li_sv/POTCAR"),
        ("64", "PBEsol", "potpaw_PBE.64/Li_sv/POTCAR"),
        ("original", "PBE", "potpaw_PBE/Li_sv/POTCAR"),
        ("54", "PBE", "POT_GGA_PAW_PBE_54/POTCAR.Li_sv"),
        ("54", "PBE", "POT_GGA_PAW_PBE_54/POTCAR.Li_sv.gz"),
        ("52", "SCAN", "POTPAW_PBE_52/Li_sv/POTCAR.gz"),
        ("54", "PBE", "Li_sv/POTCAR"),
        ("54", "LDA", "potpaw_LDA.54/Li_sv/POTCAR"),
        ("original", "LDA", "potpaw/Li_sv/POTCAR"),
    ],
)
def test_the_layouts_of_vasp_ase_and_pymatgen_are_found(
    tmp_path: Path, release: str, functional: str, file: str
) -> None:
    text = stub_potcar("Li_sv", family="LDA" if functional == "LDA" else "PBE")
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())

    chosen = library(tmp_path, release, functional)

    assert chosen.problems(["Li"]) == []
    assert chosen.read(["Li"]) == text


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_the_environment_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    make_library(tmp_path, "potpaw_PBE.54", ["S"])
    monkeypatch.setenv(variable, str(tmp_path))

    assert library(None).read(["S"]) == stub_potcar("S")


def test_the_settings_of_pymatgen_name_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_library(tmp_path, "POT_GGA_PAW_PBE_54", ["S"])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))

    assert library(None).read(["S"]) == stub_potcar("S")


def test_a_folder_may_be_written_with_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_library(tmp_path, "potpaw_PBE.54", ["S"])
    monkeypatch.setenv("MY_POTCARS", str(tmp_path))

    assert library("$MY_POTCARS").problems(["S"]) == []


def test_a_missing_file_is_told_with_the_places_that_were_looked_at(tmp_path: Path) -> None:
    make_library(tmp_path, "potpaw_PBE.54", ["S"])

    problems = library(tmp_path).problems(["Ge", "S"])

    assert len(problems) == 1
    assert problems[0].startswith("POTCAR of Ge: Ge_d of PBE release 54 not found, looked for")
    assert str(tmp_path / "potpaw_PBE.54/Ge_d/POTCAR") in problems[0]
    assert "potcars: {Ge: NAME}" in problems[0]
    with pytest.raises(ProgramMissingError, match="the POTCAR of Ge"):
        library(tmp_path).read(["S", "Ge"])


def test_another_release_is_not_taken_silently(tmp_path: Path) -> None:
    make_library(tmp_path, "potpaw_PBE.64", ["S"])

    assert "release 54 not found" in library(tmp_path).problems(["S"])[0]


def test_without_any_folder_the_user_hears_how_to_name_one() -> None:
    (problem,) = library(None).problems(["S"])

    assert "no folder to look in" in problem
    assert "potcar_dir" in problem
    assert "VASP_PP_PATH" in problem


@pytest.mark.parametrize(
    ("text", "functional", "message"),
    [
        (stub_potcar("Ge_d"), "PBE", "is for Ge_d, not for S"),
        (stub_potcar("Si"), "PBE", "is for Si, not for S"),
        ("PAW_PBE S\n", "PBE", "no line TITEL, so it is no POTCAR"),
        (stub_potcar("S"), "LDA", r"LEXCH is PE, but functional LDA needs LDA POTCAR files"),
        (stub_potcar("S", family="LDA"), "PBEsol", "LEXCH is CA, but functional PBEsol needs"),
        (stub_potcar("S", kinetic=False), "r2SCAN", "no kinetic energy density of the core"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, text: str, functional: str, message: str
) -> None:
    path = tmp_path / "S" / "POTCAR"
    path.parent.mkdir()
    path.write_text(text)
    chosen = library(tmp_path, functional=functional)

    assert len(chosen.problems(["S"])) == 1
    with pytest.raises(ConfigError, match=message) as caught:
        chosen.read(["S"])
    assert str(path) in str(caught.value)


def test_fractional_hydrogen_is_hydrogen(tmp_path: Path) -> None:
    make_library(tmp_path, "potpaw_PBE.54", ["H.5"])

    assert library(tmp_path, H="H.5").problems(["H"]) == []
