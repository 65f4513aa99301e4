from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import ConfigError, StoreError
from dasksse.train.dataset import (
    atom_types,
    read_deepmd_data,
    read_labels,
    suggest_sel,
    wrapped,
    write_deepmd_data,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.records import Labels

TYPE_MAP = ["Li", "P", "S"]
REFERENCE = Path(__file__).parents[3] / "../shared/refdata/lgps_huang2021_pbe"


def test_written_labels_are_read_back_with_wrapped_positions(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    labels = make_labels()

    write_deepmd_data([("a", labels)], type_map=TYPE_MAP, folder=tmp_path)
    [(name, read)] = read_deepmd_data(tmp_path)

    assert name == "000-Li2P1S1"
    np.testing.assert_array_equal(read.frames.numbers, labels.frames.numbers)
    np.testing.assert_allclose(read.frames.positions, wrapped(labels.frames), rtol=1e-14)
    np.testing.assert_array_equal(read.frames.cells, labels.frames.cells)
    np.testing.assert_array_equal(read.energies, labels.energies)
    np.testing.assert_array_equal(read.forces, labels.forces)
    np.testing.assert_array_equal(read.virials, labels.virials)


def test_wrapping_moves_atoms_by_whole_cell_vectors_into_the_cell(
    make_labels: Callable[..., Labels],
) -> None:
    frames = make_labels().frames

    folded = wrapped(frames)

    inverse = np.linalg.inv(frames.cells)
    fractional = folded @ inverse
    moved = (folded - frames.positions) @ inverse
    assert fractional.min() > -1e-12
    assert fractional.max() < 1.0 + 1e-12
    np.testing.assert_allclose(moved, np.round(moved), atol=1e-12)


def test_frames_without_virial_get_a_system_of_their_own(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    labels = make_labels(n_frames=4)
    labels.virials[1] = np.nan

    systems = write_deepmd_data([("a", labels)], type_map=TYPE_MAP, folder=tmp_path)

    assert [(system / "set.000/virial.npy").exists() for system in systems] == [True, False]
    assert (
        np.load(systems[0] / "set.000/energy.npy").tolist()
        == labels.energies[[0, 2, 3]].tolist()
    )
    assert np.load(systems[1] / "set.000/energy.npy").tolist() == [labels.energies[1]]


def test_data_sets_with_the_same_atoms_share_a_system_and_others_do_not(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    data = [
        ("a", make_labels(seed=0)),
        ("b", make_labels((3, 16), seed=1)),
        ("c", make_labels(seed=2, n_frames=2)),
    ]

    systems = write_deepmd_data(data, type_map=TYPE_MAP, folder=tmp_path)

    assert [np.load(s / "set.000/coord.npy").shape for s in systems] == [(5, 12), (3, 6)]
    assert (systems[1] / "type.raw").read_text().split() == ["0", "2"]


def test_bad_labels_are_left_out(make_labels: Callable[..., Labels], tmp_path: Path) -> None:
    labels = make_labels(n_frames=3)
    labels.energies[0] = np.nan
    labels.forces[2, 1, 0] = np.nan

    [system] = write_deepmd_data([("a", labels)], type_map=TYPE_MAP, folder=tmp_path)

    assert np.load(system / "set.000/energy.npy").tolist() == [labels.energies[1]]


def test_nothing_is_written_when_every_label_is_bad(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    labels = make_labels()
    labels.energies[:] = np.nan

    systems = write_deepmd_data([("a", labels)], type_map=TYPE_MAP, folder=tmp_path)

    assert systems == []


def test_an_element_outside_the_type_map_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the data contain S, which type_map does not"):
        atom_types(np.array([3, 16]), ["Li", "P"])


def test_several_sets_are_joined_in_order(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    labels = make_labels(n_frames=5)
    [system] = write_deepmd_data([("a", labels)], type_map=TYPE_MAP, folder=tmp_path)
    (system / "set.001").mkdir()
    for path in (system / "set.000").iterdir():
        array = np.load(path)
        np.save(path, array[:2])
        np.save(system / "set.001" / path.name, array[2:])
    (system / "set.001/virial.npy").unlink()

    [(name, read)] = read_deepmd_data(system)

    assert name == system.name
    assert read.energies.tolist() == labels.energies.tolist()
    assert read.has_virial.tolist() == [True, True, False, False, False]


def test_types_are_translated_by_the_systems_own_type_map(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    labels = make_labels((3, 15, 16))
    write_deepmd_data([("a", labels)], type_map=["S", "Li", "P"], folder=tmp_path)

    [(_, read)] = read_deepmd_data(tmp_path, type_map=["Li", "P", "S"])

    assert read.frames.numbers.tolist() == [3, 15, 16]


def test_a_system_without_type_map_needs_one_and_uses_it(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    [system] = write_deepmd_data(
        [("a", make_labels((3, 15, 16)))], type_map=TYPE_MAP, folder=tmp_path
    )
    (system / "type_map.raw").unlink()

    [(_, read)] = read_deepmd_data(tmp_path, type_map=["Na", "Si", "O"])

    assert read.frames.numbers.tolist() == [11, 14, 8]
    with pytest.raises(ConfigError, match=r"no type_map\.raw.*give type_map"):
        read_deepmd_data(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("type.raw", "0 1 7", ConfigError, r"types run from 0 to 7, but the type map has 3"),
        ("type.raw", "", StoreError, r"type\.raw: must hold one type"),
        ("type.raw", "0 -1", StoreError, r"type\.raw: must hold one type"),
        ("type_map.raw", "Li P Xq", ConfigError, r"Xq in the type map is no chemical element"),
        ("nopbc", "", StoreError, r"found nopbc; open boundaries"),
    ],
)
def test_a_system_that_cannot_be_meant_is_refused(
    make_labels: Callable[..., Labels],
    tmp_path: Path,
    name: str,
    text: str,
    error: type[Exception],
    message: str,
) -> None:
    [system] = write_deepmd_data(
        [("a", make_labels((3, 15, 16)))], type_map=TYPE_MAP, folder=tmp_path
    )
    (system / name).write_text(text)

    with pytest.raises(error, match=message):
        read_deepmd_data(tmp_path)


def test_an_array_that_is_missing_or_cut_is_named(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    [system] = write_deepmd_data([("a", make_labels())], type_map=TYPE_MAP, folder=tmp_path)
    np.save(system / "set.000/force.npy", np.zeros((2, 12)))

    with pytest.raises(StoreError, match=r"force\.npy: cannot be read as an array of shape"):
        read_deepmd_data(tmp_path)

    (system / "set.000/force.npy").unlink()
    with pytest.raises(StoreError, match=r"force\.npy"):
        read_deepmd_data(tmp_path)


def test_a_system_without_sets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "type.raw").write_text("0\n")

    with pytest.raises(StoreError, match=r"no set\.\* folder"):
        read_deepmd_data(tmp_path, type_map=["Li"])


def test_a_folder_without_systems_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no DeePMD-kit system"):
        read_deepmd_data(tmp_path)


def test_reading_dispatches_on_what_is_there(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    write_deepmd_data([("a", make_labels())], type_map=TYPE_MAP, folder=tmp_path / "npy")
    (tmp_path / "frames.vasp").write_text("")

    assert len(read_labels(tmp_path / "npy")) == 1
    with pytest.raises(StoreError, match=r"the format is not known"):
        read_labels(tmp_path / "frames.vasp")
    with pytest.raises(StoreError, match=r"nothing is there"):
        read_labels(tmp_path / "none")


@pytest.mark.refdata
def test_the_published_lgps_set_is_read_whole_and_survives_a_round_trip(tmp_path: Path) -> None:
    if not REFERENCE.is_dir():
        pytest.skip(f"no reference data at {REFERENCE}")

    data = read_labels(REFERENCE, type_map=["Li", "Ge", "P", "S"])
    small = [(name, part) for name, part in data if part.frames.n_atoms == 50]
    written = write_deepmd_data(small, type_map=["S", "P", "Ge", "Li"], folder=tmp_path)
    again = read_labels(tmp_path)

    assert len(data) == 33
    assert sum(len(part) for _, part in data) == 5418
    assert [name for name, part in data if not part.has_virial.all()] == [
        "data.init/LiGePS-init.system"
    ]
    assert len(written) == 2
    assert sum(len(part) for _, part in again) == sum(len(part) for _, part in small)
    first = dict(small)["data.init/LiGePS-init.system"]
    back = next(part for _, part in again if not part.has_virial.any())
    np.testing.assert_array_equal(back.forces, first.forces)
    np.testing.assert_array_equal(back.frames.numbers, first.frames.numbers)
    sel = suggest_sel(small, type_map=["Li", "Ge", "P", "S"], rcut_A=6.0)
    assert sel == [32, 8, 8, 40]
