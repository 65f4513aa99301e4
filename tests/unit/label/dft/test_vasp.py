from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from fake_vasp import COMMAND, STEPS, STEPS_FROM_WAVECAR, make_library, potential

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError, LabelError, OutOfTimeError, ScfError
from dasksse.label import (
    LabelCalculator,
    Place,
    calculator_commands,
    check_calculator,
    convergence_ladders,
    label_costs,
    label_frames,
    load_calculator,
    missing_for_labels,
)
from dasksse.label.dft.vasp import VaspCalculator, VaspSettings, incar_of
from dasksse.label.dft.vasp_files import incar_text
from dasksse.records import Frames, Workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def section(**settings: Any) -> RegistrySection:
    return RegistrySection(kind="vasp", settings=settings)


@pytest.fixture
def potcars(tmp_path: Path) -> Path:
    names = ["Li_sv", "P", "S", "Ge_d"]
    root = make_library(tmp_path / "potcars", "potpaw_PBE.54", names)
    return make_library(root, "potpaw_LDA.54", names, family="LDA")


@pytest.fixture
def vasp(potcars: Path) -> Callable[..., LabelCalculator]:
    """Builds a calculator whose VASP is the fake one, with options that make it fail."""

    def build(*options: str, **settings: Any) -> LabelCalculator:
        command = [*COMMAND, *options]
        return VaspCalculator(
            VaspSettings(command=command, potcar_dir=str(potcars), **settings)
        )

    return build


@pytest.fixture
def shuffled() -> Atoms:
    """Two formula units of Li3PS4 in disorder, species in no order."""
    rng = np.random.default_rng(11)
    symbols = rng.permutation(["Li"] * 6 + ["P"] * 2 + ["S"] * 8)
    grid = np.stack(np.meshgrid([0.1, 0.6], [0.1, 0.6], [0.05, 0.3, 0.55, 0.8]), -1)
    scaled = grid.reshape(-1, 3) + rng.normal(scale=0.02, size=(16, 3))
    cell = np.diag([6.2, 6.0, 11.0]) + rng.normal(scale=0.2, size=(3, 3))
    return Atoms(symbols, scaled_positions=scaled, cell=cell, pbc=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "frame"
    folder.mkdir()
    return Place(folder)


def frames_of(*configurations: Atoms) -> Frames:
    return Frames(
        configurations[0].numbers,
        np.stack([atoms.positions for atoms in configurations]),
        np.stack([atoms.cell.array for atoms in configurations]),
    )


def moved(atoms: Atoms, seed: int) -> Atoms:
    copy = atoms.copy()
    copy.rattle(0.05, seed=seed)
    return copy


# --- input -----------------------------------------------------------------------------------


def test_the_default_incar_is_that_of_the_reference_protocol() -> None:
    assert incar_text(incar_of(VaspSettings())) == (
        "PREC = Accurate\nENCUT = 650\nEDIFF = 1e-06\nNELM = 100\nALGO = Normal\n"
        "ISMEAR = 0\nSIGMA = 0.01\nISPIN = 1\nISYM = 0\nLREAL = .FALSE.\nNSW = 0\n"
        "IBRION = -1\nISIF = 2\nLCHARG = .FALSE.\nGGA = PE\n"
    )


@pytest.mark.parametrize(
    ("functional", "lines"),
    [
        ("PBE", {"GGA = PE", "ALGO = Normal"}),
        ("PBE+D3", {"GGA = PE", "ALGO = Normal"}),
        ("PBEsol", {"GGA = PS", "ALGO = Normal"}),
        ("LDA", {"GGA = CA", "ALGO = Normal"}),
        ("SCAN", {"METAGGA = SCAN", "LASPH = .TRUE.", "ALGO = All"}),
        ("r2SCAN", {"METAGGA = R2SCAN", "LASPH = .TRUE.", "ALGO = All"}),
    ],
)
def test_each_functional_has_its_keys_and_no_others(functional: str, lines: set[str]) -> None:
    keys = ("GGA", "METAGGA", "LASPH", "ALGO", "IVDW")

    text = incar_text(incar_of(VaspSettings(functional=functional)))

    assert {line for line in text.splitlines() if line.startswith(keys)} == lines


def test_the_users_keys_come_over_ours() -> None:
    settings = VaspSettings(incar={"algo": "Fast", "NCORE": 4, "LREAL": "Auto"})

    incar = incar_of(settings)

    assert (incar["ALGO"], incar["NCORE"], incar["LREAL"]) == ("Fast", 4, "Auto")
    assert incar["PREC"] == "Accurate"


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("GGA", "`functional` sets it"),
        ("ivdw", "`functional` sets it"),
        ("NSW", "a label is a single point"),
        ("ENCUT", "set `encut_eV`"),
        ("MAGMOM", "order of atoms in POSCAR"),
    ],
)
def test_keys_that_would_falsify_labels_are_refused(key: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=r"label\.calculator\.settings\.incar") as caught:
        check_calculator(section(incar={key: 1}))

    assert f"{key.upper()}: " in str(caught.value)
    assert advice in str(caught.value)


