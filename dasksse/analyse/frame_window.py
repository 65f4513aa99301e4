"""Part of a run as a run of its own, so that every analysis can look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.records.trajectory import ALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.records import Trajectory


@dataclass(frozen=True)
class FrameWindow:
    """Frames ``start .. stop - 1`` of a run; :class:`~dasksse.records.Trajectory` has the rest.

    No frame of it counts as equilibration.

    Attributes
    ----------
    run
        The whole run.
    start, stop
        First frame, and the one after the last.
    """

    run: Trajectory
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Where it comes from."""
        return f"{self.run.name} frames {self.start} to {self.stop - 1}"

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, shape ``(atom,)``."""
        return self.run.numbers

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.stop - self.start

    @property
    def frame_interval_ps(self) -> float:
        """Time between frames [ps]."""
        return self.run.frame_interval_ps

    @property
    def temperature_K(self) -> float | None:
        """Target temperature [K]."""
        return self.run.temperature_K

    @property
    def is_npt(self) -> bool:
        """True when the cell of the whole run varies."""
        return self.run.is_npt

    @property
    def n_equilibration(self) -> int:
        """Frames of equilibration: none."""
        return 0

    def positions(
        self, atoms: slice | NDArray[np.int64] = ALL, frames: slice = ALL
    ) -> NDArray[np.floating]:
        """Unwrapped positions [Å], shape ``(frame, atom, xyz)``."""
        return self.run.positions(atoms, self._frames(frames))

    def cells(self, frames: slice = ALL) -> NDArray[np.float64]:
        """Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``."""
        return self.run.cells(self._frames(frames))

    def centres(self, frames: slice = ALL) -> Mapping[int, NDArray[np.float64]]:
        """Mean position of the atoms of each element [Å], ``(frame, xyz)`` by atomic number."""
        return self.run.centres(self._frames(frames))

    def scalars(self, name: str) -> NDArray[np.float64] | None:
        """A number of each frame, shape ``(frame,)``, or None."""
        values = self.run.scalars(name)
        return None if values is None else values[self.start : self.stop]

    def _frames(self, frames: slice) -> slice:
        """The same frames counted from the start of the whole run; steps are positive."""
        first, last, step = frames.indices(self.n_frames)
        return slice(self.start + first, self.start + last, step)
