"""The real GPAW in its resident child: what is kept, what fails, and what is left behind."""

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
from dasksse.errors import LabelError, OutOfTimeError, ScfError
from dasksse.label import Place, label_frames, load_calculator
from dasksse.label.dft import gpaw_client
from dasksse.label.dft.gpaw_child import LOG
from dasksse.records import Frames, Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ase import Atoms

    from dasksse.label import Answer, LabelCalculator

pytestmark = pytest.mark.gpaw

CHEAP = {"ecut_eV": 250.0, "kspacing_per_A": None}


def hydride(seed: int = 1) -> Atoms:
    atoms = bulk("LiH", "rocksalt", a=4.0)
    atoms.rattle(0.05, seed=seed)
    return atoms


def load(**settings: Any) -> LabelCalculator:
    return load_calculator(RegistrySection(kind="gpaw", settings=CHEAP | settings))


@pytest.fixture(autouse=True, scope="module")
def _no_child_is_left() -> Iterator[None]:
    yield
    gpaw_client.close_child()


@pytest.fixture
def label(tmp_path: Path) -> Callable[..., Answer]:
    """Labels a configuration in a folder of its own."""
    count = iter(range(100))

    def label(
        atoms: Atoms,
        calculator: LabelCalculator | None = None,
        *,
        virial: bool = True,
        **place: Any,
    ) -> Answer:
        folder = tmp_path / f"frame-{next(count)}"
        folder.mkdir()
        calculator = calculator or load()
        return calculator.single_point(atoms, Place(folder, **place), virial=virial)

    return label


def child_pid() -> int:
    return gpaw_client._children[0].process.pid


def test_one_child_labels_all_frames_and_says_what_it_took(
    label: Callable[..., Answer], tmp_path: Path
) -> None:
    first = label(hydride(1))
    pid = child_pid()
    second = label(hydride(2))

    assert child_pid() == pid
    for answer in (first, second):
        assert answer.forces.shape == (2, 3)
        assert answer.virial.shape == (3, 3)
        assert answer.scf_steps > 3
        assert answer.fallback == ""
        assert 50e6 < answer.memory_bytes < 2e9
    for number in (0, 1):
        log = (tmp_path / f"frame-{number}/as-asked" / LOG).read_text()
        assert "Converged" in log


def test_a_label_from_the_last_wavefunction_is_that_from_scratch(
    label: Callable[..., Answer],
) -> None:
    label(hydride(1))
    reused = label(hydride(2))
    fresh = label(hydride(2), reproducible=True)

    assert reused.energy == pytest.approx(fresh.energy, abs=2e-6)
    np.testing.assert_allclose(reused.forces, fresh.forces, atol=2e-3)
    np.testing.assert_allclose(reused.virial, fresh.virial, atol=5e-3)


def test_what_is_kept_is_used(label: Callable[..., Answer]) -> None:
    steps = [label(hydride(3)).scf_steps for _ in range(2)]

    assert steps[0] > 3
    assert steps[1] == 0


def test_a_reproducible_label_does_not_know_what_came_before(
    label: Callable[..., Answer],
) -> None:
    label(bulk("Si"))
    first = label(hydride(2), reproducible=True)
    label(hydride(1))
    second = label(hydride(2), reproducible=True)

    assert first.energy == second.energy
    np.testing.assert_array_equal(first.forces, second.forces)
    np.testing.assert_array_equal(first.virial, second.virial)
    assert second.scf_steps > 3


def test_another_composition_or_cell_in_between_does_no_harm(
    label: Callable[..., Answer],
) -> None:
    before = label(hydride(2), reproducible=True)
    label(bulk("Si"))
    squeezed = hydride(2)
    squeezed.set_cell(0.97 * squeezed.cell.array, scale_atoms=True)
    label(squeezed)

    after = label(hydride(2))

    assert after.energy == pytest.approx(before.energy, abs=2e-6)
    np.testing.assert_allclose(after.forces, before.forces, atol=2e-3)


def test_no_virial_is_computed_when_none_is_wanted(label: Callable[..., Answer]) -> None:
    assert label(hydride(), virial=False).virial is None


def test_a_fallback_gives_the_same_label(label: Callable[..., Answer]) -> None:
    normal = label(hydride(), reproducible=True)

    helped = label(hydride(), load(max_scf_steps=8))

    assert normal.scf_steps > 8
    assert helped.fallback == "slow-mixing"
    assert helped.energy == pytest.approx(normal.energy, abs=2e-6)
    np.testing.assert_allclose(helped.forces, normal.forces, atol=2e-3)


