"""Values to try: declared by the calculator or named by the user, with the configured one."""

from __future__ import annotations

import numpy as np
import pytest

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label import resolved_calculator
from dasksse.label.dft.settings import k_ladder, k_mesh
from dasksse.study.ladders import (
    choose_ladders,
    configured_value,
    parse_vary,
    with_configured,
    with_settings,
)

CELL = 4.0 * np.eye(3)
SECTION = RegistrySection(kind="made-up")


def test_settings_to_vary_come_with_values_or_without() -> None:
    found = parse_vary(["cutoff_Ry=300,400", "basis", "kspacing_per_A=null,0.5", "mode=a,b"])

    assert found == {
        "cutoff_Ry": [300, 400],
        "basis": [],
        "kspacing_per_A": [None, 0.5],
        "mode": ["a", "b"],
    }


@pytest.mark.parametrize("text", ["cutoff_Ry=300", "=1,2", ""])
def test_settings_to_vary_without_name_or_with_one_value_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--vary: found .* allowed: SETTING .*=V1,V2"):
        parse_vary([text])


@pytest.mark.parametrize(
    ("values", "configured", "expected"),
    [
        ([200, 400, 600], 300.0, [200, 300.0, 400, 600]),
        ([200, 400, 600], 800, [200, 400, 600, 800]),
        ([200, 400], 400.0, [200, 400]),
        ([0.5, 0.3, 0.15], 0.26, [0.5, 0.3, 0.26, 0.15]),
        ([0.5, 0.3], None, [None, 0.5, 0.3]),
        (["DZVP", "TZVP"], "SZV", ["SZV", "DZVP", "TZVP"]),
    ],
)
def test_the_configured_value_takes_its_place(
    values: list[object], configured: object, expected: list[object]
) -> None:
    assert with_configured(values, configured) == expected


def test_declared_ladders_are_taken_when_none_are_named() -> None:
    found = choose_ladders(resolved_calculator(SECTION), {}, CELL)

    assert found == {
        "cutoff_Ry": [100.0, 200.0, 300.0, 400.0, 500.0],
        "basis": ["SZV", "DZVP", "TZVP"],
    }


def test_only_named_settings_vary() -> None:
    vary = {"basis": [], "cutoff_Ry": [350, 450]}

    found = choose_ladders(resolved_calculator(SECTION), vary, CELL)

    assert found == {"basis": ["SZV", "DZVP", "TZVP"], "cutoff_Ry": [300.0, 350, 450]}


def test_a_setting_without_declared_values_names_those_that_have_some() -> None:
    with pytest.raises(ConfigError, match=r"cutof_Ry.*allowed: cutoff_Ry, basis; did you mean"):
        choose_ladders(resolved_calculator(SECTION), {"cutof_Ry": []}, CELL)


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({"cutof_Ry": [1, 2]}, "cutof_Ry: unknown key .* allowed: .*cutoff_Ry"),
        ({"basis": ["DZVP", "QZV"]}, "basis: found 'QZV'; .*'SZV', 'DZVP' or 'TZVP'"),
    ],
)
def test_what_the_calculator_does_not_take_is_refused(
    vary: dict[str, list[object]], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_ladders(resolved_calculator(SECTION), vary, CELL)


def test_a_calculator_without_ladders_names_those_with_some() -> None:
    with pytest.raises(
        ConfigError, match=r"'emt' declares no settings .* toy.*--vary SETTING="
    ):
        choose_ladders(RegistrySection(kind="emt"), {}, CELL)


@pytest.mark.parametrize("kind", ["abacus", "cp2k", "espresso", "gpaw", "vasp"])
def test_the_width_of_a_smearing_is_tried_where_there_is_one(kind: str) -> None:
    smeared = RegistrySection(kind=kind, settings={"smearing_eV": 0.03})
    fixed = RegistrySection(kind=kind)

    found = choose_ladders(resolved_calculator(smeared), {"smearing_eV": []}, CELL)

    assert found == {"smearing_eV": [0.2, 0.1, 0.05, 0.03, 0.02]}
    assert "smearing_eV" in choose_ladders(resolved_calculator(smeared), {}, CELL)
    assert "smearing_eV" not in choose_ladders(resolved_calculator(fixed), {}, CELL)


@pytest.mark.parametrize("kind", ["abacus", "cp2k", "espresso", "gpaw", "vasp"])
def test_fixed_occupations_are_the_end_of_a_ladder_of_widths_that_is_asked_for(
    kind: str,
) -> None:
    vary = {"smearing_eV": [0.1, 0.05]}

    found = choose_ladders(resolved_calculator(RegistrySection(kind=kind)), vary, CELL)

    assert found == {"smearing_eV": [0.1, 0.05, 0.0]}


def test_settings_inside_a_mapping_are_named_with_dots() -> None:
    factory = "ase.calculators.lj.LennardJones"
    section = resolved_calculator(
        RegistrySection(kind=f"python:{factory}", settings={"settings": {"rc": 5.0}})
    )

    changed = with_settings(section, {"settings.rc": 7.0, "settings.smooth": True})

    assert changed.settings["settings"] == {"rc": 7.0, "smooth": True}
    assert configured_value(section, "settings.rc") == 5.0
    assert configured_value(section, "settings.sigma") is None
    assert section.settings["settings"] == {"rc": 5.0}


def test_each_rung_of_a_k_ladder_is_a_finer_mesh() -> None:
    cell = np.diag([8.7, 8.7, 12.6])

    ladder = k_ladder(cell, 0.26)

    meshes = [k_mesh(cell, spacing) for spacing in ladder]
    assert ladder == (0.6, 0.4, 0.26, 0.2, 0.15)
    assert meshes == [(2, 2, 1), (2, 2, 2), (3, 3, 2), (4, 4, 3), (5, 5, 4)]


def test_gamma_alone_is_the_coarsest_rung_when_it_is_configured() -> None:
    assert k_ladder(np.diag([8.7, 8.7, 12.6]), None)[:2] == (None, 0.6)


def test_a_mesh_is_named_by_the_configured_distance() -> None:
    assert k_ladder(20.0 * np.eye(3), 0.45) == (0.45, 0.3, 0.15)
