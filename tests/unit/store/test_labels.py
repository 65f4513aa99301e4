from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray

from dasksse.records import Frames, Labels
from dasksse.store.labels import LabelBatch, append_labels, read_label_facts, stored_units
from dasksse.store.layout import STORE_NAME, open_store
from dasksse.store.sealing import seal

if TYPE_CHECKING:
    from pathlib import Path


def batch(key: int, n_frames: int, role: str = "start", reason: str = "") -> LabelBatch:
    rng = np.random.default_rng(key)
    frames = Frames(
        np.array([3, 17]),
        rng.normal(size=(n_frames, 2, 3)),
        np.tile(4.0 * np.eye(3), (n_frames, 1, 1)),
    )
    energies = rng.normal(size=n_frames)
    if reason:
        energies[-1] = np.nan
    labels = Labels(
        frames,
        energies,
        rng.normal(size=(n_frames, 2, 3)),
        np.full((n_frames, 3, 3), np.nan),
        f"source {key % 2}",
        "PBE",
        is_surrogate=True,
        reasons=(*("",) * (n_frames - 1), reason),
    )
    return LabelBatch(f"{key:016x}", labels, 0, role)


def test_labels_are_appended_once_and_coded_by_tables(tmp_path: Path) -> None:
    append_labels(tmp_path, "salt", [batch(1, 5), batch(2, 3, "candidate"), batch(1, 5)])

    append_labels(tmp_path, "salt", [batch(1, 5), batch(3, 2, "check", "SCF not converged")])

    seal(tmp_path)
    data = xarray.open_datatree(tmp_path / STORE_NAME, engine="zarr")[
        "labels/salt"
    ].to_dataset()
    assert data.sizes["frame"] == 10
    roles = np.array(data["role"].attrs["table"])[data["role"].values]
    assert list(roles) == ["start"] * 5 + ["candidate"] * 3 + ["check"] * 2
    reasons = np.array(data["reject_reason"].attrs["table"])[data["reject_reason"].values]
    assert reasons[-1] == "SCF not converged"
    assert list(data["status"].values) == [0] * 9 + [1]
    np.testing.assert_allclose(data["energy"].values[:5], batch(1, 5).labels.energies)
    assert data["virial"].attrs["units"] == "eV"


def test_a_driver_killed_while_appending_leaves_no_half_batch(tmp_path: Path) -> None:
    append_labels(tmp_path, "salt", [batch(1, 5)])
    group = open_store(tmp_path)["labels/salt"]
    for name in ("positions", "energy"):  # as if killed before n_valid was written
        group[name].resize((8, *group[name].shape[1:]))

    assert stored_units(tmp_path, "salt") == {f"{1:016x}"}
    append_labels(tmp_path, "salt", [batch(2, 4)])

    assert open_store(tmp_path)["labels/salt/energy"].shape == (9,)
    assert stored_units(tmp_path, "salt") == {f"{1:016x}", f"{2:016x}"}


def timed(key: int, n_frames: int) -> LabelBatch:
    made = batch(key, n_frames)
    labels = replace(
        made.labels,
        seconds=np.arange(1.0, n_frames + 1),
        memory_bytes=np.full(n_frames, 2e9),
    )
    return replace(made, labels=labels)


def test_time_and_memory_of_each_label_are_stored_with_units(tmp_path: Path) -> None:
    append_labels(tmp_path, "salt", [timed(1, 3), batch(2, 1)])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xarray.open_datatree(tmp_path / STORE_NAME, engine="zarr", consolidated=False)
        labels = data["labels/salt"].to_dataset().load()

    np.testing.assert_array_equal(labels.label_time, [1.0, 2.0, 3.0, np.nan])
    np.testing.assert_array_equal(labels.label_memory, [2e9, 2e9, 2e9, np.nan])
    assert labels.label_time.attrs["units"] == "s"
    assert labels.label_memory.attrs["units"] == "bytes"


def test_a_store_of_an_older_version_takes_new_labels(tmp_path: Path) -> None:
    append_labels(tmp_path, "salt", [timed(1, 3)])
    for name in ("label_time", "label_memory"):  # as a version before these arrays left it
        shutil.rmtree(tmp_path / STORE_NAME / "labels" / "salt" / name)

    before = read_label_facts(tmp_path)
    append_labels(tmp_path, "salt", [timed(3, 2)])

    assert np.isnan(before[0].seconds).all()
    tree = xarray.open_datatree(tmp_path / STORE_NAME, engine="zarr", consolidated=False)
    data = tree["labels/salt"].to_dataset()
    np.testing.assert_array_equal(data.label_time, [np.nan, np.nan, np.nan, 1.0, 2.0])
    np.testing.assert_array_equal(data.label_memory, [np.nan, np.nan, np.nan, 2e9, 2e9])
    assert np.isfinite(data.energy.values).all()


def test_facts_about_labels_are_told_by_source(tmp_path: Path) -> None:
    append_labels(tmp_path, "salt", [timed(1, 3), timed(2, 2), batch(3, 2, reason="no SCF")])

    odd, even = read_label_facts(tmp_path)

    assert (even.source, odd.source) == ("source 0", "source 1")
    assert (even.n_atoms, even.functional, even.is_surrogate) == (2, "PBE", True)
    np.testing.assert_array_equal(even.seconds, [1.0, 2.0])
    assert list(odd.reasons) == ["", "", "", "", "no SCF"]
    assert not odd.is_rejected.any()


def test_a_run_without_labels_has_no_facts(tmp_path: Path) -> None:
    nothing = read_label_facts(tmp_path)
    open_store(tmp_path)

    assert nothing == read_label_facts(tmp_path) == []
