"""Cells of files: as rows of vectors, in one basis all along, and how narrow they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.geometry import cellpar_to_cell, minkowski_reduce

from dasksse.errors import ConfigError, TrajectoryError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

LENGTH_UNITS_A = {"angstrom": 1.0, "nm": 10.0, "bohr": 0.529177210903, "pm": 0.01}
"""Units of length in Å."""


def parse_cell(text: str) -> Array:
    """Cell vectors as rows from ``a,b,c``, ``a,b,c,alpha,beta,gamma`` or nine components.

    Raises
    ------
    ConfigError
        When there are not three, six or nine numbers, or the cell is flat.
    """
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
        cell = (
            np.reshape(values, (3, 3))
            if len(values) == 9  # noqa: PLR2004 - three vectors
            else np.asarray(cellpar_to_cell(values) if len(values) in {3, 6} else None)
        )
        is_good = bool(cell.shape == (3, 3) and abs(np.linalg.det(cell)) > 0.0)
    except (ValueError, AssertionError):
        is_good = False
    if not is_good:
        msg = (
            f"--cell {text!r}: give lengths a,b,c, or a,b,c,alpha,beta,gamma with angles in "
            "degrees, or the nine components of three vectors"
        )
        raise ConfigError(msg)
    return cell


def reduced_basis(cell: Array) -> Array:
    """Integers by which a cell is multiplied from the left to get its shortest vectors.

    The Minkowski-reduced cell is the widest of all cells of a lattice, so that nearest images
    found in it are right up to the longest steps.
    """
    _, integers = minkowski_reduce(cell)
    return np.asarray(integers, dtype=np.float64)


def narrowest_widths(cells: Array) -> Array:
    """Smallest distance of opposite faces of each cell, ``(frame,)`` of ``(frame, 3, 3)``."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cells), axis=1).max(axis=1))


def in_one_basis(cells: Array, before: Array | None, where: str) -> Array:
    """The same lattices, each in the basis next to that of the cell before.

    MD programs flip a cell that has become skewed: other vectors of the same lattice, which
    would look like a jump of all fractions.

    Parameters
    ----------
    cells
        Cell vectors as rows, shape ``(frame, lattice, xyz)``.
    before
        Cell of the frame before the first; None for the first itself.
    where
        File, for messages.

    Raises
    ------
    TrajectoryError
        When a lattice is another one, not only other vectors.
    """
    last = cells[0] if before is None else before
    changes = np.rint(np.concatenate([last[None], cells[:-1]]) @ np.linalg.inv(cells))
    flips = np.flatnonzero((changes != np.eye(3)).any(axis=(1, 2)))
    if not len(flips):
        return cells
    same = cells.copy()
    for frame in flips.tolist():
        if not np.isclose(abs(np.linalg.det(changes[frame])), 1.0):
            msg = f"{where}: the cell changes by more than half from one frame to the next"
            raise TrajectoryError(msg)
    total = np.eye(3)
    for frame in range(int(flips[0]), len(cells)):
        total = total @ changes[frame]
        same[frame] = total @ cells[frame]
    return same


def require_cells(
    cells: Array | None, given: Array | None, n_frames: int, *, path: Path, first_frame: int
) -> Array:
    """Cells of all frames, those of the file or the given one.

    Raises
    ------
    TrajectoryError
        When there is none, or one that is flat or not finite.
    """
    if cells is None:
        if given is None:
            msg = (
                f"{path}: no cell; give it, in the unit of length of the file, as --cell "
                "a,b,c[,alpha,beta,gamma] or as nine components"
            )
            raise TrajectoryError(msg)
        return np.broadcast_to(given, (n_frames, 3, 3))
    is_finite = np.isfinite(cells).all(axis=(1, 2), keepdims=True)
    volumes = np.abs(np.linalg.det(np.where(is_finite, cells, 0.0)))
    if not volumes.min() > 0.0:
        bad = int(np.argmin(volumes))
        msg = (
            f"{path}: frame {first_frame + bad}: the cell {cells[bad].tolist()} has no volume "
            "or is not finite; cells must be periodic in all three directions"
        )
        raise TrajectoryError(msg)
    return np.asarray(cells, dtype=np.float64)


def box_matrix(lengths: ArrayLike, tilts: ArrayLike) -> Array:
    """Cell vectors as rows of a box of LAMMPS with lengths x, y, z and tilts xy, xz, yz."""
    x, y, z = np.asarray(lengths)
    xy, xz, yz = np.asarray(tilts)
    return np.array([[x, 0.0, 0.0], [xy, y, 0.0], [xz, yz, z]])
