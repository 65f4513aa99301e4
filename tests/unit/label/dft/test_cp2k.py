"""The CP2K engine with a made-up CP2K: settings, both modes, failures of the program."""

from __future__ import annotations

import stat
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree

from dasksse.config.schema import RegistrySection
from dasksse.errors import (
    ConfigError,
    LabelError,
    OutOfTimeError,
    ProgramMissingError,
    ScfError,
)
from dasksse.label import (
    Answer,
    Place,
    calculator_commands,
    check_calculator,
    convergence_ladders,
    label_costs,
    load_calculator,
    missing_for_labels,
)
from dasksse.label.dft.cp2k import Cp2kCalculator
from dasksse.label.dft.cp2k_settings import Cp2kSettings
from dasksse.label.dft.cp2k_shell import close_shell
from dasksse.label.dft.program import LOG
from dasksse.records import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FAKE = f"""#!{sys.executable}
import os, sys, time
BEHAVIOUR = {{behaviour!r}}
UNCONVERGED = "  7 Broy./Diag.\\n *** WARNING in qs_scf.F:601 :: SCF run NOT converged ***"
CONVERGED = " *** SCF run converged in %5d steps ***"
ABORT = '''
 *   ___                                                                       *
 * [ABORT]                                                                     *
 *  \\\\___/                          something is very wrong                     *
 *******************************************************************************
'''

def atoms_of(text):
    coord = text[text.index("UNIT BOHR"):text.index("&END COORD")].splitlines()[1:]
    return [[float(x) for x in line.split()[1:]] for line in coord if line.strip()]

def energy(positions):
    return 0.5 * sum(x * x for row in positions for x in row)

def scf(out, text, steps):
    if BEHAVIOUR == "slow":
        time.sleep(600)
    if BEHAVIOUR == "working":
        for _ in range(100):
            time.sleep(0.1)
            print("  1 Broy./Diag.", file=out, flush=True)
    if BEHAVIOUR == "dies" or (BEHAVIOUR == "dies once" and not os.path.exists("../died")):
        open("../died", "w").close()
        os.kill(os.getpid(), 9)
    if BEHAVIOUR == "aborts":
        print(ABORT, file=out, flush=True)
        sys.exit(1)
    if BEHAVIOUR == "stubborn" and "PULAY" not in text:
        print(UNCONVERGED, file=out, flush=True)
    else:
        print(CONVERGED % steps, file=out, flush=True)

def shell():
    positions, text, steps, out = [], "", 9, None
    print("noise of the MPI library\\n* READY", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "LOAD":
            text, steps = open(words[1]).read(), 9
            out = open(words[2], "a")
            print("the input of " + BEHAVIOUR, file=out, flush=True)
            positions = atoms_of(text)
            print(1)
        elif words[0] == "SET_POS":
            n = int(sys.stdin.readline()) // 3
            positions = [[float(x) for x in sys.stdin.readline().split()] for _ in range(n)]
            sys.stdin.readline()
            print(0.0)
        elif words[0] == "SET_CELL":
            sys.stdin.readline()
        elif words[0] == "EVAL_EF":
            if BEHAVIOUR == "refuses":
                print("* ERROR, type HELP for help", flush=True)
                continue
            scf(out, text, steps)
            steps = 4
        elif words[0] == "GET_E":
            print("%.13e" % energy(positions))
        elif words[0] == "GET_F":
            print(3 * len(positions))
            for row in positions:
                print(*("%.13e" % -x for x in row))
            print("* END")
        elif words[0] == "GET_STRESS":
            print(*[0.001, 0, 0, 0, 0.002, 0, 0, 0, 0.003])
        print("* READY", flush=True)

if "--version" in sys.argv:
    print(" CP2K version 2023.1\\n cp2kflags: omp fftw3")
elif "-s" in sys.argv:
    shell()
else:
    text = open(sys.argv[2]).read()
    scf(sys.stdout, text, 9)
    positions = atoms_of(text)
    print(" ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:  %.15f" % energy(positions))
    for i, row in enumerate(positions):
        print(" %d 1 X %.14f %.14f %.14f" % (i + 1, *(-x for x in row)))
    print(" STRESS| Analytical stress tensor [GPa]")
    for i, axis in enumerate("xyz"):
        row = [0.001 * 29421.010799 * (i + 1) if i == j else 0.0 for j in range(3)]
        print(" STRESS|  %s %.11E %.11E %.11E" % (axis, *row))
"""
"""Harmonic atoms; stress (0.001, 0.002, 0.003) in atomic units."""

