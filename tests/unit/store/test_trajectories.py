from __future__ import annotations

import multiprocessing
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray

from dasksse.errors import StoreError
from dasksse.store.allocation import TrajectoryGroup, allocate
from dasksse.store.layout import STORE_NAME, open_store, scalar_names
from dasksse.store.sealing import drop_consolidated, seal
from dasksse.store.trajectories import (
    commit_runs,
    read_runs,
    read_scalar,
    read_verdicts,
    write_run,
    write_verdicts,
)
from tests.support.stores import random_run, write_version_1

if TYPE_CHECKING:
    from pathlib import Path

GROUP = TrajectoryGroup(
    path="explore/000/salt",
    numbers=(3, 3, 17, 17),
    type_map=("Li", "Cl"),
    temperatures_K=(300.0, 600.0, 900.0),
    pressures_GPa=(0.0, 0.0, 0.0),
    replicas=(0, 0, 0),
    seeds=(1, 2, 3),
    n_frames=40,
    frame_interval_ps=0.02,
    equilibration_ps=0.1,
)


def arrays(run: int, n_frames: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(run)
    n_scalars = len(scalar_names(GROUP.type_map))
    return {
        "positions": rng.normal(size=(n_frames, 4, 3)),
        "cell": np.tile(5.0 * np.eye(3), (n_frames, 1, 1)),
        "scalars": rng.normal(size=(n_frames, n_scalars)),
    }


def key(run: int) -> str:
    return f"{run + 1:016x}"


def publish(run_dir: Path, run: int, n_frames: int) -> None:
    write_run(run_dir, GROUP.path, run, key=key(run), arrays=arrays(run, n_frames))


def test_a_run_is_read_back_without_its_padding(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 1, 25)
    commit_runs(tmp_path, GROUP.path, {1: (key(1), 25)})

    runs, damaged = read_runs(tmp_path, GROUP.path)

    assert damaged == []
    assert [(run.run, len(run.frames), run.temperature_K) for run in runs] == [(1, 25, 600.0)]
    expected = arrays(1, 25)
    np.testing.assert_allclose(runs[0].frames.positions, expected["positions"], atol=5.01e-4)
    np.testing.assert_array_equal(runs[0].frames.cells, expected["cell"])
    np.testing.assert_array_equal(runs[0].scalars["pressure"], expected["scalars"][:, 4])
    assert runs[0].is_equilibration.sum() == 5


def test_runs_written_by_many_processes_at_once_are_all_there(tmp_path: Path) -> None:
    group = replace(
        GROUP,
        temperatures_K=(300.0,) * 8,
        pressures_GPa=(0.0,) * 8,
        replicas=tuple(range(8)),
        seeds=tuple(range(8)),
    )
    allocate(tmp_path, group)
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        pool.starmap(publish, [(tmp_path, run, 40) for run in range(8)])
    commit_runs(tmp_path, group.path, {run: (key(run), 40) for run in range(8)})

    runs, damaged = read_runs(tmp_path, group.path)

    assert damaged == []
    assert len(runs) == 8
    for run in runs:
        expected = arrays(run.run, 40)["positions"]
        np.testing.assert_allclose(run.frames.positions, expected, atol=5.01e-4)


def test_one_run_is_one_file_per_array(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    before = set((tmp_path / STORE_NAME).rglob("*"))

    publish(tmp_path, 0, 40)

    new = [p for p in set((tmp_path / STORE_NAME).rglob("*")) - before if p.is_file()]
    assert len(new) == 6


def test_a_damaged_shard_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    for run in range(3):
        publish(tmp_path, run, 40)
    commit_runs(tmp_path, GROUP.path, {run: (key(run), 40) for run in range(3)})
    shard = tmp_path / STORE_NAME / GROUP.path / "positions/c/1/0/0/0"
    content = bytearray(shard.read_bytes())
    content[100:140] = bytes(40)
    shard.write_bytes(content)

    runs, damaged = read_runs(tmp_path, GROUP.path)

    assert [run.run for run in runs] == [0, 2]
    assert len(damaged) == 1
    assert "explore/000/salt run 1" in damaged[0]


def test_a_missing_shard_is_named_too(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})
    (tmp_path / STORE_NAME / GROUP.path / "positions/c/0/0/0/0").unlink()

    runs, damaged = read_runs(tmp_path, GROUP.path)

    assert runs == []
    assert "run 0" in damaged[0]


def test_a_group_that_was_only_half_made_is_made_again(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    for file in (tmp_path / STORE_NAME / GROUP.path / "n_valid").rglob("*"):
        if file.is_file():
            file.unlink()

    allocate(tmp_path, GROUP)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})

    assert len(read_runs(tmp_path, GROUP.path)[0]) == 1