def test_a_relative_potcar_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="relative path"):
        check_calculator(section(potcar_dir="potcars"))


def test_an_unknown_functional_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="PBEsol"):
        check_calculator(section(functional="HSE06"))


def test_a_folder_holds_all_input_of_its_frame(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    vasp().single_point(shuffled, place)

    folder = place.workdir / "as-asked"
    assert (folder / "KPOINTS").read_text().splitlines()[2:4] == ["Gamma", "5 5 3"]
    poscar = (folder / "POSCAR").read_text().splitlines()
    assert poscar[5:7] == ["Li P S", "6 2 8"]
    titles = [x for x in (folder / "POTCAR").read_text().splitlines() if "TITEL" in x]
    assert [title.split()[3] for title in titles] == ["Li_sv", "P", "S"]
    assert (folder / "INCAR").read_text().endswith("ISTART = 0\nLWAVE = .TRUE.\n")


def test_the_source_names_what_changes_energies_and_nothing_else() -> None:
    calculator = load_calculator(
        section(
            functional="PBEsol",
            potcars={"Li": "Li", "Ge": "Ge"},
            incar={"ncore": 4, "ISMEAR": -5},
        )
    )

    assert calculator.source == (
        "VASP PBEsol, ENCUT 650 eV, KSPACING 0.26 1/Å, EDIFF 1e-06 eV, SIGMA 0.01 eV, "
        "POTCAR PBE.54 with Ge, Li, ISMEAR = -5"
    )
    assert calculator.functional == "PBEsol"
    assert not calculator.is_surrogate


# --- end to end ------------------------------------------------------------------------------


def test_labels_are_those_of_the_potential_in_the_callers_order(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms
) -> None:
    configurations = [shuffled, moved(shuffled, 1)]

    labels = label_frames(frames_of(*configurations), vasp())

    assert labels.reasons == ("", "")
    for i, atoms in enumerate(configurations):
        energy, forces, virial = potential(
            atoms.get_chemical_symbols(), atoms.positions, atoms.cell.array
        )
        assert labels.energies[i] == pytest.approx(energy, abs=1e-7)
        np.testing.assert_allclose(labels.forces[i], forces, atol=1e-7)
        np.testing.assert_allclose(labels.virials[i], virial, atol=1e-7)


def test_forces_and_virial_are_derivatives_of_the_energy(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    def energy(strain: np.ndarray, step_A: float = 0.0) -> float:
        bent = shuffled.copy()
        bent.set_cell(shuffled.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        bent.positions[4, 1] += step_A
        return potential(bent.get_chemical_symbols(), bent.positions, bent.cell.array)[0]

    answer = vasp().single_point(shuffled, place)

    h, none = 1e-4, np.zeros((3, 3))
    assert answer.forces[4, 1] == pytest.approx(
        -(energy(none, h) - energy(none, -h)) / (2 * h), abs=1e-6
    )
    for a, b in [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)]:
        strain = none.copy()
        strain[a, b] = h
        slope = (energy(strain) - energy(-strain)) / (2 * h)
        assert answer.virial[a, b] == pytest.approx(-slope, abs=1e-5)
    assert np.abs(answer.virial).max() > 0.1
    assert np.abs(answer.forces).max() > 0.1


def test_other_orders_of_the_same_atoms_give_the_same_label(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    order = np.random.default_rng(5).permutation(len(shuffled))

    first = vasp().single_point(shuffled, place)
    second = vasp().single_point(shuffled[order], place)

    assert second.energy == pytest.approx(first.energy, abs=1e-8)
    np.testing.assert_allclose(second.forces, first.forces[order], atol=1e-8)


def test_a_label_knows_its_steps_and_its_memory(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    answer = vasp().single_point(shuffled, place)

    assert answer.scf_steps == STEPS
    assert answer.fallback == ""
    assert answer.memory_bytes is None or answer.memory_bytes > 1e6


def test_no_virial_where_none_is_asked_for(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    assert vasp().single_point(shuffled, place, virial=False).virial is None


def test_lda_takes_its_own_potcars(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    vasp(functional="LDA").single_point(shuffled, place)

    assert "LEXCH  = CA" in (place.workdir / "as-asked" / "POTCAR").read_text()


@pytest.mark.d3
def test_dispersion_is_added_once(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    from dftd3.ase import DFTD3

    bare = vasp().single_point(shuffled, place)
    shuffled.calc = DFTD3(method="PBE", damping="d3bj")

    answer = vasp(functional="PBE+D3").single_point(shuffled, place)

    expected = bare.energy + shuffled.get_potential_energy()
    assert answer.energy == pytest.approx(expected, abs=1e-6)


# --- wavefunctions ---------------------------------------------------------------------------


def test_the_next_frame_of_the_same_composition_starts_from_the_last_wavefunction(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    calculator = vasp()
    calculator.single_point(shuffled, place)

    second = calculator.single_point(moved(shuffled, 2), place)
    third = calculator.single_point(moved(shuffled, 3), place)

    assert (second.scf_steps, third.scf_steps) == (STEPS_FROM_WAVECAR, STEPS_FROM_WAVECAR)
    assert not list(place.workdir.rglob("WAVECAR"))


def test_another_composition_starts_anew(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    calculator = vasp()
    calculator.single_point(shuffled, place)
    other = shuffled[[atom.index for atom in shuffled if atom.symbol != "P"]]
    del other[[atom.index for atom in other if atom.symbol == "S"][:5]]

    answer = calculator.single_point(other, place)

    assert other.get_chemical_formula() == "Li6S3"
    assert answer.scf_steps == STEPS


@pytest.mark.parametrize("how", ["reproducible", "switched off", "forgotten"])
def test_wavefunctions_are_not_reused(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place, how: str
) -> None:
    calculator = vasp(reuse_wavefunction=how != "switched off")
    here = Place(place.workdir, reproducible=how == "reproducible")
    calculator.single_point(shuffled, here)
    if how == "forgotten":
        calculator.forget()

    assert calculator.single_point(shuffled, here).scf_steps == STEPS


def test_a_failed_run_leaves_no_wavefunction_behind(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    with pytest.raises(ScfError):
        vasp("--converges-with", "None", fallbacks=False).single_point(shuffled, place)

    assert not list(place.workdir.rglob("WAVECAR"))
    assert (place.workdir / "as-asked" / "OUTCAR").exists()


# --- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(), ("--version-5",)], ids=["VASP 6", "VASP 5"])
def test_a_fallback_is_named_in_the_answer(
    vasp: Callable[..., LabelCalculator],
    shuffled: Atoms,
    place: Place,
    version: tuple[str, ...],
) -> None:
    answer = vasp("--converges-with", "All", *version).single_point(shuffled, place)

    assert answer.fallback == "all"
    assert {path.name for path in place.workdir.iterdir()} == {"as-asked", "slow-mixing", "all"}
    asked, slow = (
        (place.workdir / name / "INCAR").read_text() for name in ("as-asked", "slow-mixing")
    )
    assert "NELM = 100" in asked
    assert "AMIX" not in asked
    assert {"NELM = 200", "AMIX = 0.1", "BMIX = 0.0001"} <= set(slow.splitlines())


def test_fallbacks_change_no_key_that_changes_energies(
    vasp: Callable[..., LabelCalculator],
) -> None:
    asked, *others = vasp(incar={"LASPH": True}).ladder()
    solver = {"ALGO", "NELM", "AMIX", "BMIX", "NELMDL", "TIME"}

    for rung in others:
        changed = incar_of(rung.settings).items() - incar_of(asked.settings).items()
        assert {key for key, _ in changed} <= solver
        assert incar_of(asked.settings).keys() <= incar_of(rung.settings).keys()


def test_a_frame_that_never_converges_is_refused_and_the_next_is_labelled(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    calculator = vasp("--converges-with", "None", max_scf_steps=12)

    with pytest.raises(ScfError) as caught:
        calculator.single_point(shuffled, place)

    assert "tried as-asked, slow-mixing, all, damped" in str(caught.value)
    assert "48 steps, the last one changed the energy by -0.3 eV" in str(caught.value)
    labels = label_frames(frames_of(shuffled), calculator)
    assert labels.reasons[0].startswith("ScfError: VASP")
    assert np.isnan(labels.energies[0])


@pytest.mark.parametrize("exit_code", ["0", "1"])
def test_a_solver_that_breaks_down_is_followed_by_another(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place, exit_code: str
) -> None:
    message = "Error EDDDAV: Call to ZHEGV failed. Returncode = 7"
    calculator = vasp("--say", message, "--only-with", "Normal", "--exit-code", exit_code)

    assert calculator.single_point(shuffled, place).fallback == "all"
    assert message in (place.workdir / "as-asked" / "output.log").read_text()


def test_a_doubtful_run_is_no_label_though_it_converged(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    message = "BRMIX: very serious problems"
    calculator = vasp("--say", message, fallbacks=False)

    with pytest.raises(ScfError, match=message):
        calculator.single_point(shuffled, place)


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (
            ("--say", "POSMAP internal error: symmetry equivalent atom", "--exit-code", "1"),
            ["exited with 1", "\nPOSMAP internal error"],
        ),
        (
            ("--say", "LAPACK: Routine ZPOTRF failed!", "--exit-code", "0"),
            ["exited with 0", "\nLAPACK: Routine ZPOTRF failed!"],
        ),
        (("--exit-code", "174"), ["exited with 174", "running    1 mpi-ranks"]),
        (("--cut-off",), ["output cannot be read", "unclosed token"]),
    ],
)
def test_a_crash_is_told_in_vasps_words_and_tried_once(
    vasp: Callable[..., LabelCalculator],
    shuffled: Atoms,
    place: Place,
    options: tuple[str, ...],
    messages: list[str],
) -> None:
    with pytest.raises(LabelError) as caught:
        vasp(*options).single_point(shuffled, place)

    assert not isinstance(caught.value, ScfError)
    assert str(place.workdir / "as-asked") in str(caught.value)
    assert all(message in str(caught.value) for message in messages)
    assert [path.name for path in place.workdir.iterdir()] == ["as-asked"]


def test_files_of_an_attempt_that_was_broken_off_are_not_read(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    folder = place.workdir / "as-asked"
    folder.mkdir()
    (folder / "output.log").write_text("POSMAP internal error\n")

    assert vasp().single_point(shuffled, place).scf_steps == STEPS


def test_a_silent_program_is_ended(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    impatient = Place(place.workdir, Workplace(hung_after_s=4.0))

    with pytest.raises(LabelError, match=r"stopped: silent for 4 s"):
        vasp("--hang").single_point(shuffled, impatient)


def test_a_label_has_its_time_limit(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    with pytest.raises(LabelError, match=r"longer than 1 s"):
        vasp("--hang", time_limit_s=1.0).single_point(shuffled, place)


def test_the_walltime_of_the_worker_is_no_failure_of_the_frame(
    vasp: Callable[..., LabelCalculator], shuffled: Atoms, place: Place
) -> None:
    leaving = Place(place.workdir, Workplace(stop_at=time.time() + 1.0))

    with pytest.raises(OutOfTimeError):
        vasp("--hang").single_point(shuffled, leaving)


# --- what the registry says ------------------------------------------------------------------


def test_a_user_without_vasp_hears_what_is_missing(potcars: Path) -> None:
    missing = missing_for_labels(
        section(command=["no-such-vasp"], potcar_dir=str(potcars)), ["Li", "Sn"]
    )

    assert len(missing) == 2
    assert "command 'no-such-vasp' is not on the PATH" in missing[0]
    assert str(potcars / "potpaw_PBE.54" / "Sn_d" / "POTCAR") in missing[1]


def test_dispersion_needs_its_package(potcars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    here = section(functional="PBE+D3", command=list(COMMAND), potcar_dir=str(potcars))

    (missing,) = missing_for_labels(here, ["Li"])

    assert "dftd3 is not installed" in missing


def test_nothing_is_missing_where_all_is_there(potcars: Path) -> None:
    here = section(command=list(COMMAND), potcar_dir=str(potcars))

    assert missing_for_labels(here, ["Li", "P", "S", "Ge"]) == []


def test_check_sees_the_command_and_knows_no_cost() -> None:
    costs = label_costs(section())

    assert calculator_commands(section(command=["vasp_gam"])) == [["vasp_gam"]]
    assert costs.batch_size == 1
    assert costs.seconds_per_frame(50) is None


def test_ladders_of_convergence_hold_the_configured_values() -> None:
    cell = np.diag([8.7, 8.7, 12.6])

    ladders = convergence_ladders(section(encut_eV=520.0, smearing_eV=0.03), cell)

    assert ladders["encut_eV"] == [400.0, 500.0, 520.0, 600.0, 700.0, 800.0, 900.0]
    assert 0.26 in ladders["kspacing_per_A"]
    assert ladders["smearing_eV"] == [0.2, 0.1, 0.05, 0.03, 0.02]
    assert "smearing_eV" not in convergence_ladders(section(), cell)
