"""Pseudopotential files: header, choice by element, refusal of those that do not suit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fake_espresso import make_pseudos, stub_upf

from dasksse.errors import ConfigError
from dasksse.label.dft.upf import Upf, UpfSettings, check_upf, pseudopotentials, read_upf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "functional"),
    [
        ("PBE", "PBE"),
        (" SLA  PW   PBX  PBC", "PBE"),
        ("SLA PW PBE PBE", "PBE"),
        ("sla+pw+psx+psc", "PBEsol"),
        ("PBESOL", "PBEsol"),
        (" SLA  PZ   NOGX NOGC", "LDA"),
        ("SLA PW NOGX NOGC", "LDA"),
        ("SCAN", "SCAN"),
        ("SLA PW GGX GGC", "SLA PW GGX GGC"),
    ],
)
def test_functionals_are_known_by_their_many_names(
    written: str, functional: str, tmp_path: Path
) -> None:
    path = tmp_path / "Li.upf"
    path.write_text(stub_upf("Li", kind="PAW", functional=written))

    assert read_upf(path) == Upf("Li", "PAW", functional)


@pytest.mark.parametrize(
    ("line", "functional"),
    [
        ("SLA  PW   PBE  PBE     PBE", "PBE"),
        ("SLA  PZ   NOGX NOGC   PZ", "LDA"),
        ("SLA  PW   PSX  PSC     PBESOL", "PBEsol"),
    ],
)
def test_version_1_is_read_too(line: str, functional: str, tmp_path: Path) -> None:
    path = tmp_path / "Si.upf"
    path.write_text(stub_upf("Si", kind="US", functional=line, version=1))

    assert read_upf(path) == Upf("Si", "US", functional)


def test_a_file_without_header_says_nothing_and_is_taken(tmp_path: Path) -> None:
    (tmp_path / "Li.upf").write_text("no header\n")

    assert check_upf(UpfSettings(pseudo_dir=str(tmp_path)), "Li") == Upf()


def settings(folder: Path, **values: Any) -> UpfSettings:
    return UpfSettings.model_validate({"pseudo_dir": str(folder), **values})


@pytest.mark.parametrize(
    ("functional", "own", "suits"),
    [
        ("PBE", "PBE", True),
        ("PBE+D3", "PBE", True),
        ("PBEsol", "PBE", False),
        ("LDA", "PBE", False),
        ("PBE", "SLA PW GGX GGC", False),
        ("SCAN", "PBE", True),
        ("r2SCAN", "PBE", True),
        ("r2SCAN", "PBESOL", False),
    ],
)
def test_pseudopotentials_of_another_functional_are_refused(
    functional: str, own: str, suits: bool, tmp_path: Path
) -> None:
    folder = make_pseudos(tmp_path, ["Li"], functional=own)
    asked = settings(folder, functional=functional)

    if suits:
        assert check_upf(asked, "Li").element == "Li"
    else:
        with pytest.raises(ConfigError, match="any_pseudo_functional"):
            check_upf(asked, "Li")
    assert check_upf(settings(folder, functional=functional, any_pseudo_functional=True), "Li")


def test_a_pseudopotential_of_another_element_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Li.upf").write_text(stub_upf("Na"))

    with pytest.raises(ConfigError, match="pseudopotential of Na"):
        check_upf(settings(tmp_path), "Li")


def test_symbols_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    for name in ("S.upf", "Si.upf", "p_pbe_v1.uspp.UPF", "Pb-x.upf", "S.txt", "SnS.upf"):
        (tmp_path / name).write_text("")
    files = pseudopotentials(settings(tmp_path))

    found = {element: files.find(element).name for element in ("S", "Si", "P", "Pb")}

    assert found == {
        "S": "S.upf",
        "Si": "Si.upf",
        "P": "p_pbe_v1.uspp.UPF",
        "Pb": "Pb-x.upf",
    }


def test_a_mapping_names_every_element_and_searches_nothing(tmp_path: Path) -> None:
    folder = make_pseudos(tmp_path / "here", ["Li", "S"])
    other = make_pseudos(tmp_path / "there", ["Ge"]) / "Ge.upf"
    files = pseudopotentials(
        settings(folder, pseudopotentials={"Li": "Li.upf", "Ge": str(other), "P": "no.upf"})
    )

    assert (files.find("Li"), files.find("Ge")) == (folder / "Li.upf", other)
    sulphur, phosphorus = files.missing(["Li", "S", "P"])
    assert "no pseudopotential of S, only of Ge, Li, P" in sulphur
    assert f"no such file: {folder / 'no.upf'}" in phosphorus


def test_folders_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pseudos(tmp_path / "upf", ["Li"])
    monkeypatch.setenv("MY_PSEUDO", str(tmp_path))

    files = pseudopotentials(UpfSettings(pseudo_dir="$MY_PSEUDO/upf"))

    assert files.find("Li") == tmp_path / "upf" / "Li.upf"


def test_without_a_folder_the_error_says_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"settings\.pseudo_dir: missing"):
        pseudopotentials(UpfSettings()).find("Li")


def test_links_keep_files_of_equal_names_apart(tmp_path: Path) -> None:
    named = {}
    for element in ("Li", "S"):
        path = tmp_path / element / "pseudo.upf"
        path.parent.mkdir()
        path.write_text(stub_upf(element))
        named[element] = str(path)
    job = tmp_path / "job"
    job.mkdir()
    files = pseudopotentials(UpfSettings(pseudopotentials=named))

    files.link(["Li", "S"], job)
    names = files.link(["Li", "S"], job)  # a second attempt in the same folder

    assert names == {"Li": "Li-pseudo.upf", "S": "S-pseudo.upf"}
    assert [read_upf(job / name).element for name in names.values()] == ["Li", "S"]
