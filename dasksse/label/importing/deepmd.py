"""Labels from DeePMD-kit's data: systems of npy sets, of raw text, and of mixed types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from dasksse.errors import ConfigError, StoreError
from dasksse.label.importing.labelled_frames import (
    UNKNOWN_FUNCTIONAL,
    Reading,
    join_labels,
)
from dasksse.records import Frames, Labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_TYPES = "real_atom_types.npy"


def _element_map(system: Path, type_map: Sequence[str] | None) -> list[str]:
    own = system / "type_map.raw"
    if own.is_file():
        return own.read_text().split()
    if type_map is None:
        msg = (
            f"{system}: there is no type_map.raw, so the elements behind type.raw are unknown; "
            "give type_map (--type-map), the elements in the order of the types, such as "
            "Li,Ge,P,S"
        )
        raise ConfigError(msg)
    return list(type_map)


def _elements(system: Path, type_map: Sequence[str] | None) -> NDArray[np.int64]:
    """Atomic number of each type."""
    elements = _element_map(system, type_map)
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if unknown:
        msg = f"{system}: {', '.join(unknown)} in the type map is no chemical element"
        raise ConfigError(msg)
    return np.array([atomic_numbers[symbol] for symbol in elements], dtype=np.int64)


def _require_known(types: NDArray[np.int64], elements: NDArray[np.int64], path: Path) -> None:
    if types.max() >= len(elements):
        msg = (
            f"{path}: types run from {types.min()} to {types.max()}, but the type map has "
            f"{len(elements)} elements ({', '.join(chemical_symbols[z] for z in elements)})"
        )
        raise ConfigError(msg)


def _types(path: Path) -> NDArray[np.int64]:
    words = path.read_text().split()
    if not words or not all(word.isdecimal() for word in words):
        msg = f"{path}: must hold one type (0, 1, ...) for each atom"
        raise StoreError(msg)
    return np.array(words, dtype=np.int64)


def _array(path: Path, shape: tuple[int, ...]) -> Array:
    try:
        values = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, ndmin=2)
        return np.asarray(values, dtype=np.float64).reshape(shape)
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as an array of shape {shape} (-1: any): {error}"
        raise StoreError(msg) from error


def _labels(folder: Path, suffix: str, numbers: NDArray[np.int64], source: str) -> Labels:
    """Labels of a set of arrays that lie in one folder."""
    n_atoms = len(numbers)
    positions = _array(folder / f"coord.{suffix}", (-1, n_atoms, 3))
    n_frames = len(positions)
    virial = folder / f"virial.{suffix}"
    return Labels(
        Frames(numbers, positions, _array(folder / f"box.{suffix}", (n_frames, 3, 3))),
        _array(folder / f"energy.{suffix}", (n_frames,)),
        _array(folder / f"force.{suffix}", (n_frames, n_atoms, 3)),
        _array(virial, (n_frames, 3, 3))
        if virial.is_file()
        else np.full((n_frames, 3, 3), np.nan),
        source,
        UNKNOWN_FUNCTIONAL,
        is_surrogate=False,
    )


def _by_composition(
    folder: Path, numbers: NDArray[np.int64], elements: NDArray[np.int64], source: str
) -> Iterator[Labels]:
    """Labels of a set of mixed types: every frame has its own list of atoms.

    Types below 0 are the atoms that DeePMD-kit pads short frames with.
    """
    whole = _labels(folder, "npy", numbers, source)
    path = folder / _TYPES
    types = _array(path, (len(whole), len(numbers))).astype(np.int64)
    _require_known(types, elements, path)
    kinds = np.where(types < 0, 0, elements[types])
    for kind in np.unique(kinds, axis=0):
        chosen = np.flatnonzero((kinds == kind).all(axis=1))
        atoms = np.flatnonzero(kind)
        part = whole.take(chosen)
        frames = Frames(kind[atoms], part.frames.positions[:, atoms], part.frames.cells)
        yield Labels(
            frames,
            part.energies,
            part.forces[:, atoms],
            part.virials,
            source,
            UNKNOWN_FUNCTIONAL,
            is_surrogate=False,
        )


def _read_system(
    system: Path, type_map: Sequence[str] | None, source: str
) -> tuple[Labels, ...]:
    """Labels of one system, one entry for each list of atoms."""
    if (system / "nopbc").exists():
        msg = f"{system}: found nopbc; open boundaries are not supported"
        raise StoreError(msg)
    sets = sorted(path for path in system.glob("set.*") if path.is_dir())
    if not sets and not (system / "coord.raw").is_file():
        msg = (
            f"{system}: there is type.raw but no set.* folder with coord.npy, box.npy, ... and "
            "no coord.raw"
        )
        raise StoreError(msg)
    elements = _elements(system, type_map)
    types = _types(system / "type.raw")
    mixed = [part for part in sets if (part / _TYPES).is_file()]
    if mixed:
        placeholder = np.ones(len(types), dtype=np.int64)
        groups: dict[bytes, list[Labels]] = {}
        for folder in mixed:
            for part in _by_composition(folder, placeholder, elements, source):
                groups.setdefault(part.frames.numbers.tobytes(), []).append(part)
        return tuple(join_labels(parts) for parts in groups.values())
    _require_known(types, elements, system / "type.raw")
    numbers = elements[types]
    if not sets:
        return (_labels(system, "raw", numbers, source),)
    return (join_labels([_labels(part, "npy", numbers, source) for part in sets]),)


def read_deepmd_system(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of one system; it does not say where they come from.

    Parameters
    ----------
    path
        Folder with ``type.raw`` and ``set.*`` (npy, mixed types too) or ``coord.raw`` ...
    type_map
        Elements behind the types where there is no ``type_map.raw``.

    Raises
    ------
    StoreError
        When an array is missing or of another shape.
    ConfigError
        When the elements are unknown or do not cover the types.
    """
    return Reading(_read_system(path, type_map, ""))


def read_deepmd_data(
    folder: Path, *, type_map: Sequence[str] | None = None
) -> list[tuple[str, Labels]]:
    """Read one DeePMD-kit system or every system below a folder.

    Parameters
    ----------
    folder
        A system (a folder with ``type.raw``) or a tree of systems.
    type_map
        Elements behind the types of systems without ``type_map.raw``.

    Returns
    -------
    list[tuple[str, Labels]]
        Path relative to ``folder`` and labels, sorted by path; several entries for a system of
        mixed types. The virial is NaN where a set has none.

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
        (system.relative_to(folder).as_posix() if system != folder else system.name, labels)
        for system in systems
        for labels in _read_system(system, type_map, str(system))
    ]
