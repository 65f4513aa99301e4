"""What an installation of CP2K tells about itself, and basis and potential per element."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dasksse.errors import ConfigError
from dasksse.label.dft.cp2k_data import (
    DATA_VARIABLE,
    Installation,
    Kind,
    data_folder,
    family,
    find_kinds,
    installation,
)
from dasksse.label.dft.cp2k_settings import Cp2kSettings

VERSION = """ CP2K version 2023.1
 Source code revision git:b888bd8
 cp2kflags: omp libint fftw3 libxc
 compiler options:
   -cpp -I /usr/include -D __DATA_DIR="/usr/sh
   are/cp2k" -D __SHORT_FILE__="start/cp2k.F" -O2
"""

DATA = {
    "GTH_POTENTIALS": (
        "# a comment about La GTH-PBE-q3\nLi GTH-PBE-q1\n    1\n     0.6  1  1.2\n"
        "Li GTH-PBE-q3 GTH-PBE\n    3\nGe GTH-PBE-q4 GTH-PBE\nLa GTH-PBE-q11 GTH-PBE\n"
        "S GTH-PBE-q6 GTH-PBE\nU GTH-PBE-q14 GTH-PBE\nLi GTH-PADE-q3 GTH-LDA-q3 GTH-PADE\n"
    ),
    "BASIS_MOLOPT": (
        " Li  DZVP-MOLOPT-SR-GTH DZVP-MOLOPT-SR-GTH-q3\n 1\n 2 0 2 6 3 2\n   1.0  0.5\n"
        " Ge  DZVP-MOLOPT-SR-GTH DZVP-MOLOPT-SR-GTH-q4\n"
        " S DZVP-MOLOPT-GTH DZVP-MOLOPT-GTH-q6\n S DZVP-MOLOPT-SR-GTH DZVP-MOLOPT-SR-GTH-q6\n"
    ),
    "BASIS_MOLOPT_UCL": "La DZVP-MOLOPT-SR-GTH DZVP-MOLOPT-SR-GTH-q11\n",
    "BASIS_MOLOPT_UZH": (
        "Li DZVP-MOLOPT-PBE-GTH-q1 DZVP-MOLOPT-GGA-GTH-q1\nLi DZVP-MOLOPT-SCAN-GTH-q3\n"
        "Li DZVP-MOLOPT-SCAN-GTH-q1\nGe DZVP-MOLOPT-SCAN-GTH-q4\n"
    ),
    "POTENTIAL_UZH": (
        "Li GTH-SCAN-q1\nLi GTH-SCAN-q3\nGe GTH-SCAN-q22\nGe GTH-SCAN-q4\nLa GTH-SCAN-q29\n"
    ),
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    for name, text in DATA.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def telling(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", f"print({text!r})"


def test_version_data_and_libraries_are_told_though_lines_are_broken() -> None:
    told = installation(telling(VERSION))

    assert told == Installation(
        "2023.1", Path("/usr/share/cp2k"), ("omp", "libint", "fftw3", "libxc")
    )


def test_a_program_that_cannot_be_started_tells_nothing() -> None:
    assert installation(("no-such-cp2k",)) == Installation()
    assert installation(telling("hello")) == Installation()


def test_basis_of_short_range_is_taken_with_the_charge_of_the_potential(data: Path) -> None:
    kinds = find_kinds(Cp2kSettings(), ["Li", "La", "S", "Li"])

    assert list(kinds) == ["Li", "La", "S"]
    assert kinds["Li"].basis == "DZVP-MOLOPT-SR-GTH-q3"
    assert kinds["Li"].potential == "GTH-PBE-q3"
    assert kinds["S"].basis == "DZVP-MOLOPT-SR-GTH-q6"
    assert kinds["Li"].basis_file == "BASIS_MOLOPT"
    assert kinds["La"].basis_file == "BASIS_MOLOPT_UCL"
    assert kinds["La"].n_electrons == 11


def test_most_electrons_that_have_a_basis_are_taken(data: Path) -> None:
    kinds = find_kinds(Cp2kSettings(functional="r2SCAN"), ["Li", "Ge"])

    assert kinds["Li"].potential == "GTH-SCAN-q3"
    assert kinds["Ge"].potential == "GTH-SCAN-q4"


def test_functionals_have_their_own_potentials() -> None:
    assert family("LDA", "DZVP").potential == "GTH-PADE"
    assert family("PBEsol", "DZVP").potential == "GTH-PBE"
    assert family("SCAN", "TZVP").bases == ("TZVP-MOLOPT-SCAN-GTH",)


def test_files_of_ones_own_folder_are_given_by_their_path(data: Path) -> None:
    kind = find_kinds(Cp2kSettings(functional="LDA", data_dir=str(data)), ["Li"])["Li"]

    assert kind.basis_file == str(data / "BASIS_MOLOPT")
    assert kind.potential_file == str(data / "GTH_POTENTIALS")


def test_every_element_without_a_basis_is_named(data: Path) -> None:
    message = (
        r"no basis DZVP-MOLOPT-SR-GTH or .* pseudopotential GTH-PBE for U, Xe in .*`input`"
    )
    with pytest.raises(ConfigError, match=message):
        find_kinds(Cp2kSettings(), ["Li", "U", "Xe"])


def test_folder_of_the_data_is_the_users_then_the_variables_then_the_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, variable, built = (tmp_path / name for name in ("mine", "variable", "built"))
    for folder in (mine, variable, built):
        folder.mkdir()
    command = telling(f'-D __DATA_DIR="{built}"')
    monkeypatch.setenv(DATA_VARIABLE, str(variable))

    assert data_folder(command, str(mine)) == mine
    assert data_folder(command, None) == variable
    monkeypatch.delenv(DATA_VARIABLE)
    assert data_folder(command, None) == built


def test_kinds_of_a_template_are_those_with_basis_and_potential(data: Path) -> None:
    template = (
        "&FORCE_EVAL\n&SUBSYS\n&KIND Ge\nBASIS_SET B-q14\nPOTENTIAL GTH-PBE-q14\n&END\n"
        "&KIND S\nBASIS_SET B\n&END\n&END\n&END"
    )

    kinds = find_kinds(Cp2kSettings(input=template), ["Ge", "S"])

    assert kinds["Ge"] == Kind("B-q14", "", "GTH-PBE-q14", "", 14)
    assert kinds["S"].basis == "DZVP-MOLOPT-SR-GTH-q6"  # the template goes over it later


@pytest.mark.parametrize(
    ("data_dir", "message"),
    [
        ("/no/such/folder", "data_dir: no folder /no/such/folder"),
        (None, "data_dir: missing, CP2K_DATA_DIR is not set, and no-such-cp2k does not tell"),
    ],
)
def test_a_folder_that_is_not_there_is_told_with_the_fix(
    data_dir: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)

    with pytest.raises(ConfigError, match=message):
        data_folder(("no-such-cp2k",), data_dir)
