from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray

from dasksse.errors import RunFolderError, StoreError
from dasksse.store import layout
from dasksse.store.folders import FileLock
from dasksse.store.layout import open_store
from dasksse.store.stored_trajectory import open_trajectories, run_attributes
from dasksse.store.trajectory_writer import TrajectoryWriter
from dasksse.store.verification import OK, verify_store
from tests.support.stores import NUMBERS, random_run, write, write_version_1

if TYPE_CHECKING:
    from pathlib import Path

ORDER = np.argsort(NUMBERS, kind="stable")


def writer(store: Path, **settings: Any) -> TrajectoryWriter:
    facts = {"group": "production/salt", "numbers": NUMBERS, "frame_interval_ps": 0.05}
    return TrajectoryWriter(store, **{**facts, **settings})


def plain(store: Path, group: str = "production/salt") -> xarray.Dataset:
    """As anyone reads it, warnings being errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xarray.open_datatree(store, engine="zarr")[group].to_dataset()


def states(store: Path) -> list[str]:
    return [finding.state for finding in verify_store(store)]


@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
def test_pieces_of_any_size_give_the_same_store(
    tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SHARD_BYTES", 12 * len(NUMBERS) * 20)
    monkeypatch.setattr(layout, "SMALL_SHARD_BYTES", 72 * 33)
    source = random_run(64)
    write(tmp_path / "a.zarr", source, piece=piece)
    write(tmp_path / "b.zarr", source, piece=13)

    a, b = plain(tmp_path / "a.zarr"), plain(tmp_path / "b.zarr")

    xarray.testing.assert_identical(a, b)
    np.testing.assert_allclose(a.positions[0], source.all_positions[:, ORDER], atol=5.01e-4)
    assert states(tmp_path / "a.zarr") == [OK]
    assert len(list((tmp_path / "a.zarr/production/salt/positions/c/0").iterdir())) == 4


def test_plain_xarray_shows_angstrom_coordinates_and_where_each_atom_was(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.zarr", random_run(20), temperature_K=None)

    data = plain(tmp_path / "a.zarr")

    assert data.positions.dtype == np.float64
    assert data.positions.attrs["units"] == "angstrom"
    np.testing.assert_array_equal(data.source_index, ORDER)
    np.testing.assert_array_equal(data.atomic_number, NUMBERS[ORDER])
    np.testing.assert_array_equal(data.element, [3, 15, 16, 32])
    np.testing.assert_allclose(data.time_ps, np.arange(20) * 0.05)
    assert np.isnan(data.temperature_K).all()


def test_a_second_run_may_be_longer_and_the_first_stays(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    first, second, third = (random_run(n, seed=n) for n in (20, 50, 30))
    write(store, first, attributes={"source": "one"})
    write(store, second, attributes={"source": "two"})
    write(store, third, temperature_K=700.0)

    data = plain(store)

    assert data.n_valid.values.tolist() == [20, 50, 30]
    assert data.temperature_K.values.tolist() == [600.0, 600.0, 700.0]
    assert data.replica.values.tolist() == [0, 1, 0]
    assert np.isnan(data.positions[0, 20:]).all()
    assert states(store) == [OK, OK, OK]
    (group,) = open_trajectories(store)
    for run, source in zip(group.runs, (first, second, third), strict=True):
        expected = source.all_positions[:, ORDER]
        np.testing.assert_allclose(run.positions(), expected, atol=5.01e-4)
    assert [run.attributes.get("source") for run in group.runs] == ["one", "two", None]


def test_another_group_joins_a_store_and_is_seen(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", random_run(20))
    write(tmp_path / "a.zarr", random_run(10, numbers=[3, 17]), group="production/lithium/salt")

    assert plain(tmp_path / "a.zarr", "production/lithium/salt").sizes["atom"] == 2
    assert plain(tmp_path / "a.zarr").sizes["atom"] == len(NUMBERS)
    assert states(tmp_path / "a.zarr") == [OK, OK]


def test_facts_known_after_the_last_frame_are_kept(tmp_path: Path) -> None:
    source = random_run(5)
    with writer(tmp_path / "a.zarr", attributes={"source": "x"}) as open_writer:
        open_writer.add(source.positions(), source.cells())
        assert open_writer.n_frames == 5
        open_writer.annotate({"longest_step_A": 0.4})

    (group,) = open_trajectories(tmp_path / "a.zarr")
    assert group.runs[0].attributes == {"source": "x", "longest_step_A": 0.4}
    assert group.runs[0].scalar_names == []


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_lossless_keeps_the_type_of_the_source(tmp_path: Path, dtype: str) -> None:
    source = random_run(20)
    source = replace(source, all_positions=source.all_positions.astype(dtype))
    write(tmp_path / "a.zarr", source, precision_A=0.0)

    found = open_trajectories(tmp_path / "a.zarr")[0].runs[0].positions()

    assert found.dtype == dtype
    np.testing.assert_array_equal(found, source.all_positions[:, ORDER])


def test_a_run_in_doubles_is_not_rounded_into_a_group_of_singles(tmp_path: Path) -> None:
    source = random_run(5)
    single = replace(source, all_positions=source.all_positions.astype("f4"))
    write(tmp_path / "a.zarr", single, precision_A=0.0)

    with pytest.raises(StoreError, match="float32, which would round"):
        write(tmp_path / "a.zarr", source, precision_A=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"numbers": [3] * 9}, "number of atoms 10, the new one 9"),
        ({"numbers": np.sort(NUMBERS)}, "other atoms, or in another order"),
        ({"frame_interval_ps": 0.1}, r"frame interval \[ps\] 0.05, the new one 0.1"),
        ({"precision_A": 0.01}, "precision .* 0.001, the new one 0.01"),
    ],
)
def test_a_run_that_does_not_fit_its_group_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    write(tmp_path / "a.zarr", random_run(5))

    with pytest.raises(StoreError, match=message), writer(tmp_path / "a.zarr", **settings):
        pass

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"store": "a.h5"}, "ends in .zarr"),
        ({"group": "labels/salt"}, "not below labels or explore"),
        ({"group": "../salt"}, "allowed are names"),
        ({"numbers": []}, "one atomic number"),
        ({"frame_interval_ps": 0.0}, "needed a time above 0"),
        ({"frame_interval_ps": float("nan")}, "needed a time above 0"),
        ({"precision_A": -1.0}, "allowed are 0 .lossless. to 1"),
    ],
)
def test_arguments_that_cannot_be_stored_are_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        writer(tmp_path / settings.pop("store", "a.zarr"), **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, c: (p[:, :4], c), r"positions: found shape \(5, 4, 3\)"),
        (lambda p, c: (p, c[:3]), r"cells: found shape \(3, 3, 3\)"),
        (lambda p, c: (np.where(p == p[3, 6], np.nan, p), c), "frame 8, atom 6 .* finite"),
        (lambda p, c: (p + 3e6, c), "reaches to"),
    ],
)
def test_frames_that_cannot_be_stored_are_named_and_nothing_is_left(
    tmp_path: Path, change: Any, message: str
) -> None:
    source = random_run(5)
    frames = (source.positions(), source.cells())

    def write_both() -> None:
        with writer(tmp_path / "a.zarr") as open_writer:
            open_writer.add(*frames)
            open_writer.add(*change(*frames))

    with pytest.raises(StoreError, match=message):
        write_both()

    assert list(tmp_path.iterdir()) == []


def test_a_scalar_that_comes_later_is_refused_and_one_that_is_missing_is_nan(
    tmp_path: Path,
) -> None:
    source = random_run(4)
    frames = (source.positions(), source.cells())
    energy = {"energy": np.ones(4)}
    with writer(tmp_path / "a.zarr") as open_writer:
        open_writer.add(*frames, energy)
        open_writer.add(*frames)
        with pytest.raises(StoreError, match=r"scalars \['pressure'\] are new"):
            open_writer.add(*frames, {"pressure": np.ones(4)})

    found = open_trajectories(tmp_path / "a.zarr")[0].runs[0].scalars("energy")
    np.testing.assert_array_equal(found, [1.0] * 4 + [np.nan] * 4)


def test_no_frame_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no frame was added"), writer(tmp_path / "a.zarr"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_store_of_a_learning_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.resolved.yaml").write_text("name: x\n")

    with pytest.raises(RunFolderError, match="driver alone"), writer(tmp_path / "data.zarr"):
        pass


def test_two_imports_do_not_write_one_store(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dasksse.store.folders import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); lock.acquire()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.zarr.lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with (
            pytest.raises(RunFolderError, match="another import writes"),
            writer(tmp_path / "a.zarr"),
        ):
            pass
        other.communicate("")

    assert FileLock(tmp_path / "a.zarr.lock").acquire()


DYING = """
import os, sys
from pathlib import Path
import zarr
from dasksse.store import writer_commit
from tests.support.stores import random_run, write

