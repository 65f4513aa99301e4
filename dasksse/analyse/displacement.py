"""From unwrapped trajectories to displacements free of box noise and drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONSTANT_CELL_A = 1e-8
"""Cells that differ by less than this [Å] count as one."""


def to_displacements(
    positions: NDArray[np.floating],
    cells: NDArray[np.floating],
    *,
    masses: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """Positions in one fixed frame, so that their differences are displacements.

    Parameters
    ----------
    positions
        Unwrapped positions [Å], shape ``(frame, atom, xyz)``. With a variable cell they must
        be lattice-consistent: unwrapped fractions times the cell of the same frame.
    cells
        Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``, or ``(lattice, xyz)`` for a
        cell that never changes.
    masses
        Masses [u], shape ``(atom,)``. When given, the centre of mass of all atoms is held
        where it was in the first frame.

    Returns
    -------
    NDArray[np.floating]
        Positions [Å], shape ``(frame, atom, xyz)``; the given array itself where there is
        nothing to change.

    Raises
    ------
    AnalysisError
        If shapes do not match, a value is not finite or a cell has no volume.

    Notes
    -----
    A constant cell leaves positions as they are. A variable cell maps them to fractions and
    back with the mean cell: fractions times the frame's own cell would add the breathing of
    the box, multiplied by the number of boxes an ion has crossed.
    """
    _check_positions(positions)
    boxes = np.broadcast_to(cells, (len(positions), 3, 3)) if np.ndim(cells) == 2 else cells  # noqa: PLR2004 - one cell for all frames
    if boxes.shape != (len(positions), 3, 3):
        msg = (
            f"cells have shape {np.shape(cells)}, positions need ({len(positions)}, 3, 3) "
            "or (3, 3)"
        )
        raise AnalysisError(msg)
    fixed = positions
    if np.ptp(boxes, axis=0).max() > CONSTANT_CELL_A:
        maps = maps_to_cell(np.asarray(boxes, dtype=np.float64), boxes.mean(axis=0))
        fixed = np.asarray(np.einsum("fax,fxy->fay", positions, maps))
    if masses is None:
        return fixed
    return remove_drift(fixed, weights=masses)


def remove_drift(
    positions: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Subtract the motion of the centre of some atoms from every atom.

    Parameters
    ----------
    positions
        Unwrapped positions [Å], shape ``(frame, atom, xyz)``.
    mask
        Atoms that define the centre, as a rule the framework, shape ``(atom,)``. None, or a
        mask without a single atom, takes all atoms.
    weights
        Weight of each atom, as a rule its mass [u], shape ``(atom,)``; equal when None.

    Returns
    -------
    NDArray[np.float64]
        Positions [Å], equal to the given ones in the first frame, shape
        ``(frame, atom, xyz)``.

    Raises
    ------
    AnalysisError
        If shapes do not match, a value is not finite or the weights sum to nothing.
    """
    drift = centre_drift(positions, mask=mask, weights=weights)
    return np.asarray(positions - drift[:, None, :], dtype=np.float64)


def centre_drift(
    positions: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Displacement of the centre of some atoms [Å] since the first frame.

    Parameters and errors are those of :func:`remove_drift`.

    Returns
    -------
    NDArray[np.float64]
        Displacement [Å], shape ``(frame, xyz)``.
    """
    _check_positions(positions)
    n_atoms = positions.shape[1]
    chosen = np.ones(n_atoms, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    weight = np.ones(n_atoms) if weights is None else np.asarray(weights, dtype=float)
    if chosen.shape != (n_atoms,) or weight.shape != (n_atoms,):
        msg = (
            f"mask {chosen.shape} and weights {weight.shape} must each have one value for "
            f"each of {n_atoms} atoms"
        )
        raise AnalysisError(msg)
    if chosen.any():
        weight = np.where(chosen, weight, 0.0)
    total = weight.sum()
    if not total > 0.0:
        msg = f"the weights of the drift atoms sum to {total}, need more than 0"
        raise AnalysisError(msg)
    centre = np.einsum("fax,a->fx", positions, weight / total, dtype=np.float64)
    return np.asarray(centre - centre[0])


def _check_positions(positions: NDArray[np.floating]) -> None:
    """Refuse arrays that are no trajectory."""
    if positions.ndim != 3 or positions.shape[-1] != 3 or 0 in positions.shape:  # noqa: PLR2004 - (frame, atom, xyz)
        msg = (
            f"positions have shape {positions.shape}, need (frame, atom, 3) with no empty axis"
        )
        raise AnalysisError(msg)
    finite = np.isfinite(positions).all(axis=(1, 2))
    if not finite.all():
        msg = (
            f"positions are not finite in {np.count_nonzero(~finite)} of {len(finite)} frames, "
            f"first in frame {int(np.argmin(finite))}: leave padding and blown-up frames out"
        )
        raise AnalysisError(msg)


def maps_to_cell(cells: NDArray[np.float64], fixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear map of each frame that takes positions to the same fractions of a fixed cell.

    Parameters
    ----------
    cells
        Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.
    fixed
        Cell to map to, as a rule the mean one [Å], shape ``(lattice, xyz)``.

    Returns
    -------
    NDArray[np.float64]
        Matrices that positions are multiplied by from the right, shape ``(frame, xyz, xyz)``.

    Raises
    ------
    AnalysisError
        If a cell has no volume.
    """
    volumes = np.abs(np.linalg.det(cells))
    if not np.all(volumes > 0.0):
        msg = f"the cell of frame {int(np.argmin(volumes > 0.0))} has no volume"
        raise AnalysisError(msg)
    return np.asarray(np.linalg.inv(cells) @ fixed)
