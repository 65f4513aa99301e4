"""Training data: labels to and from DeePMD-kit's npy layout, and any format read at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from dasksse.errors import ConfigError, StoreError
from dasksse.records import Frames, Labels
from dasksse.train.extxyz import UNKNOWN_FUNCTIONAL, join_labels, read_extxyz
from dasksse.train.neighbours import suggest_sel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

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

NamedLabels = tuple[str, Labels]
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


def _element_map(system: Path, type_map: Sequence[str] | None) -> list[str]:
    own = system / "type_map.raw"
    if own.is_file():
        return own.read_text().split()
    if type_map is None:
        msg = (
            f"{system}: there is no type_map.raw, so the elements behind type.raw are unknown; "
            "give type_map, the elements in the order of the types, such as Li Ge P S"
        )
        raise ConfigError(msg)
    return list(type_map)


def _numbers(system: Path, type_map: Sequence[str] | None) -> NDArray[np.int64]:
    elements = _element_map(system, type_map)
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if unknown:
        msg = f"{system}: {', '.join(unknown)} in the type map is no chemical element"
        raise ConfigError(msg)
    words = (system / "type.raw").read_text().split()
    if not words or not all(word.isdecimal() for word in words):
        msg = f"{system / 'type.raw'}: must hold one type (0, 1, ...) for each atom"
        raise StoreError(msg)
    types = np.array(words, dtype=np.int64)
    if types.max() >= len(elements):
        msg = (
            f"{system / 'type.raw'}: types run from {types.min()} to {types.max()}, but the "
            f"type map has {len(elements)} elements ({', '.join(elements)})"
        )
        raise ConfigError(msg)
    return np.array([atomic_numbers[elements[i]] for i in types], dtype=np.int64)


def _load(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        return np.load(path).astype(np.float64).reshape(shape)
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as an array of shape {shape} (-1: any): {error}"
        raise StoreError(msg) from error


def _read_set(folder: Path, numbers: NDArray[np.int64], source: str) -> Labels:
    n_atoms = len(numbers)
    positions = _load(folder / "coord.npy", (-1, n_atoms, 3))
    n_frames = len(positions)
    virial = folder / "virial.npy"
    return Labels(
        Frames(numbers, positions, _load(folder / "box.npy", (n_frames, 3, 3))),
        _load(folder / "energy.npy", (n_frames,)),
        _load(folder / "force.npy", (n_frames, n_atoms, 3)),
        _load(virial, (n_frames, 3, 3))
        if virial.is_file()
        else np.full((n_frames, 3, 3), np.nan),
        source,
        UNKNOWN_FUNCTIONAL,
        is_surrogate=False,
    )


def _read_system(system: Path, type_map: Sequence[str] | None) -> Labels:
    sets = sorted(path for path in system.glob("set.*") if path.is_dir())
    if not sets:
        msg = f"{system}: there is type.raw but no set.* folder with coord.npy, box.npy, ..."
        raise StoreError(msg)
    odd = [name for name in ("nopbc", "set.*/real_atom_types.npy") if any(system.glob(name))]
    if odd:
        msg = (
            f"{system}: found {odd[0]}; open boundaries and mixed-type systems are not "
            "supported: write periodic systems with one type.raw each"
        )
        raise StoreError(msg)
    numbers = _numbers(system, type_map)
    return join_labels([_read_set(part, numbers, str(system)) for part in sets])


def read_deepmd_data(
    folder: Path, *, type_map: Sequence[str] | None = None
) -> list[NamedLabels]:
    """Read one DeePMD-kit npy system or every system below a folder.

    Parameters
    ----------
    folder
        A system (a folder with ``type.raw``) or a tree of systems.
    type_map
        Elements behind the types of systems without ``type_map.raw``.

    Returns
    -------
    list[tuple[str, Labels]]
        Path relative to ``folder`` and labels, sorted by path; the virial is NaN where a set
        has none.

    Raises
    ------
    StoreError
        When there is no system, or an array is missing or of another shape.
    ConfigError
        When the elements are unknown or do not cover the types.
    """
    systems = sorted(path.parent for path in Path(folder).rglob("type.raw"))
    if not systems:
        msg = f"{folder}: no DeePMD-kit system (a folder with type.raw and set.*) here or below"
        raise StoreError(msg)
    return [
        (
            system.relative_to(folder).as_posix() if system != folder else system.name,
            _read_system(system, type_map),
        )
        for system in systems
    ]


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
