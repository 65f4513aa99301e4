"""Histograms of distances in periodic cells of any shape, fast enough for every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TURN = 2.0**32
_PAIRS_AT_ONCE = 1 << 15
"""Pairs of one pass: their distances stay in the cache of a core."""


def largest_radius(cells: NDArray[np.float64]) -> float:
    """Half the smallest distance between opposite faces of any of the cells [Å].

    Parameters
    ----------
    cells
        Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.

    Raises
    ------
    AnalysisError
        If a cell has no volume.
    """
    volumes = np.abs(np.linalg.det(cells))
    if not np.all(volumes > 0.0):
        msg = f"the cell of frame {int(np.argmin(volumes > 0.0))} has no volume"
        raise AnalysisError(msg)
    return float(0.5 / np.linalg.norm(np.linalg.inv(cells), axis=1).max())


def turns(fractions: NDArray[np.floating]) -> NDArray[np.int32]:
    """Fractional coordinates as integers that overflow where a cell ends.

    The difference of two of them, overflow and all, is the one of the nearest image.
    """
    parts = (fractions - np.floor(fractions)) * _TURN
    return parts.astype(np.int64).astype(np.int32)


def count_distances(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    cell: NDArray[np.float64],
    *,
    r_max_A: float,
    n_bins: int,
    same: bool = False,
) -> NDArray[np.int64]:
    """Histogram of the distances from each atom of one set to each of another.

    Parameters
    ----------
    first, second
        Coordinates from :func:`turns`, shape ``(xyz, atom)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    r_max_A
        Longest distance [Å]: at most :func:`largest_radius`, as each atom is seen once.
    n_bins
        Number of bins, all of the same width, from 0 to `r_max_A`.
    same
        Both sets are the same atoms in the same order; no atom is its own neighbour.

    Returns
    -------
    NDArray[np.int64]
        Pairs in each bin, shape ``(bin,)``; of the same set, each pair counts twice.

    Notes
    -----
    Rounding fractions to the nearest image is exact up to the largest radius: every fraction
    of a vector that short is below one half. Vectors are held in 32 bits, good to 1e-6 Å.
    """
    counts = np.zeros(n_bins + 1, dtype=np.int64)
    # Lower triangular: equal to the cell up to a rotation, with fewer products.
    edges = (np.linalg.cholesky(cell @ cell.T) / _TURN).astype(np.float32)
    limit, per_A = np.float32(r_max_A**2), np.float32(n_bins / r_max_A)
    step = max(1, _PAIRS_AT_ONCE // second.shape[1])
    for start in range(0, first.shape[1], step):
        rows = first[:, start : start + step, None]
        x, y, z = ((second[axis] - rows[axis]).astype(np.float32) for axis in range(3))
        x *= edges[0, 0]
        x += y * edges[1, 0]
        x += z * edges[2, 0]
        y *= edges[1, 1]
        y += z * edges[2, 1]
        z *= edges[2, 2]
        squared = x * x
        squared += y * y
        squared += z * z
        if same:
            np.fill_diagonal(squared[:, start:], np.inf)
        near = np.sqrt(squared[squared < limit])
        near *= per_A
        counts += np.bincount(near.astype(np.int64), minlength=n_bins + 1)
    return counts[:n_bins]  # what rounding has put beyond the last bin is dropped


def shell_volumes(edges_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Volume between spheres of growing radii [Å³], shape ``(bin,)``."""
    return np.asarray(4.0 / 3.0 * np.pi * np.diff(edges_A**3))
