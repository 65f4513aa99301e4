"""Settings, keywords and needs of the GPAW engine; GPAW itself runs in tests/external."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label import (
    calculator_commands,
    check_calculator,
    convergence_ladders,
    label_costs,
    missing_for_labels,
)
from dasksse.label.dft.gpaw import GpawCalculator, GpawSettings, parameters_of

LGPS = np.diag([8.69, 8.69, 12.60])
HAS_GPAW = importlib.util.find_spec("gpaw") is not None


def section(**settings: Any) -> RegistrySection:
    return RegistrySection(kind="gpaw", settings=settings)


def test_keywords_follow_the_settings() -> None:
    keywords = parameters_of(GpawSettings(), LGPS)

    assert keywords == {
        "mode": {"name": "pw", "ecut": 400.0},
        "xc": "PBE",
        "kpts": {"size": [3, 3, 2], "gamma": True},
        "symmetry": {"point_group": False},
        "occupations": {"name": "fixed-uniform"},
        "convergence": {
            "energy": {"name": "energy", "tol": 1e-6, "relative": False},
            "forces": 1e-3,
        },
        "maxiter": 100,
    }


def test_smearing_and_other_functionals_have_gpaws_names() -> None:
    settings = GpawSettings(functional="r2SCAN", smearing_eV=0.05, kspacing_per_A=None)

    keywords = parameters_of(settings, LGPS)

    assert keywords["xc"] == "MGGA_X_R2SCAN+MGGA_C_R2SCAN"
    assert keywords["occupations"] == {"name": "fermi-dirac", "width": 0.05}
    assert keywords["kpts"]["size"] == [1, 1, 1]


def test_dispersion_is_left_to_the_correction() -> None:
    assert parameters_of(GpawSettings(functional="PBE+D3"), LGPS)["xc"] == "PBE"


def test_keywords_of_the_user_are_merged_key_by_key() -> None:
    own = {
        "convergence": {"density": 1e-6, "forces": 1e-4},
        "occupations": {"name": "marzari-vanderbilt", "width": 0.1},
        "setups": {"Na": "1"},
    }

    keywords = parameters_of(GpawSettings(parameters=own), LGPS)

    energy = {"name": "energy", "tol": 1e-6, "relative": False}
    assert keywords["convergence"] == {"energy": energy, "density": 1e-6, "forces": 1e-4}
    assert keywords["occupations"] == own["occupations"]
    assert keywords["setups"] == {"Na": "1"}


def test_fallbacks_change_the_way_to_the_result_and_nothing_else() -> None:
    own = {"setups": {"Na": "1"}, "mixer": {"name": "msr1", "beta": 0.1}}
    asked, *others = GpawCalculator(GpawSettings(parameters=own, max_scf_steps=50)).ladder()

    before = parameters_of(asked.settings, LGPS)

    assert [rung.name for rung in others] == ["slow-mixing", "rmm-diis"]
    for rung in others:
        after = parameters_of(rung.settings, LGPS)
        changed = {key for key in after if after[key] != before.get(key)}
        assert changed <= {"mixer", "eigensolver", "convergence", "maxiter"}
        assert after["convergence"].items() >= before["convergence"].items()
        assert after["mixer"]["beta"] < 0.05
        assert after["maxiter"] > 50


@pytest.mark.skipif(not HAS_GPAW, reason="no gpaw here: the source names its version")
def test_the_source_tells_all_that_changes_energies() -> None:
    sources = {
        GpawCalculator(GpawSettings(**settings)).source
        for settings in (
            {},
            {"functional": "LDA"},
            {"ecut_eV": 500.0},
            {"kspacing_per_A": 0.2},
            {"kspacing_per_A": None},
            {"smearing_eV": 0.1},
            {"energy_tolerance_eV": 1e-7},
            {"parameters": {"setups": {"Na": "1"}}},
        )
    }

    assert len(sources) == 8
    assert all(source.startswith("GPAW 2") for source in sources)


def test_a_functional_without_data_sets_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="found 'PBEsol'") as info:
        check_calculator(section(functional="PBEsol"))

    assert "allowed: PBE, LDA, SCAN, r2SCAN, PBE+D3" in str(info.value)


@pytest.mark.parametrize(
    ("keyword", "fix"),
    [("xc", "set `functional`"), ("mode", "set `ecut_eV`"), ("kpts", "set `kspacing_per_A`")],
)
def test_keywords_that_settings_own_are_refused(keyword: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=f"{keyword}: {fix}"):
        check_calculator(section(parameters={keyword: "anything"}))


def test_its_command_is_a_file_that_is_there() -> None:
    ((*_, option, child),) = calculator_commands(section())

    assert option == "-P"
    assert Path(child).is_file()


@pytest.mark.gpaw
@pytest.mark.parametrize("functional", ["PBE", "LDA", "r2SCAN"])
def test_data_sets_are_there_for_the_elements_of_solid_electrolytes(functional: str) -> None:
    elements = ("Li", "Na", "Ge", "Si", "Sn", "P", "S", "Cl", "Zr", "La", "O")

    assert missing_for_labels(section(functional=functional), elements) == []


@pytest.mark.gpaw
def test_a_missing_data_set_is_told_with_the_fix() -> None:
    (text,) = missing_for_labels(section(functional="LDA"), ("Li", "Pu"))

    assert "no PAW data set Pu.LDA" in text
    assert "GPAW_SETUP_PATH" in text


@pytest.mark.gpaw
@pytest.mark.parametrize("setups", ["mine", {"Pu": "mine"}, {"default": "mine"}])
def test_data_sets_of_the_users_choice_are_the_users(setups: str | dict[str, str]) -> None:
    assert missing_for_labels(section(parameters={"setups": setups}), ("Pu",)) == []


def test_a_missing_package_is_told_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    (text,) = missing_for_labels(section(), ("Li",))

    assert 'pip install "dasksse[gpaw]"' in text


def test_the_ladders_of_convergence_hold_the_configured_values() -> None:
    ladders = convergence_ladders(section(ecut_eV=420.0, smearing_eV=0.03), LGPS)

    assert 420.0 in ladders["ecut_eV"] == sorted(ladders["ecut_eV"])
    assert 0.26 in ladders["kspacing_per_A"]
    assert ladders["smearing_eV"] == [0.2, 0.1, 0.05, 0.03, 0.02]
    assert "smearing_eV" not in convergence_ladders(section(), LGPS)


def test_the_expected_time_grows_with_atoms_cut_off_and_mesh() -> None:
    gamma, fine, more = (
        label_costs(section(**settings)).seconds_per_frame
        for settings in ({"kspacing_per_A": None}, {"ecut_eV": 600.0}, {})
    )

    assert gamma(50) < more(50) < fine(50)
    assert gamma(50) < gamma(100)
    assert label_costs(section()).batch_size == 1
