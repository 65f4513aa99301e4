from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import StoreError
from dasksse.records import Frames, Labels
from dasksse.store.label_reader import (
    label_origins,
    labels_digest,
    read_stored_labels,
    stored_frames,
)
from dasksse.store.labels import LabelBatch, append_labels, mark_rejected
from dasksse.store.layout import open_store

if TYPE_CHECKING:
    from pathlib import Path


def labels(seed: int, source: str = "VASP", *, is_surrogate: bool = False) -> Labels:
    rng = np.random.default_rng(seed)
    frames = Frames(np.array([3, 17]), rng.normal(size=(3, 2, 3)), rng.normal(size=(3, 3, 3)))
    energies = rng.normal(size=3)
    energies[2] = np.nan
    return Labels(
        frames,
        energies,
        rng.normal(size=(3, 2, 3)),
        rng.normal(size=(3, 3, 3)),
        source,
        "PBE",
        is_surrogate,
        ("", "", "SCF not converged"),
        np.array([1.0, 2.0, 3.0]),
        np.array([1e9, 2e9, 3e9]),
    )


def store_of(folder: Path, *parts: Labels) -> Path:
    store = folder / "labels.zarr"
    batches = [LabelBatch(f"{n:016x}", part, 0, "start") for n, part in enumerate(parts)]
    append_labels(store, "salt", batches)
    return store


def test_good_labels_come_back_by_provenance(tmp_path: Path) -> None:
    dft, model = labels(0), labels(1, "7net", is_surrogate=True)

    parts = read_stored_labels(store_of(tmp_path, dft, model))

    assert [(system, part.source, part.is_surrogate) for system, part in parts] == [
        ("salt", "VASP", False),
        ("salt", "7net", True),
    ]
    for (_, read), written in zip(parts, (dft, model), strict=True):
        expected = written.take([0, 1])
        np.testing.assert_array_equal(read.frames.positions, expected.frames.positions)
        np.testing.assert_array_equal(read.frames.cells, expected.frames.cells)
        for name in ("energies", "forces", "virials", "seconds", "memory_bytes"):
            np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))
        assert read.frames.content_keys() == expected.frames.content_keys()


def test_labels_that_filters_keep_out_of_training_have_values_still(tmp_path: Path) -> None:
    part = labels(0)
    store = store_of(tmp_path, part)
    mark_rejected(store, "salt", {part.frames.content_keys()[0]: "too hot"})

    [(_, read)] = read_stored_labels(store)

    assert read.energies.tolist() == part.energies[:2].tolist()


def test_frames_of_an_unfinished_write_are_not_seen(tmp_path: Path) -> None:
    store = store_of(tmp_path, labels(0))
    group = open_store(store)["labels/salt"]
    for name in ("energy", "frame_key", "status", "source"):
        group[name].resize((8, *group[name].shape[1:]))

    assert [len(part) for _, part in read_stored_labels(store)] == [2]
    assert len(stored_frames(store)["salt"][1]) == 2
    assert label_origins(store) == {("VASP", "PBE", False): 2}


def test_frames_are_named_by_content_functional_and_kind_of_source(tmp_path: Path) -> None:
    part = labels(0)

    numbers, frames = stored_frames(store_of(tmp_path, part))["salt"]

    assert numbers.tolist() == [3, 17]
    assert frames == {(key, "PBE", False) for key in part.frames.content_keys()[:2]}


def test_the_digest_changes_with_the_labels_and_with_nothing_else(tmp_path: Path) -> None:
    store = store_of(tmp_path, labels(0))
    before = labels_digest(store)
    open_store(store).attrs["title"] = "renamed"
    same = labels_digest(store)
    append_labels(store, "salt", [LabelBatch("f" * 16, labels(7), 0, "start")])

    assert same == before
    assert labels_digest(store) != before


def test_a_run_folder_is_as_good_as_its_store(tmp_path: Path) -> None:
    append_labels(tmp_path, "salt", [LabelBatch("0" * 16, labels(0), 0, "start")])

    assert labels_digest(tmp_path) == labels_digest(tmp_path / "data.zarr")


def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    for read in (read_stored_labels, stored_frames, label_origins, labels_digest):
        with pytest.raises(StoreError, match=r"none\.zarr: no store is there"):
            read(tmp_path / "none.zarr")
    assert not list(tmp_path.iterdir())


def test_an_empty_store_holds_nothing(tmp_path: Path) -> None:
    open_store(tmp_path / "labels.zarr")

    assert read_stored_labels(tmp_path / "labels.zarr") == []
