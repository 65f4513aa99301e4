from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import StoreError
from dasksse.store import layout
from dasksse.store.layout import STORE_NAME, open_store
from dasksse.store.stored_trajectory import StoredTrajectory, open_run, open_trajectories
from tests.support.stores import INTERVAL_PS, NUMBERS, random_run, write, write_version_1

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records.trajectory import Trajectory

ORDER = np.argsort(NUMBERS, kind="stable")


def only_run(store: Path) -> StoredTrajectory:
    ((run,),) = (group.runs for group in open_trajectories(store))
    return run


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    write(store, random_run(30), attributes={"source": "dump.lammpstrj"})

    (group,) = open_trajectories(store)

    assert (group.path, group.system) == ("production/salt", "salt")
    (run,) = group.runs
    trajectory: Trajectory = run
    assert trajectory.name.endswith("a.zarr/production/salt run 0")
    np.testing.assert_array_equal(trajectory.numbers, NUMBERS[ORDER])
    assert trajectory.n_frames == 30
    assert trajectory.frame_interval_ps == INTERVAL_PS
    assert trajectory.temperature_K == 600.0
    assert not trajectory.is_npt
    assert trajectory.n_equilibration == 0
    assert run.attributes == {"source": "dump.lammpstrj"}


@pytest.mark.parametrize("precision_A", [1e-3, 0.0])
@pytest.mark.parametrize(
    "frames", [slice(None), slice(5, 25), slice(3, None, 4), slice(-5, None)]
)
@pytest.mark.parametrize(
    "atoms", [slice(None), slice(2, 6), np.array([4, 5, 6]), np.array([7, 1, 4])]
)
def test_any_atoms_and_frames_are_those_that_were_written(
    tmp_path: Path, atoms: slice | np.ndarray, frames: slice, precision_A: float
) -> None:
    source = random_run(30)
    write(tmp_path / "a.zarr", source, precision_A=precision_A)

    found = only_run(tmp_path / "a.zarr").positions(atoms, frames)

    expected = source.all_positions[:, ORDER][frames][:, atoms]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=0.50001 * precision_A)


def test_cells_centres_and_scalars_are_those_of_the_asked_frames(tmp_path: Path) -> None:
    source = random_run(30)
    write(tmp_path / "a.zarr", source)

    run = only_run(tmp_path / "a.zarr")

    np.testing.assert_array_equal(run.cells(slice(4, 9)), source.cells(slice(4, 9)))
    expected = source.centres(slice(4, 9))
    assert set(run.centres()) == set(expected) == {3, 15, 16, 32}
    for number, centre in run.centres(slice(4, 9)).items():
        np.testing.assert_allclose(centre, expected[number], rtol=1e-13)
    np.testing.assert_array_equal(run.scalars("energy"), np.arange(30.0))
    assert run.scalars("deviation_max") is None


def test_a_cell_that_varies_is_npt(tmp_path: Path) -> None:
    source = random_run(10)
    cells = source.cells() * np.linspace(1.0, 1.01, 10)[:, None, None]
    write(tmp_path / "a.zarr", replace(source, all_cells=cells))

    assert only_run(tmp_path / "a.zarr").is_npt


def test_a_pickled_run_reads_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", random_run(20))
    run = only_run(tmp_path / "a.zarr")

    again = pickle.loads(pickle.dumps(run))

    np.testing.assert_array_equal(again.positions(), run.positions())


def test_atoms_are_read_without_the_blocks_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "CHUNK_BYTES", 12 * 200 * 4)
    write(tmp_path / "a.zarr", random_run(200), piece=200)
    run = only_run(tmp_path / "a.zarr")
    shard = tmp_path / "a.zarr/production/salt/positions/c/0/0/0/0"
    before = run.positions(slice(0, 4))
    content = bytearray(shard.read_bytes())
    array = run.arrays["positions"]
    n_chunks = np.prod(array.shards) // np.prod(array.chunks)
    index = np.frombuffer(content[-16 * n_chunks - 4 : -4], dtype="<u8").reshape(-1, 2)
    offset, n_bytes = index[1].tolist()  # of the second block of atoms
    content[offset : offset + n_bytes] = bytes(n_bytes)
    shard.write_bytes(content)

    assert run.atom_block == 4
    np.testing.assert_array_equal(run.positions(slice(0, 4)), before)
    with pytest.raises(StoreError, match=r"run 0: positions cannot be read .*dasksse verify"):
        run.positions(slice(4, 8))


def test_a_missing_shard_is_an_error_and_no_position(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", random_run(20))
    shard = tmp_path / "a.zarr/production/salt/positions/c/0/0/0/0"
    shard.unlink()

    with pytest.raises(StoreError, match="a shard of them is missing"):
        only_run(tmp_path / "a.zarr").positions()


def test_a_group_of_the_first_version_is_read_and_its_centres_computed(tmp_path: Path) -> None:
    source = random_run(23)
    write_version_1(tmp_path, source, group="production/salt")

    run = only_run(tmp_path)

    np.testing.assert_array_equal(run.positions(), source.all_positions.astype("f4"))
    assert run.n_equilibration == 2
    assert run.frame_interval_ps == pytest.approx(INTERVAL_PS)
    for number, centre in run.centres(slice(3, 20)).items():
        np.testing.assert_allclose(centre, source.centres(slice(3, 20))[number], atol=1e-6)
    np.testing.assert_array_equal(run.scalars("pressure"), np.ones(23))


def test_exploration_unfinished_runs_and_groups_set_aside_are_left_out(tmp_path: Path) -> None:
    for group in ("explore/000/salt", "production/salt.500x0.1ps", "production/brine"):
        write_version_1(tmp_path, random_run(5), group=group)
    write_version_1(tmp_path, random_run(5), group="production/late")
    open_store(tmp_path)["production/late/n_valid"][:] = 0

    assert [group.path for group in open_trajectories(tmp_path)] == ["production/brine"]


def test_a_store_without_trajectories_says_what_it_has(tmp_path: Path) -> None:
    write_version_1(tmp_path, random_run(5), group="explore/000/salt")

    with pytest.raises(StoreError, match=r"no finished trajectory .*explore/000/salt"):
        open_trajectories(tmp_path)
    with pytest.raises(StoreError, match=r"nothing\.zarr: no store is there"):
        open_trajectories(tmp_path / "nothing.zarr")


def test_a_run_is_opened_by_its_number(tmp_path: Path) -> None:
    write_version_1(tmp_path, random_run(5), group="explore/000/salt")

    assert open_run(tmp_path, "explore/000/salt", 0).n_frames == 5
    with pytest.raises(StoreError, match=rf"{STORE_NAME}: no run 3 with data"):
        open_run(tmp_path, "explore/000/salt", 3)