DATA = {
    "GTH_POTENTIALS": "Li GTH-PBE-q3 GTH-PBE\nH GTH-PBE-q1 GTH-PBE\n",
    "BASIS_MOLOPT": "Li DZVP-MOLOPT-SR-GTH-q3\nH DZVP-MOLOPT-SR-GTH-q1\n",
}
HYDRIDE = Atoms(
    "LiH", positions=[[0.1, 0.2, 0.3], [2.0, 2.1, 2.2]], cell=[4.0, 4.0, 4.0], pbc=True
)


@pytest.fixture(autouse=True)
def _no_shell_is_left() -> Iterator[None]:
    yield
    close_shell()


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Settings that start a made-up CP2K with a behaviour."""
    data = tmp_path / "data"
    data.mkdir()
    for name, text in DATA.items():
        (data / name).write_text(text)

    def fake(behaviour: str = "good", **settings: Any) -> dict[str, Any]:
        program = tmp_path / f"cp2k {behaviour}"
        program.write_text(FAKE.format(behaviour=behaviour))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return {"command": [str(program)], "data_dir": str(data)} | settings

    return fake


@pytest.fixture
def label(tmp_path: Path) -> Callable[..., Answer]:
    """Labels a configuration in a folder of its own."""
    count = iter(range(100))

    def label(settings: dict[str, Any], atoms: Atoms = HYDRIDE, **place: Any) -> Answer:
        folder = tmp_path / f"frame-{next(count)}"
        folder.mkdir()
        calculator = load_calculator(RegistrySection(kind="cp2k", settings=settings))
        return calculator.single_point(atoms, Place(folder, **place))

    return label


def shells() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "cp2k" in " ".join(child.cmdline())]


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_energy_forces_and_virial_come_in_the_units_of_labels(
    mode: str, fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    answer = label(fake(mode=mode))

    bohr = HYDRIDE.positions / Bohr
    assert answer.energy == pytest.approx(0.5 * (bohr**2).sum() * Hartree, rel=1e-12)
    np.testing.assert_allclose(answer.forces, -bohr * Hartree / Bohr, rtol=1e-11)
    pressed = np.diag([0.001, 0.002, 0.003]) * Hartree * (4.0 / Bohr) ** 3
    np.testing.assert_allclose(answer.virial, pressed, rtol=1e-10)
    assert answer.scf_steps == 9
    assert answer.fallback == ""


def test_shell_stays_and_starts_from_the_last_wavefunction(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer], tmp_path: Path
) -> None:
    settings = fake()
    moved = HYDRIDE.copy()
    moved.positions += 0.1

    first = label(settings)
    [before] = shells()
    second = label(settings, moved)
    scratch = label(settings, moved, reproducible=True)

    assert shells() == [before]
    assert [first.scf_steps, second.scf_steps, scratch.scf_steps] == [9, 4, 9]
    assert second.energy == scratch.energy
    # each log tells of its own frame alone
    assert "the input of" not in (tmp_path / "frame-1/as-asked" / LOG).read_text()
    assert "the input of" in (tmp_path / "frame-2/as-asked" / LOG).read_text()


def test_other_atoms_are_loaded_anew(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    settings = fake(kspacing_per_A=None)
    other_order = HYDRIDE[[1, 0]]
    label(settings)

    exchanged = label(settings, other_order)
    doubled = label(settings, HYDRIDE * (2, 1, 1))

    assert exchanged.scf_steps == doubled.scf_steps == 9
    assert doubled.forces.shape == (4, 3)


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_fallbacks_are_tried_until_one_converges(
    mode: str,
    fake: Callable[..., dict[str, Any]],
    label: Callable[..., Answer],
    tmp_path: Path,
) -> None:
    answer = label(fake("stubborn", mode=mode))

    assert answer.fallback == "pulay-mixing"
    folders = sorted(path.name for path in (tmp_path / "frame-0").iterdir())
    assert folders == ["as-asked", "pulay-mixing", "slow-mixing"]


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_no_convergence_is_an_error_without_fallbacks(
    mode: str, fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    with pytest.raises(
        ScfError, match=r"tried as-asked\nSCF run NOT converged\n(.*\n)? +7 Broy./Diag.$"
    ):
        label(fake("stubborn", mode=mode, fallbacks=False))


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_message_of_cp2k_is_told_when_it_stops_itself(
    mode: str,
    fake: Callable[..., dict[str, Any]],
    label: Callable[..., Answer],
    tmp_path: Path,
) -> None:
    with pytest.raises(LabelError, match=r"exited with 1 in .*as-asked\nsomething is very wr"):
        label(fake("aborts", mode=mode))

    assert "[ABORT]" in (tmp_path / "frame-0/as-asked" / LOG).read_text()


def test_a_shell_that_dies_is_an_error_and_the_next_frame_gets_a_new_one(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer], tmp_path: Path
) -> None:
    settings = fake("dies once")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))  # where it leaves its mark
        with pytest.raises(LabelError, match=r"(?s)exited with -9.*resident child: died"):
            label(settings)
        answer = label(settings)

    assert answer.scf_steps == 9


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_a_silent_program_is_ended(
    mode: str, fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    with pytest.raises(LabelError, match="silent for 1 s"):
        label(fake("slow", mode=mode), workplace=Workplace(hung_after_s=1.0))

    assert shells() == []


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_a_program_that_works_on_is_not_silent_but_has_its_time_limit(
    mode: str,
    fake: Callable[..., dict[str, Any]],
    label: Callable[..., Answer],
    tmp_path: Path,
) -> None:
    with pytest.raises(LabelError, match="longer than 3 s"):
        label(
            fake("working", mode=mode, time_limit_s=3.0), workplace=Workplace(hung_after_s=1.0)
        )

    assert "Broy./Diag." in (tmp_path / "frame-0/as-asked" / LOG).read_text()
    assert shells() == []


def test_the_end_of_the_walltime_is_no_failure_of_the_label(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    with pytest.raises(OutOfTimeError, match="walltime ended during CP2K"):
        label(fake("slow"), workplace=Workplace(stop_at=time.time() + 1.0))


def test_a_shell_that_refuses_a_command_is_ended(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    with pytest.raises(LabelError, match=r"said '\* ERROR, type HELP for help'"):
        label(fake("refuses"))

    assert shells() == []


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_a_program_that_is_not_there_is_told(
    mode: str, fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    with pytest.raises(ProgramMissingError, match="command not found: no-such-cp2k"):
        label(fake(mode=mode, command=["no-such-cp2k"]))


def test_prefix_goes_before_the_command_and_threads_go_with_it(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    settings = fake()
    label(settings)
    [before] = shells()

    label(settings, workplace=Workplace(threads=3, prefix=("env", "MARK=1")))

    [shell] = shells()
    assert shell != before
    assert shell.environ()["OMP_NUM_THREADS"] == "3"
    assert shell.environ()["MARK"] == "1"


def test_threads_take_turns(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer]
) -> None:
    settings = fake()
    moved = HYDRIDE.copy()
    moved.positions *= 1.1
    alone = [label(settings, atoms).energy for atoms in (HYDRIDE, moved)]
    results: dict[int, float] = {}

    def work(index: int) -> None:
        results[index] = label(settings, (HYDRIDE, moved)[index % 2]).energy

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {index: alone[index % 2] for index in range(6)}
    assert len(shells()) == 1


def test_source_names_version_and_what_changes_energies(
    fake: Callable[..., dict[str, Any]],
) -> None:
    template = "&FORCE_EVAL\n&DFT\nCHARGE 0 ! none\n&END\n&END"
    settings = fake(smearing_eV=0.1, input=template)

    source = Cp2kCalculator(Cp2kSettings.model_validate(settings)).source

    assert source.startswith(
        "CP2K 2023.1 PBE, DZVP-MOLOPT, GTH-PBE, 500 Ry, relative 40 Ry, k-spacing 0.26 1/Å, "
        "Fermi-Dirac 0.1 eV, SCF 1e-06 eV"
    )
    assert source.endswith("&FORCE_EVAL &DFT CHARGE 0 &END DFT &END FORCE_EVAL")


def test_both_modes_have_one_source(fake: Callable[..., dict[str, Any]]) -> None:
    shell, file = (
        Cp2kCalculator(Cp2kSettings.model_validate(fake(mode=mode)))
        for mode in ("shell", "file")
    )

    assert shell.source == file.source


def test_fallbacks_keep_what_the_user_asked_for(fake: Callable[..., dict[str, Any]]) -> None:
    own = "&FORCE_EVAL\n&DFT\n&SCF\nADDED_MOS 7\n&END\n&END\n&END"
    settings = fake(input=own, max_scf_steps=50, solver="ot", kspacing_per_A=None)

    asked, *others = Cp2kCalculator(Cp2kSettings.model_validate(settings)).ladder()

    assert asked.settings.solver == "ot"
    assert [rung.name for rung in others] == ["slow-mixing", "pulay-mixing"]
    assert [rung.settings.max_scf_steps for rung in others] == [100, 200]
    assert {rung.settings.solver for rung in others} == {"diagonalization"}
    assert all("ADDED_MOS 7" in rung.settings.input for rung in others)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "ot"}, "solver 'ot' needs fixed occupations and Gamma alone"),
        ({"input": "&DFT"}, "settings.input: .*section &DFT of the CP2K input has no &END"),
        ({"input": "&MOTION\n&END"}, "MOTION: a label is a single point"),
        ({"basis": "QZVP"}, "settings.basis: found 'QZVP'"),
        ({"functional": "B3LYP"}, "settings.functional: found 'B3LYP'; .*'r2SCAN'"),
        ({"cutoff": 300}, "unknown key .* did you mean 'cutoff_Ry'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_calculator(RegistrySection(kind="cp2k", settings=settings))


def test_needs_name_elements_without_basis_and_what_the_build_lacks(
    fake: Callable[..., dict[str, Any]],
) -> None:
    pbe = missing_for_labels(RegistrySection(kind="cp2k", settings=fake()), ("Li", "H"))
    scan = missing_for_labels(
        RegistrySection(kind="cp2k", settings=fake(functional="SCAN")), ("Li",)
    )
    absent = missing_for_labels(
        RegistrySection(kind="cp2k", settings={"command": ["no-such-cp2k"]}), ("Li",)
    )

    assert pbe == []
    assert "built without libxc: no SCAN" in scan[0]
    assert "pseudopotential GTH-SCAN for Li in" in scan[1]
    assert "no-such-cp2k: not found in PATH; apt-get install cp2k" in absent[0]


def test_a_template_can_bring_basis_and_potential_of_an_element(
    fake: Callable[..., dict[str, Any]], label: Callable[..., Answer], tmp_path: Path
) -> None:
    kind = "&KIND Xe\nBASIS_SET MINE-q8\nPOTENTIAL GTH-MINE-q8\n&END"
    settings = fake(input=f"&FORCE_EVAL\n&SUBSYS\n{kind}\n&END\n&END")
    xenon = Atoms("XeLi", positions=[[0, 0, 0], [3, 3, 3]], cell=[6, 6, 6], pbc=True)

    assert missing_for_labels(RegistrySection(kind="cp2k", settings=settings), ("Xe",)) == []
    label(settings, xenon)

    text = (tmp_path / "frame-0/as-asked/label.inp").read_text()
    assert text.count("&KIND Xe") == 1
    assert text.count("BASIS_SET MINE-q8") == 1


def test_frames_go_one_by_one_and_costs_grow_with_atoms_and_cut_off() -> None:
    section = RegistrySection(kind="cp2k", settings={"command": ["mpirun", "cp2k.psmp"]})
    finer = RegistrySection(kind="cp2k", settings={"cutoff_Ry": 1000.0})

    costs, dear = label_costs(section), label_costs(finer)

    assert costs.batch_size == 1
    seconds = [costs.seconds_per_frame(50), costs.seconds_per_frame(100)]
    assert seconds[0] is not None
    assert seconds[1] is not None
    assert 1.9 * seconds[0] < seconds[1]
    assert (dear.seconds_per_frame(50) or 0.0) > 1.9 * seconds[0]
    assert calculator_commands(section) == [["mpirun", "cp2k.psmp"]]


def test_ladders_of_convergence_go_from_coarse_to_fine() -> None:
    cell = np.eye(3) * 6.0
    settings = {"cutoff_Ry": 375.0, "smearing_eV": 0.1}

    several = convergence_ladders(RegistrySection(kind="cp2k", settings=settings), cell)
    gamma = convergence_ladders(
        RegistrySection(kind="cp2k", settings={"solver": "ot", "kspacing_per_A": None}), cell
    )

    assert several["cutoff_Ry"] == [300.0, 350.0, 375.0, 400.0, 450.0, 500.0, 600.0, 700.0]
    assert several["basis"] == ["SZV", "DZVP", "TZVP", "TZV2P"]
    assert several["smearing_eV"] == [0.2, 0.1, 0.05, 0.02]
    assert set(gamma) == {"cutoff_Ry", "rel_cutoff_Ry", "basis"}