def test_no_self_consistency_leaves_the_log_of_each_attempt(
    label: Callable[..., Answer], tmp_path: Path
) -> None:
    with pytest.raises(ScfError, match="tried as-asked, slow-mixing, rmm-diis"):
        label(hydride(), load(max_scf_steps=1))

    logs = sorted(tmp_path.glob(f"frame-0/*/{LOG}"))
    assert [log.parent.name for log in logs] == ["as-asked", "rmm-diis", "slow-mixing"]
    assert all("maximum number of iterations" in log.read_text() for log in logs)


def test_a_frame_that_gpaw_refuses_is_one_failure_among_labels(tmp_path: Path) -> None:
    good, bad = hydride(), hydride()
    bad.positions[1] = bad.positions[0] + 1e-4
    positions = np.stack([good.positions, bad.positions, good.positions])
    frames = Frames(good.numbers, positions, np.stack([good.cell.array] * 3))

    labels = label_frames(frames, load())

    assert [bool(reason) for reason in labels.reasons] == [False, True, False]
    assert "too close" in labels.reasons[1]
    assert labels.energies[0] == pytest.approx(labels.energies[2], abs=2e-6)


def test_wrong_keywords_are_told_in_gpaws_words(label: Callable[..., Answer]) -> None:
    with pytest.raises(LabelError, match="unexpected keyword argument 'mixxer'"):
        label(hydride(), load(parameters={"mixxer": {}}))


def test_a_label_over_its_time_limit_fails_and_the_next_one_does_not(
    label: Callable[..., Answer],
) -> None:
    with pytest.raises(LabelError, match="longer than"):
        label(slow(), load(time_limit_s=2.0, ecut_eV=900.0))

    assert label(hydride()).scf_steps > 3


def test_the_walltime_ends_a_label_that_goes_on_elsewhere(label: Callable[..., Answer]) -> None:
    label(hydride())
    pid = child_pid()

    with pytest.raises(OutOfTimeError):
        label(slow(), load(ecut_eV=900.0), workplace=Workplace(stop_at=time.time() + 2.0))

    assert not psutil.pid_exists(pid)


def slow() -> Atoms:
    """Takes minutes with many plane waves."""
    return bulk("LiH", "rocksalt", a=4.0, cubic=True).repeat((3, 3, 3))


def act_on_child(act: signal.Signals, after_s: float = 1.0) -> threading.Timer:
    """Send a signal to the child once it works."""
    timer = threading.Timer(after_s, lambda: os.kill(child_pid(), act))
    timer.start()
    return timer


def test_a_killed_child_is_a_failed_label_and_the_next_frame_has_a_new_one(
    label: Callable[..., Answer],
) -> None:
    label(hydride())
    timer = act_on_child(signal.SIGKILL)

    with pytest.raises(LabelError, match="died") as info:
        label(slow(), load(ecut_eV=900.0))

    timer.join()
    assert info.value.returncode == -signal.SIGKILL
    assert label(hydride()).scf_steps > 3


def test_a_hung_child_is_found_out(label: Callable[..., Answer]) -> None:
    label(hydride())
    pid = child_pid()
    timer = act_on_child(signal.SIGSTOP)

    with pytest.raises(LabelError, match="silent for 4 s"):
        label(slow(), load(ecut_eV=900.0), workplace=Workplace(hung_after_s=4.0))

    timer.join()
    assert not psutil.pid_exists(pid)


def test_the_child_outlives_the_thread_that_asked_first(label: Callable[..., Answer]) -> None:
    gpaw_client.close_child()
    thread = threading.Thread(target=label, args=(hydride(),))
    thread.start()
    thread.join()
    pid = child_pid()

    label(hydride(2))

    assert child_pid() == pid


def test_the_child_has_the_threads_of_its_worker(label: Callable[..., Answer]) -> None:
    for threads in (1, 2):
        label(hydride(), workplace=Workplace(threads=threads))
        environment = psutil.Process(child_pid()).environ()
        assert environment["OMP_NUM_THREADS"] == str(threads)


PARENT = """
import sys, time
from ase.build import bulk
from dasksse.config.schema import RegistrySection
from dasksse.label import Place, load_calculator
from dasksse.label.dft import gpaw_client
settings = {"ecut_eV": 250.0, "kspacing_per_A": None}
load_calculator(RegistrySection(kind="gpaw", settings=settings)).single_point(
    bulk("LiH", "rocksalt", a=4.0), Place()
)
print(gpaw_client._children[0].process.pid, flush=True)
time.sleep(600)
"""


def test_the_child_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    try:
        child = psutil.Process(int(parent.stdout.readline()))
    finally:
        parent.kill()
        parent.wait()

    child.wait(timeout=30)
    assert not child.is_running()
