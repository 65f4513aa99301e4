"""Labels from extended XYZ files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.label.importing.labelled_frames import LabelledFrame, Reading, group_frames
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.records import Labels

_PREFIXES = ("", "REF_", "ref_", "dft_", "DFT_")
"""Fitting codes rename labels, so that ASE does not take them for those of a calculator."""
_NAMES = {
    # the energy that forces derive from comes first
    "energy": ("free_energy", "energy"),
    "forces": ("forces", "force"),
    "virial": ("virial", "virials"),
    "stress": ("stress",),
}


def find_label(atoms: Atoms, quantity: str) -> Any:  # noqa: ANN401 - number or array
    """What a frame says of a quantity under any of its usual names; None when nothing.

    Parameters
    ----------
    atoms
        Frame as ASE read it.
    quantity
        ``energy``, ``forces``, ``virial`` or ``stress``.
    """
    results = {} if atoms.calc is None else atoms.calc.results
    for prefix in _PREFIXES:
        for name in _NAMES[quantity]:
            for place in (results, atoms.info, atoms.arrays):
                if place.get(prefix + name) is not None:
                    return place[prefix + name]
    return None


def frame_of(atoms: Atoms, where: str) -> LabelledFrame:
    """Labelled frame of what ASE read.

    Parameters
    ----------
    atoms
        Frame with labels under their usual names. ``stress`` has ASE's sign [eV/Å³];
        ``virial`` is ``-dE/d(strain)`` [eV] and goes before it.
    where
        File and number of the frame, for messages.

    Raises
    ------
    StoreError
        When there is no energy, no forces or no periodic cell.
    """
    energy, forces = find_label(atoms, "energy"), find_label(atoms, "forces")
    missing = [
        name for name, found in (("energy", energy), ("forces", forces)) if found is None
    ]
    if missing:
        msg = f"{where}: no {' and no '.join(missing)}; both are needed for every frame"
        raise StoreError(msg)
    if not atoms.pbc.all():
        msg = f"{where}: not periodic in all directions; give a Lattice and pbc='T T T'"
        raise StoreError(msg)
    return LabelledFrame(
        atoms.numbers,
        atoms.positions,
        np.asarray(atoms.cell),
        float(energy),
        np.asarray(forces, dtype=np.float64),
        _virial(atoms),
    )


def _virial(atoms: Atoms) -> NDArray[np.float64] | None:
    virial, stress = find_label(atoms, "virial"), find_label(atoms, "stress")
    if virial is not None:
        return np.asarray(virial, dtype=np.float64).reshape(3, 3)
    if stress is None:
        return None
    stress = np.asarray(stress, dtype=np.float64)
    shape = (6,) if stress.size == 6 else (3, 3)  # noqa: PLR2004 - Voigt or whole
    return virial_from_stress(stress.reshape(shape), atoms.get_volume())


def usable_frames(images: Iterable[tuple[str, Atoms]]) -> tuple[list[LabelledFrame], list[str]]:
    """Labelled frames, and notes on images that are none, such as single atoms in vacuum.

    Parameters
    ----------
    images
        Where each one is, and what ASE read.
    """
    frames, left_out = [], []
    for where, atoms in images:
        try:
            frames.append(frame_of(atoms, where))
        except StoreError as error:
            left_out.append(str(error))
    notes = [f"{len(left_out)} left out, the first: {left_out[0]}"] if left_out else []
    return frames, notes


def _images(path: Path) -> list[tuple[str, Atoms]]:
    from ase.io import read

    try:
        images = read(path, index=":", format="extxyz")
    except (OSError, ValueError, KeyError, IndexError, StopIteration, RuntimeError) as error:
        msg = f"{path}: cannot be read as extended XYZ: {error}"
        raise StoreError(msg) from error
    return [(f"{path}: frame {number}", atoms) for number, atoms in enumerate(images)]


def read_extxyz_file(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of every frame that has some; the file does not say where they come from.

    Parameters
    ----------
    path
        File of periodic frames.
    type_map
        Not used: the file names its elements.

    Raises
    ------
    StoreError
        When the file cannot be read.
    """
    del type_map
    frames, notes = usable_frames(_images(path))
    return Reading(group_frames(frames, source=""), tuple(notes))


def read_extxyz(path: Path) -> list[tuple[str, Labels]]:
    """Read an extended XYZ file with energy, forces and, if there, stress or virial.

    Parameters
    ----------
    path
        File of periodic frames. ``stress`` is taken with ASE's sign [eV/Å³]; ``virial`` or
        ``virials`` [eV] as ``-dE/d(strain)``. Where there is a ``free_energy``, that is the
        energy: the forces are its derivative.

    Returns
    -------
    list[tuple[str, Labels]]
        One entry for each list of atoms, in order of appearance.

    Raises
    ------
    StoreError
        When the file cannot be read, or a frame has no energy, forces or cell.
    """
    frames = [frame_of(atoms, where) for where, atoms in _images(path)]
    groups = group_frames(frames, source=str(path))
    stem = Path(path).stem
    return [
        (stem if len(groups) == 1 else f"{stem}-{i}", labels) for i, labels in enumerate(groups)
    ]
