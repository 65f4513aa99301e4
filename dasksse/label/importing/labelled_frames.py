"""Labelled frames as files give them, and labels of one system made from many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from dasksse.errors import StoreError
from dasksse.records import Frames, Labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

UNKNOWN_FUNCTIONAL = "unknown"
"""Functional of labels whose file does not name it."""


@dataclass(frozen=True)
class LabelledFrame:
    """One frame of a file.

    Attributes
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    positions
        Cartesian positions [Å], shape ``(atom, xyz)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    energy
        Energy whose derivative the forces are [eV].
    forces
        Forces [eV/Å], shape ``(atom, xyz)``.
    virial
        ``-dE/d(strain)`` [eV], shape ``(lattice, xyz)``; None where there is none.
    reason
        Why the label must not be used; empty for a good one.
    """

    numbers: Sequence[int] | NDArray[np.int64]
    positions: ArrayLike
    cell: ArrayLike
    energy: float
    forces: ArrayLike
    virial: ArrayLike | None = None
    reason: str = ""


@dataclass(frozen=True)
class Reading:
    """What a file or folder holds.

    Attributes
    ----------
    labels
        One entry for each list of atoms; frames that must not be used are masked, with reason.
    notes
        What is missing from it, such as the end of a file that was cut off.
    """

    labels: tuple[Labels, ...]
    notes: tuple[str, ...] = ()


def group_frames(
    frames: Iterable[LabelledFrame],
    *,
    source: str,
    functional: str = UNKNOWN_FUNCTIONAL,
    is_surrogate: bool = False,
) -> tuple[Labels, ...]:
    """Labels for each list of atoms, in order of appearance.

    Parameters
    ----------
    frames
        Frames of any atoms.
    source, functional, is_surrogate
        Where all of them come from.
    """
    groups: dict[bytes, list[LabelledFrame]] = {}
    for frame in frames:
        numbers = np.asarray(frame.numbers, dtype=np.int64)
        groups.setdefault(numbers.tobytes(), []).append(frame)
    return tuple(
        Labels(
            Frames(
                np.asarray(group[0].numbers, dtype=np.int64),
                np.array([f.positions for f in group], dtype=np.float64),
                np.array([f.cell for f in group], dtype=np.float64),
            ),
            np.array([np.nan if f.reason else f.energy for f in group], dtype=np.float64),
            np.array([_masked(f.forces, f.reason) for f in group]),
            np.array([_virial(f.virial, f.reason) for f in group]),
            source,
            functional,
            is_surrogate,
            tuple(f.reason for f in group),
        )
        for group in groups.values()
    )


def _masked(values: ArrayLike, reason: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return np.full_like(array, np.nan) if reason else array


def _virial(values: ArrayLike | None, reason: str) -> Array:
    return np.full((3, 3), np.nan) if values is None else _masked(values, reason)


def join_labels(parts: Sequence[Labels]) -> Labels:
    """One record from parts with the same atoms; the first one gives the source.

    Parameters
    ----------
    parts
        At least one; all with the same ``numbers``.
    """
    first = parts[0]
    reasons = [part.reasons or ("",) * len(part) for part in parts]
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
        tuple(reason for part in reasons for reason in part) if any(map(any, reasons)) else (),
        np.concatenate([part.seconds for part in parts]),
        np.concatenate([part.memory_bytes for part in parts]),
    )


def element_numbers(symbols: Iterable[str], where: Path) -> list[int]:
    """Atomic numbers of element symbols that stand in a file.

    Raises
    ------
    StoreError
        When one is no element.
    """
    symbols = list(symbols)
    unknown = sorted(set(symbols) - set(atomic_numbers))
    if unknown:
        msg = f"{where}: {', '.join(map(repr, unknown))} is no chemical element"
        raise StoreError(msg)
    return [atomic_numbers[symbol] for symbol in symbols]
