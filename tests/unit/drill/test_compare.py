"""Two runs are equal to the bit, or the difference is named."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray

from dasksse.drill.compare import compare_runs, models_differ_where_hit
from dasksse.drill.pinning import pin_models
from dasksse.store.folders import ATTEMPTS, RunFolder, write_json

if TYPE_CHECKING:
    from pathlib import Path

N_RUNS, N_FRAMES, N_ATOMS = 2, 3, 2


def md_data() -> xarray.Dataset:
    rng = np.random.default_rng(1)
    shape = (N_RUNS, N_FRAMES)
    scalars = rng.normal(size=(*shape, 4))
    scalars[1, 2] = np.nan
    return xarray.Dataset(
        {
            "positions": (
                ("run", "frame", "atom", "xyz"),
                rng.normal(size=(*shape, N_ATOMS, 3)),
            ),
            "cell": (("run", "frame", "lattice", "xyz"), rng.normal(size=(*shape, 3, 3))),
            "scalars": (("run", "frame", "quantity"), scalars),
            "n_valid": (("run",), np.array([3, 2])),
            "verdict": (("run", "frame"), np.zeros(shape, dtype="i1")),
            "reason": (("run", "frame"), np.zeros(shape, dtype="i1")),
        }
    )


def label_data(order: tuple[int, ...] = (0, 1, 2)) -> xarray.Dataset:
    rng = np.random.default_rng(2)
    index = list(order)
    forces = rng.normal(size=(3, N_ATOMS, 3))
    return xarray.Dataset(
        {
            "n_valid": ((), 3),
            "frame_key": (("frame",), np.array([11, 12, 13], dtype="u8")[index]),
            "unit_key": (("frame",), np.array([1, 1, 2], dtype="u8")[index]),
            "role": (("frame",), np.zeros(3, dtype="i1")),
            "status": (("frame",), np.zeros(3, dtype="i1")),
            "positions": (("frame", "atom", "xyz"), 2.0 * forces[index]),
            "cell": (("frame", "lattice", "xyz"), np.zeros((3, 3, 3))),
            "energy": (("frame",), np.array([-1.0, -2.0, -3.0])[index]),
            "forces": (("frame", "atom", "xyz"), forces[index]),
            "virial": (("frame", "lattice", "xyz"), np.full((3, 3, 3), np.nan)),
        }
    )


def write_unit(run: Path, kind: str, key: str, attempts: int = 1, **record: Any) -> None:
    folder = RunFolder(run).unit(kind, key)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "result.json", {"generation": 0, **record})
    (folder / ATTEMPTS).write_text("{}\n" * attempts)


def write_training(run: Path, key: str, parameters: bytes, **record: Any) -> None:
    checkpoint = f"work/train/{key}/model.ckpt-200"
    write_unit(run, "train", key, value={"checkpoint": checkpoint}, **record)
    (run / f"{checkpoint}.data-00000-of-00001").write_bytes(parameters)


def make_run(run: Path, md: xarray.Dataset, labels: xarray.Dataset) -> Path:
    for group, data in (("explore/000/salt", md), ("labels/salt", labels)):
        data.to_zarr(run / "data.zarr", group=group, mode="a", consolidated=False)
    write_training(run, "t0", b"parameters")
    write_training(run, "t1", b"parameters", generation=1)
    write_unit(run, "select", "s0", value={"n_picks": 6, "accurate": 0.5})
    return run


@pytest.fixture
def calm(tmp_path: Path) -> Path:
    return make_run(tmp_path / "calm", md_data(), label_data())


@pytest.fixture
def copy(calm: Path, tmp_path: Path) -> Path:
    shutil.copytree(calm, tmp_path / "other")
    return tmp_path / "other"


def test_a_run_equals_its_copy_gaps_included(calm: Path, copy: Path) -> None:
    assert compare_runs(calm, copy) == []


def test_labels_that_came_in_another_order_are_equal(calm: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", md_data(), label_data((2, 0, 1)))

    assert compare_runs(calm, other) == []


@pytest.mark.parametrize("name", ["positions", "cell", "scalars"])
def test_one_bit_of_a_frame_is_a_difference_with_its_place(
    name: str, calm: Path, tmp_path: Path
) -> None:
    data = md_data()
    values = data[name].values
    place = (1, 1, *[0] * (values.ndim - 2))
    values[place] = np.nextafter(values[place], 9.0)
    other = make_run(tmp_path / "other", data, label_data())

    (text,) = compare_runs(calm, other)

    assert text.startswith(f"/explore/000/salt {name}: 1 of {values.size} values differ")
    assert f"first at {place}" in text


@pytest.mark.parametrize("name", ["verdict", "n_valid"])
def test_verdicts_and_numbers_of_frames_are_compared(
    name: str, calm: Path, tmp_path: Path
) -> None:
    data = md_data()
    data[name].values.flat[0] = 1
    other = make_run(tmp_path / "other", data, label_data())

    (text,) = compare_runs(calm, other)

    assert f"salt {name}: 1 of" in text


@pytest.mark.parametrize("name", ["energy", "forces"])
def test_labels_are_compared_frame_by_frame(name: str, calm: Path, tmp_path: Path) -> None:
    labels = label_data()
    labels[name].values.flat[0] += 1e-12
    other = make_run(tmp_path / "other", md_data(), labels)

    (text,) = compare_runs(calm, other)

    assert text.startswith(f"/labels/salt {name}: 1 of")


def test_another_number_of_labels_is_named_by_shape(calm: Path, tmp_path: Path) -> None:
    labels = label_data().isel(frame=slice(0, 2))
    labels["n_valid"] = ((), 2)
    other = make_run(tmp_path / "other", md_data(), labels)

    texts = compare_runs(calm, other)

    assert "/labels/salt energy: shape (3,) in the calm run, (2,) in the disturbed one" in texts


def test_units_groups_and_selections_are_compared(calm: Path, copy: Path) -> None:
    write_unit(copy, "select", "s0", value={"n_picks": 5, "accurate": 0.5})
    write_unit(copy, "label", "l9", value={})
    shutil.rmtree(copy / "work/train/t1")
    shutil.rmtree(copy / "data.zarr/explore/000/salt")

    assert compare_runs(calm, copy) == [
        "label l9 is in the disturbed run alone",
        "train t1 is in the calm run alone",
        "select s0: another selection",
        "/explore/000/salt is in the calm run alone",
    ]


def test_other_models_where_training_was_hit_call_for_pinned_ones(
    calm: Path, copy: Path
) -> None:
    write_training(copy, "t0", b"others", attempts=2)
    write_training(copy, "t1", b"and so others", generation=1)

    assert compare_runs(calm, copy) == [
        "train t0: other parameters",
        "train t1: other parameters",
    ]
    assert models_differ_where_hit(calm, copy)


def test_other_models_of_trainings_that_nothing_hit_are_a_real_difference(
    calm: Path, copy: Path
) -> None:
    write_training(copy, "t0", b"others", attempts=1)

    assert not models_differ_where_hit(calm, copy)
    assert not models_differ_where_hit(calm, calm)


def test_a_pinned_run_begins_with_the_trainings_and_the_configuration_alone(
    calm: Path, tmp_path: Path
) -> None:
    for name in ("config.yaml", "config.resolved.yaml"):
        (calm / name).write_text(name)
    (calm / "inputs").mkdir()
    pinned = tmp_path / "pinned"

    pin_models(calm, pinned)

    assert set(RunFolder(pinned).done_units()) == {("train", "t0"), ("train", "t1")}
    assert (pinned / "config.resolved.yaml").read_text() == "config.resolved.yaml"
    assert not (pinned / "data.zarr").exists()
