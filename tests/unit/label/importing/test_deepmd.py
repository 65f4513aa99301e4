from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import ConfigError, StoreError
from dasksse.label.importing.deepmd import read_deepmd_data, read_deepmd_system

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)


def write_mixed(system: Path, types: list[list[int]], type_map: str = "Li P S") -> None:
    """A system of mixed types with numbers that tell frames and atoms apart."""
    n_frames, n_atoms = np.shape(types)
    folder = system / "set.000"
    folder.mkdir(parents=True)
    (system / "type.raw").write_text("0\n" * n_atoms)
    (system / "type_map.raw").write_text(type_map)
    index = np.arange(n_frames * n_atoms * 3, dtype=float).reshape(n_frames, -1)
    np.save(folder / "real_atom_types.npy", np.array(types))
    np.save(folder / "coord.npy", index)
    np.save(folder / "force.npy", -index)
    np.save(folder / "box.npy", np.tile(9.0 * np.eye(3).ravel(), (n_frames, 1)))
    np.save(folder / "energy.npy", np.arange(n_frames)[:, None] * 1.0)
    np.save(folder / "virial.npy", np.tile(np.eye(3).ravel(), (n_frames, 1)))


def test_frames_of_mixed_types_are_parted_by_their_atoms(tmp_path: Path) -> None:
    write_mixed(tmp_path / "a", [[0, 1, 2], [2, 2, 0], [0, 1, 2]])

    parts = read_deepmd_system(tmp_path / "a").labels

    found = {tuple(part.frames.numbers.tolist()): part.energies.tolist() for part in parts}
    assert found == {(3, 15, 16): [0.0, 2.0], (16, 16, 3): [1.0]}
    first = next(part for part in parts if len(part) == 2)
    assert first.frames.positions[1, 0].tolist() == [18.0, 19.0, 20.0]
    assert first.forces[1, 0].tolist() == [-18.0, -19.0, -20.0]
    assert first.has_virial.all()


def test_atoms_that_pad_short_frames_are_dropped(tmp_path: Path) -> None:
    write_mixed(tmp_path / "a", [[0, 1, 2], [0, -1, 2]])

    parts = read_deepmd_system(tmp_path / "a").labels

    short = next(part for part in parts if part.frames.n_atoms == 2)
    assert short.frames.numbers.tolist() == [3, 16]
    assert short.frames.positions[0, :, 0].tolist() == [9.0, 15.0]


def test_sets_of_mixed_types_are_joined(tmp_path: Path) -> None:
    write_mixed(tmp_path / "a", [[0, 1, 2], [2, 2, 0]])
    (tmp_path / "a" / "set.000").rename(tmp_path / "set.001")
    write_mixed(tmp_path / "b", [[0, 1, 2]])
    (tmp_path / "set.001").rename(tmp_path / "b" / "set.001")

    parts = read_deepmd_system(tmp_path / "b").labels

    assert sorted(len(part) for part in parts) == [1, 2]


def test_mixed_types_beyond_the_type_map_are_refused(tmp_path: Path) -> None:
    write_mixed(tmp_path / "a", [[0, 1, 3]])

    with pytest.raises(ConfigError, match=r"real_atom_types.npy: types run from 0 to 3"):
        read_deepmd_system(tmp_path / "a")


def test_raw_text_is_read_as_the_same_numbers_in_npy(tmp_path: Path) -> None:
    (tmp_path / "type.raw").write_text("0 1\n")
    arrays = {
        "coord": RNG.normal(size=(3, 6)),
        "box": RNG.normal(size=(3, 9)),
        "energy": RNG.normal(size=3),
        "force": RNG.normal(size=(3, 6)),
        "virial": RNG.normal(size=(3, 9)),
    }
    for name, array in arrays.items():
        np.savetxt(tmp_path / f"{name}.raw", array, fmt="%.16e")

    [(_, labels)] = read_deepmd_data(tmp_path, type_map=["Li", "Cl"])

    assert labels.frames.numbers.tolist() == [3, 17]
    np.testing.assert_array_equal(labels.frames.positions, arrays["coord"].reshape(3, 2, 3))
    np.testing.assert_array_equal(labels.energies, arrays["energy"])
    np.testing.assert_array_equal(labels.virials, arrays["virial"].reshape(3, 3, 3))


def test_raw_text_of_one_frame_is_one_frame(tmp_path: Path) -> None:
    (tmp_path / "type.raw").write_text("0\n")
    for name, size in (("coord", 3), ("box", 9), ("energy", 1), ("force", 3)):
        np.savetxt(tmp_path / f"{name}.raw", np.ones((1, size)))

    [labels] = read_deepmd_system(tmp_path, ["Li"]).labels

    assert len(labels) == 1
    assert not labels.has_virial.any()


def test_raw_text_of_uneven_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "type.raw").write_text("0\n")
    (tmp_path / "coord.raw").write_text("1 2 3\n1 2\n")

    with pytest.raises(StoreError, match=r"coord\.raw: cannot be read"):
        read_deepmd_system(tmp_path, ["Li"])
