"""One run of the real LAMMPS, dumped in many ways at once: all must tell the same paths.

The box is sheared, breathes, and flips once; see make_dumps.py.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from dasksse.analyse.displacement import to_displacements
from dasksse.intake import Hints, read_trajectory
from dasksse.records import MemoryTrajectory

HERE = Path(__file__).parent
needs_mdtraj = pytest.mark.skipif(
    importlib.util.find_spec("mdtraj") is None, reason="pip install 'dasksse[mdtraj]'"
)


def read(name: str, **hints: object) -> MemoryTrajectory:
    data = "tilted.data" if name.startswith("tilted") else "general.data"
    return read_trajectory(HERE / name, hints=Hints(topology=HERE / data, **hints))


def paths(trajectory: MemoryTrajectory) -> np.ndarray:
    """Displacements in the mean cell [Å], without the common motion of all atoms."""
    moves = to_displacements(trajectory.all_positions, trajectory.cells())
    moves = moves - moves[0]
    return moves - moves.mean(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def truth() -> MemoryTrajectory:
    """Positions that LAMMPS itself unwrapped."""
    return read("tilted-unwrapped.dump.gz", md_step_fs=1.0)


def test_the_run_is_one_that_shows_something(truth: MemoryTrajectory) -> None:
    cells = truth.cells()
    assert truth.is_npt
    assert np.linalg.det(cells).max() > 1.3 * np.linalg.det(cells).min()
    assert np.abs(paths(truth)).max() > 15.0
    assert sorted(set(truth.numbers.tolist())) == [3, 16]


@pytest.mark.parametrize(
    ("name", "hints", "precision_A"),
    [
        ("tilted.dump.gz", {"md_step_fs": 1.0}, 2e-4),  # six digits, unsorted atoms
        ("tilted-images.dump.gz", {"md_step_fs": 1.0}, 1e-6),
        ("tilted-units.dump.gz", {}, 1e-6),
        ("tilted.extxyz", {"dt_fs": 40.0}, 3e-4),
        pytest.param("tilted.dcd", {"dt_fs": 40.0}, 1e-4, marks=needs_mdtraj),
    ],
)
def test_every_way_of_dumping_tells_the_same_paths(
    truth: MemoryTrajectory, name: str, hints: dict[str, float], precision_A: float
) -> None:
    found = read(name, **hints)
    assert found.numbers.tolist() == truth.numbers.tolist()
    assert found.frame_interval_ps == pytest.approx(0.04)
    assert found.cells() == pytest.approx(truth.cells(), abs=1e-4)
    assert paths(found) == pytest.approx(paths(truth), abs=precision_A)


@needs_mdtraj
def test_an_xtc_file_that_is_cut_off_is_read_to_its_last_whole_frame(
    truth: MemoryTrajectory,
) -> None:
    found = read("tilted.xtc")
    n_frames = found.n_frames
    known = MemoryTrajectory(
        truth.numbers, truth.all_positions[:n_frames], truth.all_cells[:n_frames], 0.04
    )
    assert n_frames == 33
    assert found.frame_interval_ps == pytest.approx(0.04, rel=1e-6)
    assert paths(found) == pytest.approx(paths(known), abs=1e-2)  # a hundredth of an Å


def test_a_general_box_is_read() -> None:
    known = read("general-unwrapped.dump.gz", md_step_fs=1.0)
    found = read("general.dump.gz", md_step_fs=1.0)
    assert np.abs(known.cells()[:, 0, 1]).min() > 1.0
    assert paths(found) == pytest.approx(paths(known), abs=1e-6)
