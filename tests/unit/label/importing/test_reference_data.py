"""The published LGPS set: read whole, into a store, and out again as DeePMD-kit data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasksse.label.importing import Origin, import_labels
from dasksse.store.label_reader import read_stored_labels
from dasksse.train import write_deepmd_data

REFERENCE = Path(__file__).parents[4] / "../shared/refdata/lgps_huang2021_pbe"
TYPE_MAP = ("Li", "Ge", "P", "S")

pytestmark = pytest.mark.refdata


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("reference") / "pbe.zarr"
    report = import_labels([REFERENCE], store, Origin(TYPE_MAP, "PBE", "VASP"))
    assert len(report.files) == 33
    assert sum(file.n_read for file in report.files) == 5418
    assert sum(file.n_added for file in report.files) == 5418
    assert report.warnings == []
    assert not any(file.notes for file in report.files)
    return store


def test_the_set_becomes_two_systems_with_energies_in_the_published_range(store: Path) -> None:
    parts = dict(read_stored_labels(store))

    assert {system: len(part) for system, part in parts.items()} == {
        "Li160Ge16P32S192": 2483,
        "Li20Ge2P4S24": 2935,
    }
    small = parts["Li20Ge2P4S24"]
    start = small.take(np.flatnonzero(~small.has_virial))
    assert len(start) == 531
    per_atom = start.energies / 50
    assert -4.3144 - 5e-5 < per_atom.min() < per_atom.max() < -4.2867 + 5e-5
    np.testing.assert_allclose(start.frames.cells[:, 2, 2], 12.657546, atol=1e-6)


def test_the_numbers_come_out_as_they_went_in(store: Path, tmp_path: Path) -> None:
    write_deepmd_data(read_stored_labels(store), type_map=TYPE_MAP, folder=tmp_path)

    for n_atoms, with_virial in ((50, False), (50, True), (400, True)):
        [system] = [
            path.parent
            for path in tmp_path.rglob("type.raw")
            if len(path.read_text().split()) == n_atoms
            and (path.parent / "set.000" / "virial.npy").is_file() == with_virial
        ]
        given = [
            path
            for path in sorted(REFERENCE.rglob("set.*"))
            if len((path.parent / "type.raw").read_text().split()) == n_atoms
            and (path / "virial.npy").is_file() == with_virial
        ]
        for name in ("energy", "box", "force", *(["virial"] if with_virial else [])):
            before = np.concatenate([np.load(path / f"{name}.npy") for path in given])
            after = np.load(system / "set.000" / f"{name}.npy")
            np.testing.assert_array_equal(before.reshape(len(after), -1).squeeze(), after)
        coord = np.concatenate([np.load(path / "coord.npy") for path in given])
        box = np.concatenate([np.load(path / "box.npy") for path in given])
        moved = (np.load(system / "set.000" / "coord.npy") - coord).reshape(len(coord), -1, 3)
        shifts = moved @ np.linalg.inv(box.reshape(-1, 3, 3))
        np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-9)  # whole cell vectors


def test_the_same_import_again_adds_nothing(store: Path) -> None:
    report = import_labels([REFERENCE], store, Origin(TYPE_MAP, "PBE", "VASP"))

    assert sum(file.n_duplicates for file in report.files) == 5418
    assert sum(file.n_added for file in report.files) == 0
