"""Labels from extended XYZ files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.records import Frames, Labels
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from numpy.typing import NDArray

UNKNOWN_FUNCTIONAL = "unknown"
"""What labels read from a file say about their functional."""


def join_labels(parts: Sequence[Labels]) -> Labels:
    """One record from parts with the same atoms; the first one gives the source.

    Parameters
    ----------
    parts
        At least one; all with the same ``numbers``.
    """
    first = parts[0]
    return Labels(
        Frames(
            first.frames.numbers,
            np.concatenate([part.frames.positions for part in parts]),
            np.concatenate([part.frames.cells for part in parts]),
        ),
        np.concatenate([part.energies for part in parts]),
        np.concatenate([part.forces for part in parts]),
        np.concatenate([part.virials for part in parts]),
        first.source,
        first.functional,
        first.is_surrogate,
    )


def _frame_virial(atoms: Atoms, results: dict[str, Any]) -> NDArray[np.float64]:
    for key in ("virial", "virials"):
        if key in atoms.info:
            return np.asarray(atoms.info[key], dtype=np.float64).reshape(3, 3)
    if "stress" in results:
        return virial_from_stress(results["stress"], atoms.get_volume())
    return np.full((3, 3), np.nan)


def _frame_labels(atoms: Atoms, where: str) -> Labels:
    results = {} if atoms.calc is None else atoms.calc.results
    missing = [key for key in ("energy", "forces") if key not in results]
    if missing:
        msg = f"{where}: no {' and no '.join(missing)}; evaluation needs both for every frame"
        raise StoreError(msg)
    if not atoms.pbc.all():
        msg = f"{where}: not periodic in all directions; give a Lattice and pbc='T T T'"
        raise StoreError(msg)
    return Labels(
        Frames(
            atoms.numbers.astype(np.int64),
            atoms.positions[np.newaxis],
            np.asarray(atoms.cell)[np.newaxis],
        ),
        np.array([results["energy"]], dtype=np.float64),
        np.asarray(results["forces"], dtype=np.float64)[np.newaxis],
        _frame_virial(atoms, results)[np.newaxis],
        where.split(":", maxsplit=1)[0],
        UNKNOWN_FUNCTIONAL,
        is_surrogate=False,
    )


def read_extxyz(path: Path) -> list[tuple[str, Labels]]:
    """Read an extended XYZ file with energy, forces and, if there, stress or virial.

    Parameters
    ----------
    path
        File of periodic frames. ``stress`` is taken with ASE's sign [eV/Å³]; ``virial`` or
        ``virials`` [eV] as ``-dE/d(strain)``.

    Returns
    -------
    list[tuple[str, Labels]]
        One entry for each list of atoms, in order of appearance.

    Raises
    ------
    StoreError
        When the file cannot be read, or a frame has no energy, forces or cell.
    """
    from ase.io import read

    try:
        images = read(path, index=":", format="extxyz")
    except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
        msg = f"{path}: cannot be read as extended XYZ: {error}"
        raise StoreError(msg) from error
    groups: dict[bytes, list[Labels]] = {}
    for number, atoms in enumerate(images):
        one = _frame_labels(atoms, f"{path}: frame {number}")
        groups.setdefault(one.frames.numbers.tobytes(), []).append(one)
    stem = Path(path).stem
    return [
        (stem if len(groups) == 1 else f"{stem}-{i}", join_labels(parts))
        for i, parts in enumerate(groups.values())
    ]
