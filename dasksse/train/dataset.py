"""Training data: labels to and from DeePMD-kit's npy layout, and any format read at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from dasksse.errors import ConfigError, StoreError
from dasksse.label.importing import read_deepmd_data, read_extxyz
from dasksse.train.neighbours import suggest_sel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from dasksse.records import Frames, Labels

__all__ = [
    "NamedLabels",
    "atom_types",
    "read_deepmd_data",
    "read_extxyz",
    "read_labels",
    "suggest_sel",
    "wrapped",
    "write_deepmd_data",
]

NamedLabels = tuple[str, "Labels"]
"""Name of a data set and its labels."""

_XYZ_SUFFIXES = (".extxyz", ".xyz")


def atom_types(numbers: NDArray[np.int64], type_map: Sequence[str]) -> NDArray[np.int64]:
    """Index of each atom's element in the type map, shape ``(atom,)``.

    Parameters
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    type_map
        Elements in the order of the model's types.

    Raises
    ------
    ConfigError
        When an element is not in the type map.
    """
    index = {atomic_numbers[symbol]: i for i, symbol in enumerate(type_map)}
    unknown = sorted({chemical_symbols[z] for z in set(numbers.tolist()) - set(index)})
    if unknown:
        msg = (
            f"the data contain {', '.join(unknown)}, which type_map does not; "
            f"type_map has {', '.join(type_map)}: add the missing elements there"
        )
        raise ConfigError(msg)
    return np.array([index[z] for z in numbers.tolist()], dtype=np.int64)


def wrapped(frames: Frames) -> NDArray[np.float64]:
    """Positions [Å] folded into the cell, shape ``(frame, atom, xyz)``."""
    fractional = frames.positions @ np.linalg.inv(frames.cells)
    return np.asarray((fractional - np.floor(fractional)) @ frames.cells)


def _usable(labels: Iterable[NamedLabels]) -> dict[tuple[bytes, bool], list[Labels]]:
    """Good labels by atoms and by whether they carry a virial, in order of appearance."""
    groups: dict[tuple[bytes, bool], list[Labels]] = {}
    for _, part in labels:
        for with_virial in (True, False):
            chosen = np.flatnonzero(part.is_good & (part.has_virial == with_virial))
            if chosen.size:
                atoms = np.asarray(part.frames.numbers, dtype=np.int64).tobytes()
                groups.setdefault((atoms, with_virial), []).append(part.take(chosen))
    return groups


def _formula(numbers: NDArray[np.int64], type_map: Sequence[str]) -> str:
    counts = np.bincount(atom_types(numbers, type_map), minlength=len(type_map))
    return "".join(f"{el}{n}" for el, n in zip(type_map, counts, strict=True) if n)


def write_deepmd_data(
    labels: Sequence[NamedLabels], *, type_map: Sequence[str], folder: Path
) -> list[Path]:
    """Write labels as DeePMD-kit npy systems, one for each list of atoms.

    Frames with and without a virial go to systems of their own: DeePMD-kit leaves the virial
    out of the loss of a system that has no ``virial.npy``. Bad labels are left out.

    Parameters
    ----------
    labels
        Data sets by name; those with the same atoms in the same order share a system.
    type_map
        Elements in the order of the model's types.
    folder
        Where to write; made if it is not there.

    Returns
    -------
    list[Path]
        Folders of the systems; empty when no label is good.

    Raises
    ------
    ConfigError
        When an element is not in the type map.
    """
    systems = []
    for number, ((_, with_virial), parts) in enumerate(_usable(labels).items()):
        atoms = parts[0].frames.numbers
        tail = "" if with_virial else "-no_virial"
        system = folder / f"{number:03d}-{_formula(atoms, type_map)}{tail}"
        arrays = {
            "coord": np.concatenate([wrapped(part.frames) for part in parts]),
            "box": np.concatenate([part.frames.cells for part in parts]),
            "energy": np.concatenate([part.energies for part in parts]),
            "force": np.concatenate([part.forces for part in parts]),
        }
        if with_virial:
            arrays["virial"] = np.concatenate([part.virials for part in parts])
        (system / "set.000").mkdir(parents=True, exist_ok=True)
        np.savetxt(system / "type.raw", atom_types(atoms, type_map), fmt="%d")
        (system / "type_map.raw").write_text("\n".join(type_map) + "\n")
        for name, array in arrays.items():
            flat = array if name == "energy" else array.reshape(len(array), -1)
            np.save(system / "set.000" / f"{name}.npy", flat.astype(np.float64))
        systems.append(system)
    return systems


def _read_xyz_file(path: Path, type_map: Sequence[str] | None) -> list[NamedLabels]:
    del type_map  # the file names its elements
    return read_extxyz(path)


def _read_folder(path: Path, type_map: Sequence[str] | None) -> list[NamedLabels]:
    return read_deepmd_data(path, type_map=type_map)


def read_labels(path: Path, *, type_map: Sequence[str] | None = None) -> list[NamedLabels]:
    """Read labels in whatever of the known formats is found.

    Parameters
    ----------
    path
        A folder of DeePMD-kit npy systems, or an extended XYZ file.
    type_map
        Elements behind the types of systems without ``type_map.raw``.

    Raises
    ------
    StoreError
        When nothing is there or the format is not known.
    ConfigError
        When the elements of a DeePMD-kit system are unknown.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path, Sequence[str] | None], list[NamedLabels]]] = {
        "": _read_folder,
        **dict.fromkeys(_XYZ_SUFFIXES, _read_xyz_file),
    }
    if not path.exists():
        msg = f"{path}: nothing is there; give a folder of DeePMD-kit systems or an XYZ file"
        raise StoreError(msg)
    reader = readers.get("" if path.is_dir() else path.suffix.lower() or "none")
    if reader is None:
        msg = (
            f"{path}: the format is not known; give a folder of DeePMD-kit npy systems or an "
            f"extended XYZ file ({' or '.join(_XYZ_SUFFIXES)})"
        )
        raise StoreError(msg)
    return reader(path, type_map)
