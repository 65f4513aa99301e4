"""The run: labels from a program that stands in for pw.x."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_espresso import COMMAND, make_pseudos, stub_upf

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError, ProgramMissingError
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
    return RegistrySection(kind="espresso", settings=values)


def label(frames: Frames, calculator: LabelCalculator, root: Path) -> Labels:
    def place(index: int) -> Place:
        workdir = root / f"frame-{index}"
        workdir.mkdir(parents=True)
        return Place(workdir)

    return label_frames(frames, calculator, place=place)


def test_labels_are_those_of_the_program_whatever_the_order_of_atoms(
    frames: Frames, toy: LabelCalculator, pseudo_dir: Path, tmp_path: Path
) -> None:
    shuffle = np.random.default_rng(1).permutation(frames.n_atoms)
    mixed = replace(
        frames.take([0, 1]),
        numbers=frames.numbers[shuffle],
        positions=frames.positions[:2, shuffle],
    )
    calculator = load_calculator(section(pseudo_dir))

    labels = label(mixed, calculator, tmp_path / "work")

    expected = label_frames(mixed, toy)
    assert labels.reasons == ("", "")
    np.testing.assert_allclose(labels.energies, expected.energies, rtol=0, atol=2e-7)
    np.testing.assert_allclose(labels.forces, expected.forces, rtol=0, atol=3e-7)
    np.testing.assert_allclose(labels.virials, expected.virials, rtol=0, atol=1e-4)
    assert (labels.functional, labels.is_surrogate) == ("PBE", False)
    assert (labels.seconds > 0).all()


def test_steps_and_the_fallback_that_converged_are_known(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(
        section(pseudo_dir, "--converges-with", "mixing_mode=local-TF")
    )

    answer = calculator.single_point(frames_atoms(frames), Place(tmp_path), virial=False)

    assert (answer.scf_steps, answer.fallback) == (9, "local-TF")
    assert answer.virial is None
    asked, fallback = (
        (tmp_path / name / "espresso.pwi").read_text() for name in ("as-asked", "local-TF")
    )
    assert "electron_maxstep = 100" in asked
    assert "electron_maxstep = 200" in fallback


def test_a_failing_eigensolver_is_a_reason_for_the_ladder(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    crash = "c_bands:too many bands are not converged"
    options = ("--crash", crash, "--converges-with", "diagonalization=cg")
    calculator = load_calculator(section(pseudo_dir, *options))

    answer = calculator.single_point(frames_atoms(frames), Place(tmp_path))

    assert answer.fallback == "conjugate-gradients"


def test_unconverged_after_every_fallback_fails_the_frame_and_no_other(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(section(pseudo_dir, "--converges-with", "mixing_beta=9"))

    labels = label(frames.take([0]), calculator, tmp_path)

    assert not labels.is_good.any()
    assert labels.reasons[0].startswith("ScfError")
    assert "as-asked, gentle-mixing, local-TF, conjugate-gradients" in labels.reasons[0]


def test_a_result_printed_without_convergence_is_refused(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    go_on = {"electrons": {"scf_must_converge": False}}
    options = ("--converges-with", "mixing_beta=9")
    calculator = load_calculator(
        section(pseudo_dir, *options, namelists=go_on, fallbacks=False)
    )

    labels = label(frames.take([0]), calculator, tmp_path)

    assert labels.reasons[0].startswith("ScfError")


def test_a_crash_is_told_in_the_words_of_the_program_and_not_tried_again(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(
        section(pseudo_dir, "--crash", "electrons:charge is wrong: smearing is needed")
    )

    labels = label(frames.take([0]), calculator, tmp_path)

    assert labels.reasons[0].startswith("LabelError")
    assert "Error in routine electrons (1): charge is wrong" in labels.reasons[0]
    assert [path.name for path in (tmp_path / "frame-0").iterdir()] == ["as-asked"]


def test_an_end_without_a_word_is_told_by_the_last_lines(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(section(pseudo_dir, "--kill"))

    labels = label(frames.take([0]), calculator, tmp_path)

    assert labels.reasons[0].startswith("LabelError: pw.x exited with 174")
    assert "SIGSEGV" in labels.reasons[0]


def test_a_missing_result_names_what_is_not_there(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(section(pseudo_dir, "--no-stress"))

    labels = label(frames.take([0]), calculator, tmp_path)

    assert "no stress in output.log" in labels.reasons[0]


def test_what_is_missing_is_told_with_the_place_looked_at(
    pseudo_dir: Path, tmp_path: Path
) -> None:
    (pseudo_dir / "S_other.upf").write_text(stub_upf("S"))
    (pseudo_dir / "s_pbe_v1.uspp.F.UPF").write_text(stub_upf("S"))
    asked = section(pseudo_dir, command=[str(tmp_path / "no-pw.x")])

    program, sodium, sulphur = missing_for_labels(asked, ["Li", "Na", "S"])

    assert f"{tmp_path / 'no-pw.x'}: not found" in program
    assert "pseudopotential of Na" in sodium
    assert str(pseudo_dir) in sodium
    assert "found: S_other.upf, s_pbe_v1.uspp.F.UPF" in sulphur


def test_nothing_is_missing_when_all_is_there(pseudo_dir: Path) -> None:
    assert missing_for_labels(section(pseudo_dir), ["Li", "Cl"]) == []


def test_an_element_without_pseudopotential_stops_the_run(
    frames: Frames, tmp_path: Path
) -> None:
    calculator = load_calculator(section(make_pseudos(tmp_path / "few", ["Li"])))

    with pytest.raises(ConfigError, match="pseudopotential of Cl"):
        label(frames.take([0]), calculator, tmp_path / "work")


def test_a_missing_program_stops_the_run(
    frames: Frames, pseudo_dir: Path, tmp_path: Path
) -> None:
    calculator = load_calculator(section(pseudo_dir, command=["no-such-pw.x"]))

    with pytest.raises(ProgramMissingError, match=r"no-such-pw\.x"):
        label(frames.take([0]), calculator, tmp_path)


def test_the_source_names_what_changes_energies_and_no_folder(tmp_path: Path) -> None:
    named = {"Li": "Li.upf", "Cl": "Cl.upf"}
    here, there = (make_pseudos(tmp_path / name) for name in ("here", "there"))
    settings = {"pseudopotentials": named, "ecutwfc_Ry": 60, "smearing_eV": 0.05}
    system = {"system": {"tot_charge": 1}}

    first = load_calculator(section(here, **settings)).source
    moved = load_calculator(section(there, **settings)).source
    (there / "Li.upf").write_text(stub_upf("Li") + "changed")
    changed = load_calculator(section(there, **settings, mixing_beta=0.5)).source
    charged = load_calculator(section(here, **settings, namelists=system)).source

    assert first == moved
    assert len({first, changed, charged}) == 3
    for word in ("PBE", "60 Ry", "0.26 1/Å", "0.05 eV", "Li:Li.upf:", "Cl:Cl.upf:"):
        assert word in first
    assert str(tmp_path) not in first


def test_a_folder_is_known_by_the_digest_of_all_its_files(pseudo_dir: Path) -> None:
    before = load_calculator(section(pseudo_dir)).source

    (pseudo_dir / "S.upf").write_text(stub_upf("S"))

    assert load_calculator(section(pseudo_dir, mixing_beta=0.6)).source != before


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"namelists": {"CONTROL": {"Calculation": "relax"}}}, "&control: calculation"),
        ({"namelists": {"system": {"input_dft": "HSE"}}}, "`functional`"),
        ({"namelists": {"phonons": {"a": 1}}}, "'control', 'system'"),
        ({"functional": "B3LYP"}, "'PBE', 'PBEsol'"),
        ({"pseudo_dir": "pseudo"}, "relative path"),
        ({"ecutwfc": 60}, "did you mean 'ecutwfc_Ry'"),
    ],
)
def test_wrong_settings_are_found_before_the_run(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_calculator(RegistrySection(kind="espresso", settings=settings))

    assert text in str(caught.value)


def test_commands_are_those_that_run() -> None:
    asked = RegistrySection(kind="espresso", settings={"command": ["pw.x", "-nk", "2"]})

    assert calculator_commands(asked) == [["pw.x", "-nk", "2", "-in", "espresso.pwi"]]


def test_cutoffs_to_try_stay_below_a_given_cutoff_of_the_density() -> None:
    asked = RegistrySection(kind="espresso", settings={"ecutrho_Ry": 260.0, "ecutwfc_Ry": 55.0})

    ladders = convergence_ladders(asked, 8.0 * np.eye(3))

    assert ladders["ecutwfc_Ry"] == [40.0, 50.0, 55.0, 60.0]
    assert 0.26 in ladders["kspacing_per_A"]


def frames_atoms(frames: Frames) -> Any:
    from ase import Atoms

    return Atoms(frames.numbers, frames.positions[0], cell=frames.cells[0], pbc=True)