def test_plain_xarray_opens_the_store_with_units_and_dimensions(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})
    seal(tmp_path)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xarray.open_datatree(tmp_path / STORE_NAME, engine="zarr")

    data = tree[GROUP.path].to_dataset()
    assert data["positions"].dims == ("run", "frame", "atom", "xyz")
    assert data["positions"].attrs["units"] == "angstrom"
    assert data["cell"].dims == ("run", "frame", "lattice", "xyz")
    assert set(data.coords) >= {"temperature_K", "pressure_GPa", "seed", "time_ps", "replica"}
    assert int(data["n_valid"].sel(run=0)) == 40
    assert data["cell"].mean("frame").shape == (3, 3, 3)


@pytest.mark.parametrize("is_sealed", [True, False])
def test_plain_xarray_decodes_positions_to_angstrom_with_padding_as_nan(
    tmp_path: Path, is_sealed: bool
) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 1, 25)
    commit_runs(tmp_path, GROUP.path, {1: (key(1), 25)})
    if is_sealed:
        seal(tmp_path)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xarray.open_datatree(
            tmp_path / STORE_NAME, engine="zarr", consolidated=is_sealed
        )
    positions = tree[GROUP.path].to_dataset()["positions"]

    assert positions.dtype == np.float64
    expected = arrays(1, 25)["positions"]
    np.testing.assert_allclose(positions[1, :25], expected, atol=5.01e-4)
    assert np.isnan(positions[1, 25:]).all()
    assert np.isnan(positions[[0, 2]]).all()


def test_centres_of_elements_are_stored_in_full_precision(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)

    group = open_store(tmp_path, mode="r")[GROUP.path]

    expected = arrays(0, 40)["positions"]
    np.testing.assert_allclose(group["centres"][0, :, 0], expected[:, :2].mean(axis=1))
    np.testing.assert_allclose(group["centres"][0, :, 1], expected[:, 2:].mean(axis=1))
    np.testing.assert_array_equal(group["element"][:], [3, 17])


def test_lossless_positions_come_back_to_the_bit(tmp_path: Path) -> None:
    allocate(tmp_path, replace(GROUP, precision_A=0.0))
    publish(tmp_path, 0, 40)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})

    (run,), _ = read_runs(tmp_path, GROUP.path)

    np.testing.assert_array_equal(run.frames.positions, arrays(0, 40)["positions"])


def test_a_group_keeps_the_precision_it_was_made_with(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    changed = replace(GROUP, precision_A=0.0)

    allocate(tmp_path, changed)
    publish(tmp_path, 1, 40)
    allocate(tmp_path, replace(changed, path="production/salt"))

    root = open_store(tmp_path, mode="r")
    assert root[GROUP.path]["positions"].attrs["scale_factor"] == 1e-3
    assert "scale_factor" not in root["production/salt/positions"].attrs


def test_a_run_begun_with_the_first_layout_goes_on_in_it(tmp_path: Path) -> None:
    old = random_run(40, numbers=GROUP.numbers)
    write_version_1(tmp_path, old, group=GROUP.path)
    group = replace(GROUP, frame_interval_ps=old.frame_interval_ps, type_map=())

    allocate(tmp_path, group)
    allocate(tmp_path, replace(GROUP, path="explore/001/salt"))
    new = {**arrays(1, 30), "scalars": np.zeros((30, 2))}
    write_run(tmp_path, GROUP.path, 1, key=key(1), arrays=new)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40), 1: (key(1), 30)})

    runs, damaged = read_runs(tmp_path, GROUP.path)
    assert damaged == []
    np.testing.assert_allclose(runs[0].frames.positions, old.all_positions, atol=1e-5)
    np.testing.assert_allclose(runs[1].frames.positions, new["positions"], atol=1e-6)
    root = open_store(tmp_path, mode="r")
    assert root[GROUP.path]["positions"].dtype == np.float32
    assert "centres" not in root[GROUP.path]
    assert root["explore/001/salt/positions"].dtype == np.int32
    assert root.attrs["layout_version"] == 2


