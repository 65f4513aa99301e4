"""Continuous paths from frames as they come: image counts from nearest images, with limits.

Wrapped positions have lost how often an atom crossed the cell. The count is found again where
no atom moves far between two frames: each step is the shortest of its periodic images. A wrong
image cannot be seen afterwards, so steps that come near the limit are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.lattice import narrowest_widths, reduced_basis
from dasksse.intake.steps import MAX_STEP, StepLengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

OUTSIDE = 0.05
"""Fractions may be so far outside of 0 to 1 and still be wrapped ones: MD programs wrap only
now and then."""
SAME_PLACE_A = 2e-3
"""When no atom moved by more, two frames are one, written twice."""


class Unwrapper:
    """Image counts of the atoms of one run.

    Parameters
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.

    Attributes
    ----------
    steps
        Lengths of the steps.
    n_crossings
        Borders that atoms crossed in wrapped positions.
    leaves_cell
        Whether an atom was outside of the cell.

    Notes
    -----
    Steps are differences of fractions times the cell of the later frame; fractions are rounded
    in the Minkowski-reduced basis. Any step shorter than half the smallest width of that basis
    is thereby the true nearest image, however skewed the cell.

    Positions come back as ``position + count @ cell``: lattice-consistent, as
    :class:`~dasksse.records.trajectory.Trajectory` asks. With a variable cell the analysis
    multiplies unwrapped fractions by the mean cell, so that the steps found here are summed
    free of box noise (von Bülow et al., doi:10.1063/5.0008316).
    """

    def __init__(self, numbers: NDArray[np.int64]) -> None:
        self._basis: Array | None = None
        self._last: Array | None = None
        self._counts = np.zeros((len(numbers), 3))
        self.steps = StepLengths(numbers)
        self.n_crossings = 0
        self.leaves_cell = False

    def is_repeat(self, positions: Array, cell: Array) -> bool:
        """Whether a frame is the last one again, up to lattice vectors."""
        if self._last is None or self._basis is None:
            return False
        basis = self._basis @ cell
        step = positions @ np.linalg.inv(basis) - self._last
        return bool(np.abs((step - np.rint(step)) @ basis).max() < SAME_PLACE_A)

    def unwrap(
        self,
        positions: Array,
        cells: Array,
        *,
        trusted: bool,
        is_seam: bool,
        first_frame: int,
        where: str,
    ) -> Array:
        """Positions [Å] on continuous paths, ``(frame, atom, xyz)``.

        Parameters
        ----------
        positions
            Positions [Å], shape ``(frame, atom, xyz)``.
        cells
            Cell vectors as rows [Å], in one basis all along, shape ``(frame, lattice, xyz)``.
        trusted
            Whether the file says that positions are unwrapped.
        is_seam
            Whether the first frame is that of another file, which may count images anew.
        first_frame
            Number of the first frame in its file, for messages.
        where
            The file, for messages.

        Raises
        ------
        TrajectoryError
            When positions are said to be unwrapped, and are not.
        """
        self._basis = reduced_basis(cells[0]) if self._basis is None else self._basis
        basis = self._basis @ cells
        fractions = positions @ np.linalg.inv(basis)
        is_first = self._last is None
        before = fractions[0] if self._last is None else self._last
        steps = np.diff(fractions, axis=0, prepend=before[None])
        self._last = fractions[-1].copy()
        shifts = -np.rint(steps)
        moves = (steps + shifts) @ basis
        lengths = np.sqrt(np.einsum("fax,fax->fa", moves, moves))
        widths = narrowest_widths(basis)
        if len(positions) > is_first:
            self.steps.add(lengths[is_first:], widths[is_first:], first_frame + is_first)
        ends = positions[[0, -1]] @ np.linalg.inv(cells[[0, -1]])
        self.leaves_cell |= bool((np.abs(ends - 0.5) > 0.5 + OUTSIDE).any())
        if trusted:
            is_sure = lengths <= MAX_STEP * widths[:, None]
            jumps = shifts.any(axis=2) & is_sure
            jumps[:is_seam] = False
            if jumps.any() and not self.steps.doubt():
                frame, atom = (int(index) for index in np.argwhere(jumps)[0])
                jump_A = float(np.linalg.norm(steps[frame, atom] @ basis[frame]))
                msg = (
                    f"{where}: into frame {first_frame + frame} atom {atom + 1} jumps by "
                    f"{jump_A:.2f} Å, by a vector of the lattice and "
                    f"{lengths[frame, atom]:.2f} Å, while all other steps are short: these "
                    "positions are wrapped, or their image counts began anew; import them with "
                    "--wrapped"
                )
                raise TrajectoryError(msg)
            shifts[is_seam:] = 0.0
            shifts[0][~is_sure[0]] = 0.0
        else:
            self.n_crossings += int(np.count_nonzero(shifts))
        counts = self._counts + np.cumsum(shifts, axis=0)
        self._counts = counts[-1].copy()
        return positions + counts @ basis if counts.any() else positions
