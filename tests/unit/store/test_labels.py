from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray

from dasksse.loop.publish import seal
from dasksse.records import Frames, Labels
from dasksse.store.labels import LabelBatch, append_labels, stored_units
from dasksse.store.layout import STORE_NAME, open_store

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