store, group, place, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])

def dying(function):
    def call(*arguments, **keywords):
        global count
        if store.name in str(arguments[0]) or place != "rename":
            count -= 1
        if count < 0:
            os._exit(9)
        return function(*arguments, **keywords)
    return call

source = random_run(60, seed=5)
original = writer_commit.commit
def commit(*arguments):
    if place == "rename":
        Path.rename = dying(Path.rename)
    elif place == "resize":
        zarr.Array.resize = dying(zarr.Array.resize)
    elif place == "write":
        zarr.Array.__setitem__ = dying(zarr.Array.__setitem__)
    else:
        writer_commit.seal = dying(writer_commit.seal)
    original(*arguments)
from dasksse.store import trajectory_writer
trajectory_writer.commit = commit
write(store, source, group=group, attributes={'key': 'second'})
"""
DEATHS = [("rename", 2), ("resize", 0), ("resize", 3), ("resize", 8), ("write", 3)]


def die(store: Path, group: str, place: str, count: int) -> None:
    command = [sys.executable, "-c", DYING, str(store), group, place, str(count)]
    assert subprocess.run(command, check=False).returncode == 9


@pytest.mark.parametrize(("place", "count"), DEATHS)
def test_a_death_while_a_run_is_added_leaves_the_store_as_it_was(
    tmp_path: Path, place: str, count: int
) -> None:
    store = tmp_path / "a.zarr"
    write(store, random_run(20), attributes={"key": "first"})
    before = plain(store).load()

    die(store, "production/salt", place, count)

    assert len([facts for facts in run_attributes(store, "production/salt") if facts]) == 1
    (group,) = open_trajectories(store)
    assert [run.n_frames for run in group.runs] == [20]
    xarray.testing.assert_identical(plain(store).load(), before)
    assert states(store) == [OK]
    write(store, random_run(60, seed=5))
    assert plain(store).n_valid.values.tolist() == [20, 60]
    assert states(store) == [OK, OK]


@pytest.mark.parametrize("place", ["rename", "seal"])
def test_a_death_while_a_group_is_added_harms_nothing(tmp_path: Path, place: str) -> None:
    store = tmp_path / "a.zarr"
    write(store, random_run(20))

    die(store, "production/other", place, 0)

    assert set(states(store)) == {OK}
    write(store, random_run(30), group="production/third")
    assert plain(store).n_valid.values.tolist() == [20]
    assert plain(store, "production/third").n_valid.values.tolist() == [30]


def test_a_run_that_was_killed_leaves_no_store_and_is_begun_again(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    die(store, "production/salt", "rename", 0)

    assert not store.exists()
    write(store, random_run(10))
    assert states(store) == [OK]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]


def test_an_old_group_stays_beside_a_new_one(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    write_version_1(store, random_run(5), group="production/old")

    with pytest.raises(StoreError, match="layout version 1, the new one 2"):
        write(store, random_run(5), group="production/old")
    write(store, random_run(5))

    assert [group.system for group in open_trajectories(store)] == ["old", "salt"]
    assert open_store(store).attrs["layout_version"] == 2