def test_a_position_out_of_reach_names_group_run_frame_and_atom(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    far = arrays(1, 40)
    far["positions"][7, 2] = 1e9

    with pytest.raises(
        StoreError, match=r"explore/000/salt run 1: frame 7, atom 2 .*coarser precision"
    ):
        write_run(tmp_path, GROUP.path, 1, key=key(1), arrays=far)


def test_a_group_added_after_the_seal_is_seen(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    seal(tmp_path)
    drop_consolidated(tmp_path)
    later = replace(GROUP, path="production/salt")

    allocate(tmp_path, later)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = xarray.open_datatree(tmp_path / STORE_NAME, engine="zarr")
    assert "/production/salt" in tree.groups


def test_verdicts_and_scalars_are_read_back(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 2, 30)
    commit_runs(tmp_path, GROUP.path, {2: (key(2), 30)})
    verdict = np.full((3, 40), -1, dtype=np.int8)
    verdict[2, :30] = 1
    table = {"verdict": {"levels_eV_A": [0.1, 0.2]}, "reason": {"table": ["none"]}}

    write_verdicts(tmp_path, GROUP.path, verdict=verdict, reason=verdict, attributes=table)

    np.testing.assert_array_equal(read_verdicts(tmp_path, GROUP.path)[0], verdict)
    ((temperature, values),) = read_scalar(tmp_path, GROUP.path, "deviation_max")
    assert temperature == 900.0
    np.testing.assert_array_equal(values, arrays(2, 30)["scalars"][:, 0])


def test_a_group_that_is_not_there_is_named(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)

    with pytest.raises(StoreError, match="no group 'explore/001/salt'"):
        read_runs(tmp_path, "explore/001/salt")


def test_a_group_grows_by_runs_and_keeps_what_it_has(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})
    larger = replace(
        GROUP,
        temperatures_K=(300.0, 600.0, 900.0, 1200.0),
        pressures_GPa=(0.0,) * 4,
        replicas=(0,) * 4,
        seeds=(1, 2, 3, 4),
        equilibration_ps=0.2,
    )

    allocate(tmp_path, larger)
    write_run(tmp_path, GROUP.path, 3, key=key(3), arrays=arrays(3, 40))
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40), 3: (key(3), 40)})

    runs, damaged = read_runs(tmp_path, GROUP.path)
    assert damaged == []
    assert [(run.run, run.temperature_K) for run in runs] == [(0, 300.0), (3, 1200.0)]
    assert runs[0].is_equilibration.sum() == 10


def test_a_group_of_another_length_is_set_aside_and_taken_back(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    longer = replace(GROUP, n_frames=80)

    allocate(tmp_path, longer)
    write_run(tmp_path, GROUP.path, 0, key=key(9), arrays=arrays(9, 80))
    overwritten = commit_runs(tmp_path, GROUP.path, {0: (key(9), 80)})
    n_longer = [len(run.frames) for run in read_runs(tmp_path, GROUP.path)[0]]
    allocate(tmp_path, GROUP)
    commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})

    assert overwritten == []
    assert n_longer == [80]
    assert [len(run.frames) for run in read_runs(tmp_path, GROUP.path)[0]] == [40]


def test_a_run_that_another_unit_has_overwritten_is_found_out(tmp_path: Path) -> None:
    allocate(tmp_path, GROUP)
    publish(tmp_path, 0, 40)
    write_run(tmp_path, GROUP.path, 0, key=key(7), arrays=arrays(7, 40))

    overwritten = commit_runs(tmp_path, GROUP.path, {0: (key(0), 40)})

    assert overwritten == [key(0)]
    assert read_runs(tmp_path, GROUP.path)[0] == []
