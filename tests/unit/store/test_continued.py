"""Runs in parts are read as one, and only as far as each part goes on from the one before."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray

from dasksse.store.allocation import TrajectoryGroup, allocate
from dasksse.store.continued import ContinuedTrajectory
from dasksse.store.layout import STORE_NAME, scalar_names
from dasksse.store.stored_trajectory import open_run, open_trajectories
from dasksse.store.trajectories import commit_runs, write_run
from dasksse.store.verification import OK, verify_store
from tests.support.stores import random_run

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import MemoryTrajectory

NUMBERS = (3, 3, 16)
N_FIRST, N_SECOND, N_THIRD = 30, 20, 15
BASE = TrajectoryGroup(
    path="production/salt",
    numbers=NUMBERS,
    type_map=("Li", "S"),
    temperatures_K=(300.0, 600.0),
    pressures_GPa=(0.0, 0.0),
    replicas=(0, 0),
    seeds=(1, 2),
    n_frames=N_FIRST,
    frame_interval_ps=0.05,
    equilibration_ps=0.2,
)
SECOND = replace(
    BASE,
    path="continued/001/salt",
    n_frames=N_SECOND,
    continues=BASE.path,
    first_frame=N_FIRST,
)
THIRD = replace(
    SECOND,
    path="continued/002/salt",
    n_frames=N_THIRD,
    continues=SECOND.path,
    first_frame=N_FIRST + N_SECOND,
)


def key(group: TrajectoryGroup, run: int) -> str:
    return f"{sum(map(ord, group.path)) * 10 + run:016x}"


def publish(
    run_dir: Path,
    group: TrajectoryGroup,
    run: int,
    whole: MemoryTrajectory,
    *,
    continued_key: str = "",
) -> None:
    allocate(run_dir, group)
    frames = slice(group.first_frame, group.first_frame + group.n_frames)
    columns = np.arange(whole.n_frames)[frames, None] * np.ones(
        len(scalar_names(group.type_map))
    )
    write_run(
        run_dir,
        group.path,
        run,
        key=key(group, run),
        arrays={
            "positions": whole.positions(frames=frames),
            "cell": whole.cells(frames),
            "scalars": columns,
        },
        continued_key=continued_key,
    )
    commit_runs(run_dir, group.path, {run: (key(group, run), group.n_frames)})


@pytest.fixture
def whole() -> MemoryTrajectory:
    return random_run(N_FIRST + N_SECOND + N_THIRD, numbers=np.array(NUMBERS))


@pytest.fixture
def run_dir(tmp_path: Path, whole: MemoryTrajectory) -> Path:
    """A run folder in which run 1 has three parts."""
    publish(tmp_path, BASE, 1, whole)
    publish(tmp_path, SECOND, 1, whole, continued_key=key(BASE, 1))
    publish(tmp_path, THIRD, 1, whole, continued_key=key(SECOND, 1))
    return tmp_path


def continued(run_dir: Path) -> ContinuedTrajectory:
    ((run,),) = (group.runs for group in open_trajectories(run_dir))
    assert isinstance(run, ContinuedTrajectory)
    return run


def test_parts_are_one_trajectory(run_dir: Path, whole: MemoryTrajectory) -> None:
    run = continued(run_dir)

    assert (run.run, run.n_frames, run.temperature_K) == (1, whole.n_frames, 600.0)
    assert run.n_equilibration == 4
    assert run.name.endswith("production/salt run 1")
    np.testing.assert_array_equal(run.scalars("pressure"), np.arange(whole.n_frames))
    assert run.scalars("unheard of") is None
    assert (run.pressure_GPa, run.is_npt, run.attributes) == (0.0, False, {})


@pytest.mark.parametrize(
    "frames",
    [
        slice(None),
        slice(5, 25),
        slice(28, 33),
        slice(3, None, 4),
        slice(-5, None),
        slice(10, 62, 7),
        slice(40, 40),
    ],
)
@pytest.mark.parametrize("atoms", [slice(None), slice(0, 2), np.array([2, 0])])
def test_any_atoms_and_frames_are_those_that_were_written(
    run_dir: Path, whole: MemoryTrajectory, frames: slice, atoms: Any
) -> None:
    run = continued(run_dir)

    np.testing.assert_allclose(
        run.positions(atoms, frames), whole.positions(atoms, frames), atol=5.01e-4
    )
    np.testing.assert_array_equal(run.cells(frames), whole.cells(frames))
    for number, path in run.centres(frames).items():
        np.testing.assert_allclose(path, whole.centres(frames)[number], atol=1e-9)


def test_frames_of_a_coordinate_are_neighbours_in_memory(run_dir: Path) -> None:
    positions = continued(run_dir).positions(slice(0, 2))

    assert positions.strides[0] == positions.itemsize


def test_a_continued_run_travels_to_a_worker(run_dir: Path, whole: MemoryTrajectory) -> None:
    run = pickle.loads(pickle.dumps(continued(run_dir)))

    np.testing.assert_allclose(run.positions(), whole.positions(), atol=5.01e-4)


def test_one_run_can_be_opened_with_its_continuations(
    run_dir: Path, whole: MemoryTrajectory
) -> None:
    assert open_run(run_dir, BASE.path, 1).n_frames == whole.n_frames


def test_the_continuation_of_a_run_that_was_done_anew_is_left_out(
    run_dir: Path, whole: MemoryTrajectory
) -> None:
    frames = slice(0, N_FIRST)
    arrays = {
        "positions": whole.positions(frames=frames) + 1.0,
        "cell": whole.cells(frames),
        "scalars": np.zeros((N_FIRST, len(scalar_names(BASE.type_map)))),
    }
    write_run(run_dir, BASE.path, 1, key="ab" * 8, arrays=arrays)
    commit_runs(run_dir, BASE.path, {1: ("ab" * 8, N_FIRST)})

    ((run,),) = (group.runs for group in open_trajectories(run_dir))

    assert run.n_frames == N_FIRST


def test_a_missing_part_hides_those_behind_it(run_dir: Path) -> None:
    commit_runs(run_dir, SECOND.path, {})

    ((run,),) = (group.runs for group in open_trajectories(run_dir))

    assert run.n_frames == N_FIRST


def test_a_run_beside_a_continued_one_stays_as_it_is(
    run_dir: Path, whole: MemoryTrajectory
) -> None:
    publish(run_dir, BASE, 0, whole)
    counts = {0: (key(BASE, 0), N_FIRST), 1: (key(BASE, 1), N_FIRST)}
    commit_runs(run_dir, BASE.path, counts)

    ((cold, hot),) = (group.runs for group in open_trajectories(run_dir))

    assert (cold.n_frames, hot.n_frames) == (N_FIRST, N_FIRST + N_SECOND + N_THIRD)


def test_every_part_has_a_checksum_of_its_own(run_dir: Path) -> None:
    states = {(f.group, f.run): f.state for f in verify_store(run_dir) if f.n_frames}

    assert states == {(group.path, 1): OK for group in (BASE, SECOND, THIRD)}


def test_plain_xarray_puts_the_parts_together_by_time(
    run_dir: Path, whole: MemoryTrajectory
) -> None:
    tree = xarray.open_datatree(run_dir / STORE_NAME, engine="zarr", consolidated=False)
    name, groups = BASE.path, []
    while name:
        groups.append(tree[name].to_dataset().isel(run=1))
        name = groups[-1].attrs.get("continued_in", "")

    joined = xarray.concat([g[["positions", "time_ps"]] for g in groups], "frame")

    np.testing.assert_allclose(joined.positions, whole.positions(), atol=5.01e-4)
    np.testing.assert_allclose(joined.time_ps, np.arange(whole.n_frames) * 0.05)
    assert not groups[1].is_equilibration.any()
