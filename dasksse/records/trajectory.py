"""What every analysis reads: one MD run, a few atoms or frames at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ALL = slice(None)
_FRAMES_AT_ONCE = 256


class Trajectory(Protocol):
    """One MD run with the same atoms in every frame, read piece by piece.

    Attributes
    ----------
    name
        Where it comes from, for messages: a file, or store, group and run.
    numbers
        Atomic numbers, shape ``(atom,)``.
    n_frames
        Number of frames.
    frame_interval_ps
        Time between frames [ps].
    temperature_K
        Target temperature [K]; None where it is not known.
    is_npt
        True when the cell varies.
    n_equilibration
        Frames at the start that are equilibration by the plan of the run.
    """

    @property
    def name(self) -> str:
        """Where it comes from."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic numbers."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""

    @property
    def frame_interval_ps(self) -> float:
        """Time between frames [ps]."""

    @property
    def temperature_K(self) -> float | None:
        """Target temperature [K]."""

    @property
    def is_npt(self) -> bool:
        """True when the cell varies."""

    @property
    def n_equilibration(self) -> int:
        """Frames of equilibration."""

    def positions(
        self, atoms: slice | NDArray[np.int64] = ALL, frames: slice = ALL
    ) -> NDArray[np.floating]:
        """Unwrapped positions [Å], shape ``(frame, atom, xyz)``.

        With a variable cell they are lattice-consistent: unwrapped fractions times the cell of
        the same frame. The atoms of a slice of neighbours are read fastest.
        """

    def cells(self, frames: slice = ALL) -> NDArray[np.float64]:
        """Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``."""

    def centres(self, frames: slice = ALL) -> Mapping[int, NDArray[np.float64]]:
        """Mean position of the atoms of each element [Å], ``(frame, xyz)`` by atomic number."""

    def scalars(self, name: str) -> NDArray[np.float64] | None:
        """A number of each frame, such as ``deviation_max``, shape ``(frame,)``, or None."""


@dataclass(frozen=True)
class MemoryTrajectory:
    """A run whose positions are an array; see :class:`Trajectory` for the meaning of all.

    Attributes
    ----------
    all_positions
        Unwrapped positions [Å], shape ``(frame, atom, xyz)``.
    all_cells
        Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``, or ``(lattice, xyz)`` for a
        cell that never changes.
    """

    numbers: NDArray[np.int64]
    all_positions: NDArray[np.floating]
    all_cells: NDArray[np.floating]
    frame_interval_ps: float
    temperature_K: float | None = None
    n_equilibration: int = 0
    name: str = "trajectory"

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.all_positions)

    @property
    def is_npt(self) -> bool:
        """True when the cell varies by more than rounding."""
        return bool(self.all_cells.ndim > 2 and np.ptp(self.all_cells, axis=0).max() > 1e-6)  # noqa: PLR2004 - (frame, lattice, xyz), rounding in Å

    def positions(
        self, atoms: slice | NDArray[np.int64] = ALL, frames: slice = ALL
    ) -> NDArray[np.floating]:
        """Unwrapped positions [Å], shape ``(frame, atom, xyz)``."""
        return self.all_positions[frames][:, atoms]

    def cells(self, frames: slice = ALL) -> NDArray[np.float64]:
        """Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``."""
        cells = np.broadcast_to(self.all_cells, (self.n_frames, 3, 3))
        return np.asarray(cells[frames], dtype=np.float64)

    def centres(self, frames: slice = ALL) -> Mapping[int, NDArray[np.float64]]:
        """Mean position of the atoms of each element [Å], ``(frame, xyz)`` by atomic number."""
        chosen = self.all_positions[frames]
        elements, counts = np.unique(self.numbers, return_counts=True)
        weights = (elements[:, None] == self.numbers) / counts[:, None]
        centres = np.empty((len(chosen), len(elements), 3))
        for first in range(0, len(chosen), _FRAMES_AT_ONCE):
            piece = slice(first, first + _FRAMES_AT_ONCE)
            np.matmul(weights, chosen[piece].astype(np.float64, "C"), out=centres[piece])
        return {int(z): centres[:, index] for index, z in enumerate(elements)}

    def scalars(self, name: str) -> NDArray[np.float64] | None:  # noqa: ARG002 - none are known
        """Nothing: an array of positions carries no numbers of its frames."""
        return None
