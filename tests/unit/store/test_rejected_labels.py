"""Labels that the newest training set leaves out: marked in the store, with their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.records import Frames, Labels
from dasksse.store.labels import LabelBatch, append_labels, mark_rejected
from dasksse.store.layout import open_store

if TYPE_CHECKING:
    from pathlib import Path

N_FRAMES = 5
FAILED = 3


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Content keys of five stored labels, of which one failed."""
    rng = np.random.default_rng(1)
    frames = Frames(
        np.array([3, 17]),
        rng.normal(size=(N_FRAMES, 2, 3)),
        np.tile(4.0 * np.eye(3), (N_FRAMES, 1, 1)),
    )
    energies = np.arange(N_FRAMES, dtype=float)
    energies[FAILED] = np.nan
    labels = Labels(
        frames,
        energies,
        rng.normal(size=(N_FRAMES, 2, 3)),
        np.full((N_FRAMES, 3, 3), np.nan),
        "code",
        "PBE",
        is_surrogate=False,
        reasons=tuple("SCF" * (i == FAILED) for i in range(N_FRAMES)),
    )
    append_labels(tmp_path, "salt", [LabelBatch(f"{1:016x}", labels, 0, "candidate")])
    return frames.content_keys()


def state(run_dir: Path) -> tuple[list[str], list[str], Any]:
    group = open_store(run_dir, mode="r")["labels/salt"]
    columns = [
        [group[name].attrs["table"][code] for code in group[name][:]]
        for name in ("status", "reject_reason")
    ]
    return columns[0], columns[1], group["energy"][:]


def test_rejected_labels_are_told_from_failed_ones_and_keep_their_values(
    tmp_path: Path, keys: list[str]
) -> None:
    mark_rejected(tmp_path, "salt", {keys[1]: "energy_iqr: far", keys[FAILED]: "never asked"})

    status, reasons, energies = state(tmp_path)
    assert status == ["good", "rejected", "good", "failed", "good"]
    assert reasons == ["", "energy_iqr: far", "", "SCF", ""]
    assert energies[1] == 1.0


def test_a_label_that_is_good_again_loses_its_mark(tmp_path: Path, keys: list[str]) -> None:
    mark_rejected(tmp_path, "salt", {keys[1]: "energy: far", keys[2]: "energy: far"})

    mark_rejected(tmp_path, "salt", {keys[2]: "force: far"})

    status, reasons, _ = state(tmp_path)
    assert status == ["good", "good", "rejected", "failed", "good"]
    assert reasons == ["", "", "force: far", "SCF", ""]


def test_texts_do_not_pile_up_when_limits_move(tmp_path: Path, keys: list[str]) -> None:
    for generation in range(4):
        mark_rejected(tmp_path, "salt", {keys[1]: f"energy: limit {generation}"})

    table = open_store(tmp_path, mode="r")["labels/salt/reject_reason"].attrs["table"]
    assert table == ["", "SCF", "energy: limit 0"]


def test_marking_twice_is_marking_once(tmp_path: Path, keys: list[str]) -> None:
    mark_rejected(tmp_path, "salt", {keys[1]: "far"})
    once = state(tmp_path)

    mark_rejected(tmp_path, "salt", {keys[1]: "far"})

    np.testing.assert_equal(state(tmp_path), once)


def test_an_older_store_learns_what_rejected_means(tmp_path: Path, keys: list[str]) -> None:
    open_store(tmp_path)["labels/salt/status"].attrs["table"] = ["good", "failed"]

    mark_rejected(tmp_path, "salt", {keys[0]: "far"})

    assert state(tmp_path)[0][0] == "rejected"


def test_a_system_without_labels_has_nothing_to_mark(tmp_path: Path, keys: list[str]) -> None:
    mark_rejected(tmp_path, "other", {keys[0]: "far"})

    assert "labels/other" not in open_store(tmp_path, mode="r")
