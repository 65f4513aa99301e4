"""The run: labels from a program that stands in for ABACUS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from fake_abacus import COMMAND, make_orbitals
from fake_espresso import make_pseudos, stub_upf

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label import (
    calculator_commands,
    check_calculator,
    convergence_ladders,
    label_frames,
    load_calculator,
    missing_for_labels,
)
from dasksse.label.contract import Place

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.label import LabelCalculator
    from dasksse.records import Frames, Labels


@pytest.fixture
def pseudo_dir(tmp_path: Path) -> Path:
    return make_pseudos(tmp_path / "pseudo")


def section(pseudo_dir: Path, *options: str, **settings: Any) -> RegistrySection:
    values = {"pseudo_dir": str(pseudo_dir), "command": [*COMMAND, *options], **settings}
    return RegistrySection(kind="abacus", settings=values)


def label(frames: Frames, calculator: LabelCalculator, root: Path) -> Labels:
    def place(index: int) -> Place:
        workdir = root / f"frame-{index}"
        workdir.mkdir(parents=True)
        return Place(workdir)

    return label_frames(frames, calculator, place=place)


@pytest.mark.parametrize("dialect", ["2", "3.10", "3.11"])
def test_labels_are_those_of_the_program_whatever_the_order_of_atoms(
    dialect: str, frames: Frames, toy: LabelCalculator, pseudo_dir: Path, tmp_path: Path
) -> None:
    shuffle = np.random.default_rng(1).permutation(frames.n_atoms)
    mixed = replace(
        frames.take([0, 1]),
        numbers=frames.numbers[shuffle],
        positions=frames.positions[:2, shuffle],
    )
    calculator = load_calculator(section(pseudo_dir, "--dialect", dialect))

    labels = label(mixed, calculator, tmp_path / "work")

    expected = label_frames(mixed, toy)
    assert labels.reasons == ("", "")
    np.testing.assert_allclose(labels.energies, expected.energies, rtol=0, atol=1e-8)
    np.testing.assert_allclose(labels.forces, expected.forces, rtol=0, atol=1e-8)
    np.testing.assert_allclose(labels.virials, expected.virials, rtol=0, atol=1e-7)
    assert (labels.functional, labels.is_surrogate) == ("PBE", False)


def test_atomic_orbitals_are_linked_beside_the_pseudopotentials(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    orbital_dir = make_orbitals(tmp_path / "orb")
    calculator = load_calculator(
        section(pseudo_dir, basis_type="lcao", orbital_dir=str(orbital_dir))
    )

    answer = calculator.single_point(rock_salt(frames), Place(tmp_path))

    assert (answer.scf_steps, answer.fallback) == (9, "")
    assert (tmp_path / "as-asked" / "Li-Li_gga_8au_100Ry_2s1p.orb").exists()
    assert "lcao" in calculator.source
    assert "ORB orb" in calculator.source


def test_the_ladder_is_climbed_until_it_converges(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(
        section(pseudo_dir, "--converges-with", "mixing_gg0=0", keywords={"mixing_gg0": 1.5})
    )

    answer = calculator.single_point(rock_salt(frames), Place(tmp_path), virial=False)

    assert answer.fallback == "no-kerker"
    assert answer.virial is None
    assert "scf_nmax 200" in (tmp_path / "no-kerker" / "INPUT").read_text()


def test_unconverged_after_every_fallback_fails_the_frame(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(section(pseudo_dir, "--converges-with", "never=1"))

    labels = label(frames.take([0]), calculator, tmp_path)

    assert not labels.is_good.any()
    assert labels.reasons[0].startswith("ScfError")
    assert "as-asked, gentle-mixing, no-kerker, davidson" in labels.reasons[0]


@pytest.mark.parametrize("exit_code", ["0", "1"])
def test_a_crash_is_told_in_the_words_of_the_program(
    exit_code: str, frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    options = ("--crash", "unknown pseudopotential type", "--exit-code", exit_code)
    calculator = load_calculator(section(pseudo_dir, *options))

    labels = label(frames.take([0]), calculator, tmp_path)

    assert labels.reasons[0].startswith("LabelError")
    assert "unknown pseudopotential type" in labels.reasons[0]
    assert [path.name for path in (tmp_path / "frame-0").iterdir()] == ["as-asked"]


def test_an_earlier_log_in_the_same_folder_is_no_result(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    good = load_calculator(section(pseudo_dir))
    bad = load_calculator(section(pseudo_dir, "--crash", "no", "--exit-code", "0"))
    good.single_point(rock_salt(frames), Place(tmp_path))

    labels = label_frames(frames.take([0]), bad, place=lambda _: Place(tmp_path))

    assert "no end of self-consistency" in labels.reasons[0]


def test_what_is_missing_is_told_with_the_place_looked_at(
    pseudo_dir: Path, tmp_path: Path
) -> None:
    orbital_dir = make_orbitals(tmp_path / "orb", ("Li",))
    asked = section(
        pseudo_dir,
        command=["no-such-abacus"],
        basis_type="lcao",
        orbital_dir=str(orbital_dir),
        functional="PBEsol",
    )

    program, lithium, chlorine, orbital = missing_for_labels(asked, ["Li", "Cl"])

    assert program.startswith("no-such-abacus: not found")
    assert f"{pseudo_dir / 'Li.upf'} was made for PBE" in lithium
    assert "PBEsol" in chlorine
    assert "orbital of Cl" in orbital
    assert str(orbital_dir) in orbital


def test_an_element_without_pseudopotential_stops_the_run(
    frames: Frames, tmp_path: Path
) -> None:
    calculator = load_calculator(section(make_pseudos(tmp_path / "few", ["Li"])))

    with pytest.raises(ConfigError, match="pseudopotential of Cl"):
        label(frames.take([0]), calculator, tmp_path / "work")


def test_the_source_names_what_changes_energies(pseudo_dir: Path) -> None:
    named = {"pseudopotentials": {"Li": "Li.upf", "Cl": "Cl.upf"}, "ecutwfc_Ry": 90}

    first = load_calculator(section(pseudo_dir, **named)).source
    (pseudo_dir / "Cl.upf").write_text(stub_upf("Cl") + "changed")
    changed = load_calculator(section(pseudo_dir, **named, mixing_beta=0.5)).source

    assert first != changed
    for word in ("ABACUS PBE pw", "90 Ry", "0.26 1/Å", "Li:Li.upf:", "Cl:Cl.upf:"):
        assert word in first


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"keywords": {"Calculation": "md"}}, "calculation: set by dasksse"),
        ({"keywords": {"dft_functional": "HSE"}}, "`functional`"),
        ({"basis_type": "lcao"}, "needs `orbital_dir` or `orbitals`"),
        ({"orbital_dir": "orb"}, "relative path"),
        ({"basis_type": "PW"}, "'pw' or 'lcao'"),
        ({"functional": "HSE06"}, "'PBE', 'PBEsol'"),
    ],
)
def test_wrong_settings_are_found_before_the_run(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_calculator(RegistrySection(kind="abacus", settings=settings))

    assert text in str(caught.value)


def test_commands_are_those_that_run() -> None:
    asked = RegistrySection(kind="abacus", settings={"command": ["abacus_basic_para"]})

    assert calculator_commands(asked) == [["abacus_basic_para"]]


def test_cutoffs_are_tried_for_plane_waves_alone(tmp_path: Path) -> None:
    waves = RegistrySection(kind="abacus", settings={})
    orbitals = RegistrySection(
        kind="abacus", settings={"basis_type": "lcao", "orbital_dir": str(tmp_path)}
    )
    cell = 8.0 * np.eye(3)

    assert set(convergence_ladders(waves, cell)) == {"ecutwfc_Ry", "kspacing_per_A"}
    assert set(convergence_ladders(orbitals, cell)) == {"kspacing_per_A"}


def rock_salt(frames: Frames) -> Atoms:
    return Atoms(frames.numbers, frames.positions[0], cell=frames.cells[0], pbc=True)
