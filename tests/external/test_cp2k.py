"""The real CP2K: both ways to run it, what is kept between frames, and what fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from ase.build import bulk

from dasksse.config.schema import RegistrySection
from dasksse.errors import LabelError, ScfError
from dasksse.label import Place, load_calculator, missing_for_labels
from dasksse.label.dft.cp2k_shell import close_shell
from dasksse.label.dft.program import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ase import Atoms

    from dasksse.label import Answer

pytestmark = pytest.mark.cp2k

CHEAP = {
    "basis": "SZV",
    "cutoff_Ry": 80.0,
    "rel_cutoff_Ry": 30.0,
    "kspacing_per_A": None,
    "input": "&FORCE_EVAL\n&DFT\n&QS\nEPS_DEFAULT 1E-8\n&END\n&END\n&END",
}
"""Seconds a label; no physics."""


def silicon(seed: int = 1) -> Atoms:
    atoms = bulk("Si", "diamond", a=5.43)
    atoms.rattle(0.05, seed=seed)
    return atoms


def difference(one: Answer, other: Answer) -> float:
    """Largest difference of energy [eV], forces [eV/Å] and virial [eV]."""
    assert one.virial is not None
    assert other.virial is not None
    return max(
        abs(one.energy - other.energy),
        float(np.abs(one.forces - other.forces).max()),
        float(np.abs(one.virial - other.virial).max()),
    )


@pytest.fixture(autouse=True, scope="module")
def _no_shell_is_left() -> Iterator[None]:
    yield
    close_shell()


@pytest.fixture
def label(tmp_path: Path) -> Callable[..., Answer]:
    """Labels a configuration in a folder of its own, from scratch unless told otherwise."""
    count = iter(range(100))

    def label(atoms: Atoms, *, scratch: bool = True, **settings: Any) -> Answer:
        folder = tmp_path / f"frame-{next(count)}"
        folder.mkdir()
        calculator = load_calculator(RegistrySection(kind="cp2k", settings=CHEAP | settings))
        return calculator.single_point(atoms, Place(folder, reproducible=scratch))

    return label


def shells(parent: int | None = None) -> list[psutil.Process]:
    children = psutil.Process(parent).children(recursive=True)
    return [child for child in children if "cp2k" in child.name()]


@pytest.mark.parametrize("kspacing_per_A", [None, 1.2])
def test_shell_and_file_give_the_same_label(
    kspacing_per_A: float | None, label: Callable[..., Answer]
) -> None:
    shell = label(silicon(), kspacing_per_A=kspacing_per_A)
    file = label(silicon(), kspacing_per_A=kspacing_per_A, mode="file")

    assert difference(shell, file) < 1e-8
    assert shell.scf_steps == file.scf_steps
    assert min(shell.memory_bytes or 0.0, file.memory_bytes or 0.0) > 1e7


def test_the_same_frame_has_the_same_label_to_the_bit_when_nothing_is_reused(
    label: Callable[..., Answer],
) -> None:
    first = label(silicon())
    label(silicon(seed=2))
    again = label(silicon())

    assert difference(first, again) == 0.0


@pytest.mark.parametrize("kspacing_per_A", [None, 1.2])
def test_last_wavefunction_saves_steps_and_changes_no_label(
    kspacing_per_A: float | None, label: Callable[..., Answer]
) -> None:
    label(silicon(), kspacing_per_A=kspacing_per_A)
    moved = silicon(seed=2)
    moved.set_cell(moved.cell.array * [[1.02], [1.0], [0.99]], scale_atoms=True)

    reused = label(moved, scratch=False, kspacing_per_A=kspacing_per_A)
    scratch = label(moved, kspacing_per_A=kspacing_per_A)

    assert difference(reused, scratch) < 5e-5
    assert (reused.scf_steps or 99) <= (scratch.scf_steps or 0)
    if kspacing_per_A is None:
        assert (reused.scf_steps or 99) < (scratch.scf_steps or 0)


def test_k_points_and_smearing_change_the_energy(label: Callable[..., Answer]) -> None:
    gamma = label(silicon())
    several = label(silicon(), kspacing_per_A=1.2)
    smeared = label(silicon(), kspacing_per_A=1.2, smearing_eV=0.5)

    assert several.energy < gamma.energy - 1.0
    assert smeared.energy < several.energy  # the entropy of the electrons is in it


@pytest.mark.parametrize("mode", ["shell", "file"])
def test_too_few_steps_are_an_error_and_a_fallback_converges(
    mode: str, label: Callable[..., Answer], tmp_path: Path
) -> None:
    with pytest.raises(ScfError, match=r"SCF run NOT converged\n(?s:.*)2 Broy./Diag"):
        label(silicon(), mode=mode, max_scf_steps=2, fallbacks=False)
    rescued = label(silicon(), mode=mode, max_scf_steps=5)

    assert rescued.fallback in {"slow-mixing", "pulay-mixing"}
    assert difference(rescued, label(silicon())) < 5e-5
    assert "SCF run NOT converged" in (tmp_path / "frame-0/as-asked" / LOG).read_text()


def test_cp2ks_own_message_is_told(label: Callable[..., Answer]) -> None:
    kind = "&KIND Si\nBASIS_SET NONSENSE\nPOTENTIAL GTH-PBE-q4\n&END"
    files = "BASIS_SET_FILE_NAME BASIS_MOLOPT\nPOTENTIAL_FILE_NAME GTH_POTENTIALS"
    own = f"&FORCE_EVAL\n&DFT\n{files}\n&END\n&SUBSYS\n{kind}\n&END\n&END"

    for mode in ("shell", "file"):
        with pytest.raises(LabelError, match="requested basis set <NONSENSE> for element <Si>"):
            label(silicon(), mode=mode, input=own)


def test_a_killed_shell_fails_its_frame_and_the_next_one_is_labelled(
    label: Callable[..., Answer],
) -> None:
    expected = label(silicon())
    [shell] = shells()

    def kill_at_work() -> None:
        while shell.cpu_times().user < busy + 0.2:
            time.sleep(0.02)
        shell.send_signal(signal.SIGKILL)

    busy = shell.cpu_times().user
    killer = threading.Thread(target=kill_at_work)
    killer.start()
    with pytest.raises(LabelError, match=r"(?s)exited with -9 in .*\(resident child: died\)"):
        label(silicon(), cutoff_Ry=150.0)
    killer.join()

    assert difference(label(silicon()), expected) == 0.0


def test_shell_dies_with_its_parent(tmp_path: Path) -> None:
    settings = CHEAP | {"cutoff_Ry": 300.0}
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from ase.build import bulk
from dasksse.config.schema import RegistrySection
from dasksse.label import Place, load_calculator
calculator = load_calculator(RegistrySection(kind="cp2k", settings={settings!r}))
calculator.single_point(bulk("Si", "diamond", a=5.43), Place())
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as parent:
        while not (found := [x for x in shells(parent.pid) if x.cpu_times().user > 0.5]):
            assert parent.poll() is None
            time.sleep(0.05)
        parent.kill()

    gone, alive = psutil.wait_procs(found, timeout=10)

    assert gone
    assert not alive


def test_elements_of_the_crystals_here_have_basis_and_potential() -> None:
    elements = ("Li", "Na", "Ge", "Si", "Sn", "P", "S", "Cl", "O", "Zr", "La")

    assert missing_for_labels(RegistrySection(kind="cp2k"), elements) == []
    unknown = missing_for_labels(RegistrySection(kind="cp2k"), ("Li", "Pu"))
    assert "pseudopotential GTH-PBE for Pu in BASIS_MOLOPT" in unknown[0]


@pytest.mark.parametrize("functional", ["PBEsol", "LDA"])
def test_other_functionals_run(functional: str, label: Callable[..., Answer]) -> None:
    answer = label(silicon(), functional=functional)

    assert abs(answer.energy - label(silicon()).energy) > 0.1
    assert np.abs(answer.forces.mean(axis=0)).max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("functional", ["SCAN", "r2SCAN"])
def test_functionals_with_kinetic_energy_run(
    functional: str, label: Callable[..., Answer]
) -> None:
    answer = label(silicon(), functional=functional, basis="DZVP")  # the smallest there is

    assert answer.virial is not None
    assert np.abs(answer.forces.mean(axis=0)).max() < 0.05
