"""Atomic configurations, their labels, and the digests that name work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Json = Any
"""A value that :func:`json.dumps` takes."""

KEY_LENGTH = 16


def _plain(value: Json) -> Json:
    """Turn records, arrays and paths into JSON values with one spelling each."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": digest}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    msg = f"cannot make a content key from {type(value).__name__}"
    raise TypeError(msg)


def content_key(*parts: Json) -> str:
    """Name a unit of work by the digest of everything that determines its result.

    Parameters
    ----------
    *parts
        JSON values, records, config sections, paths or arrays. Order matters.

    Returns
    -------
    str
        Sixteen hexadecimal digits of a SHA-256.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def file_digest(path: Path) -> str:
    """Sixteen hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:KEY_LENGTH]


@dataclass(frozen=True)
class Frames:
    """Configurations of one system: same atoms in the same order in every frame.

    Attributes
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    positions
        Cartesian positions [Å], wrapped or not, shape ``(frame, atom, xyz)``.
    cells
        Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        """Number of atoms in each frame."""
        return int(self.numbers.shape[0])

    @property
    def volumes_A3(self) -> NDArray[np.float64]:
        """Cell volume [Å³] of each frame, shape ``(frame,)``."""
        return np.asarray(np.abs(np.linalg.det(self.cells)))

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> Frames:
        """Frames at the given indices, in that order."""
        chosen = np.asarray(index, dtype=int)
        return Frames(self.numbers, self.positions[chosen], self.cells[chosen])

    def content_keys(self) -> list[str]:
        """Content key of each frame: equal configurations share it."""
        rounded = np.round(self.positions, 6) + 0.0
        cells = np.round(self.cells, 6) + 0.0
        return [content_key(self.numbers, rounded[i], cells[i]) for i in range(len(self))]

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        np.savez(path, numbers=self.numbers, positions=self.positions, cells=self.cells)

    @classmethod
    def load(cls, path: Path) -> Frames:
        """Read what :meth:`save` wrote."""
        with np.load(path) as data:
            return cls(data["numbers"], data["positions"], data["cells"])


@dataclass(frozen=True)
class Labels:
    """Energies, forces and virials of frames, and where they come from.

    Attributes
    ----------
    frames
        The labelled configurations.
    energies
        Potential energy [eV], shape ``(frame,)``; NaN where labelling failed.
    forces
        Forces [eV/Å], shape ``(frame, atom, xyz)``; NaN where labelling failed.
    virials
        Virial ``W = -dE/d(strain)`` [eV], shape ``(frame, lattice, xyz)``; NaN where the
        source gives none (masked in training).
    source
        Name of the calculator, model and version included.
    functional
        Exchange-correlation functional the source computes or was trained on.
    is_surrogate
        True when the source is a model of DFT and not DFT itself.
    reasons
        One text per frame: empty for a good label, else why there is none.
    seconds
        Time that each label took [s], shape ``(frame,)``; NaN where it is not known.
    memory_bytes
        Largest memory of the program that computed each label, shape ``(frame,)``; NaN where
        it is not known.
    """

    frames: Frames
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    source: str
    functional: str
    is_surrogate: bool
    reasons: tuple[str, ...] = field(default=())
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    memory_bytes: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        """Fill in what is not known."""
        for name in ("seconds", "memory_bytes"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self.frames), np.nan))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def is_good(self) -> NDArray[np.bool_]:
        """Frames that carry energy and forces, shape ``(frame,)``."""
        return np.isfinite(self.energies) & np.isfinite(self.forces).all(axis=(1, 2))

    @property
    def has_virial(self) -> NDArray[np.bool_]:
        """Frames that carry a virial, shape ``(frame,)``."""
        return np.asarray(np.isfinite(self.virials).all(axis=(1, 2)))

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> Labels:
        """Labels at the given indices, in that order."""
        chosen = np.asarray(index, dtype=int)
        reasons = tuple(self.reasons[i] for i in chosen) if self.reasons else ()
        return Labels(
            self.frames.take(chosen),
            self.energies[chosen],
            self.forces[chosen],
            self.virials[chosen],
            self.source,
            self.functional,
            self.is_surrogate,
            reasons,
            self.seconds[chosen],
            self.memory_bytes[chosen],
        )

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        np.savez(
            path,
            numbers=self.frames.numbers,
            positions=self.frames.positions,
            cells=self.frames.cells,
            energies=self.energies,
            forces=self.forces,
            virials=self.virials,
            seconds=self.seconds,
            memory_bytes=self.memory_bytes,
            provenance=np.array(
                json.dumps(
                    [self.source, self.functional, self.is_surrogate, list(self.reasons)]
                )
            ),
        )

    @classmethod
    def load(cls, path: Path) -> Labels:
        """Read what :meth:`save` wrote."""
        with np.load(path) as data:
            source, functional, is_surrogate, reasons = json.loads(str(data["provenance"]))
            return cls(
                Frames(data["numbers"], data["positions"], data["cells"]),
                data["energies"],
                data["forces"],
                data["virials"],
                source,
                functional,
                is_surrogate,
                tuple(reasons),
                *(data[name] for name in ("seconds", "memory_bytes") if name in data),
            )
