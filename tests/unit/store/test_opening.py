from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dasksse
from dasksse.errors import StoreError
from dasksse.records import Frames, Labels
from dasksse.store.labels import LabelBatch, append_labels
from dasksse.store.layout import open_store
from tests.support.stores import random_run, write, write_version_1

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write(tmp_path / "a.zarr", random_run(20))
    write(tmp_path / "a.zarr", random_run(50))
    return tmp_path / "a.zarr"


def test_padding_is_nan_and_quantities_have_names(store: Path) -> None:
    data = dasksse.open(str(store))["/production/salt"].to_dataset()

    for name in ("positions", "cell", "centres", "scalars"):
        assert np.isnan(data[name][0, 20:]).all(), name
        assert np.isfinite(data[name][0, :20]).all(), name
    np.testing.assert_array_equal(data.scalars.sel(quantity="energy")[1], np.arange(50.0))
    assert data.positions.attrs["units"] == "angstrom"
    assert data.positions.dims == ("run", "frame", "atom", "xyz")


def test_frames_of_a_run_that_is_not_finished_are_padding(store: Path) -> None:
    open_store(store)["production/salt/n_valid"][1] = 0

    data = dasksse.open(store)["/production/salt"]

    assert np.isnan(data.positions[1]).all()


def test_frames_are_not_read_before_they_are_asked_for(store: Path) -> None:
    positions = dasksse.open(store)["/production/salt"].positions

    assert positions.chunks is not None
    (store / "production/salt/positions/c/0/0/0/0").unlink()
    assert np.isnan(positions[0]).all()


def test_a_run_folder_with_labels_and_old_groups_opens_without_warnings(tmp_path: Path) -> None:
    write_version_1(tmp_path, random_run(5), group="production/old")
    frames = Frames(np.array([3, 17]), np.zeros((3, 2, 3)), np.tile(np.eye(3), (3, 1, 1)))
    values = (np.arange(3.0), np.zeros((3, 2, 3)), np.zeros((3, 3, 3)))
    labels = Labels(frames, *values, source="toy", functional="PBE", is_surrogate=False)
    append_labels(tmp_path, "salt", [LabelBatch("0" * 15 + "1", labels, 0, "start")])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = dasksse.open(tmp_path)

    np.testing.assert_array_equal(tree["/labels/salt"].energy, np.arange(3.0))
    assert np.isfinite(tree["/production/old"].positions).all()


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store is there"):
        dasksse.open(tmp_path)
