"""A cheap fingerprint of local environments, to tell how unlike two frames are.

It serves diversity alone: what the potential sees is DeePMD-kit's own descriptor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.records import Frames

CUTOFF_A = 6.0
N_SHELLS = 8
_FIRST_SHELL_A = 1.5
_LAST_SHELL_A = 5.5
_SHELLS_A = np.linspace(_FIRST_SHELL_A, _LAST_SHELL_A, N_SHELLS)
_WIDTH_A = float(_SHELLS_A[1] - _SHELLS_A[0])
_SELF_DISTANCE_A = 1e-8
"""The neighbour list holds each atom itself, at this distance or less."""
_COLLAPSED_HEIGHT_A = 0.5
"""A thinner cell is no crystal any more, and its neighbour list would be endless."""


def descriptor(frames: Frames) -> NDArray[np.float64]:
    """Radial fingerprint of each frame: equal environments give equal rows.

    Parameters
    ----------
    frames
        Configurations; positions wrapped or not.

    Returns
    -------
    NDArray[np.float64]
        Weighted neighbour counts, shape ``(frame, feature)`` with
        ``feature = 2 * n_species**2 * N_SHELLS``: for each pair of centre and neighbour
        species (ordered by atomic number) and each shell, the mean and the standard deviation
        over the centre atoms. NaN for a frame whose coordinates are not finite or whose cell
        has collapsed.

    Notes
    -----
    An atom's entry for neighbour species ``s`` and shell ``k`` is
    ``sum_j exp(-(r_j - m_k)**2 / 2 w**2) * (1 + cos(pi r_j / r_c)) / 2`` over its neighbours
    ``j`` of species ``s``, the radial symmetry function of Behler and Parrinello 2007,
    doi:10.1103/PhysRevLett.98.146401, with ``r_c`` = 6 Å and eight shells from 1.5 to 5.5 Å.
    Translation, rotation, wrapping, and exchange of like atoms leave it as it is. The cost is
    linear in the number of atoms.
    """
    species, kinds = np.unique(frames.numbers, return_inverse=True)
    n_features = 2 * len(species) ** 2 * N_SHELLS
    rows = np.full((len(frames), n_features), np.nan)
    for i in np.flatnonzero(_is_usable(frames)):
        atoms = _atom_fingerprints(frames.positions[i], frames.cells[i], kinds)
        by_species = [atoms[kinds == kind] for kind in range(len(species))]
        moments = [moment for some in by_species for moment in (some.mean(0), some.std(0))]
        rows[i] = np.concatenate(moments)
    return rows


def _is_usable(frames: Frames) -> NDArray[np.bool_]:
    """Frames with finite coordinates and a cell that has not collapsed, ``(frame,)``."""
    finite = np.asarray(np.isfinite(frames.positions).all(axis=(1, 2)))
    finite &= np.isfinite(frames.cells).all(axis=(1, 2))
    cells = np.where(finite[:, None, None], frames.cells, np.eye(3))
    faces = np.linalg.norm(np.cross(np.roll(cells, -1, 1), np.roll(cells, -2, 1)), axis=2)
    heights = np.abs(np.linalg.det(cells))[:, None] / np.maximum(faces, np.finfo(float).tiny)
    return np.asarray(finite & (heights > _COLLAPSED_HEIGHT_A).all(axis=1))


def _atom_fingerprints(
    positions: NDArray[np.float64], cell: NDArray[np.float64], kinds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weighted neighbour counts of each atom, shape ``(atom, species * shell)``."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    points = np.ascontiguousarray(positions, dtype=float)
    centres, neighbours, _, distances = find_points_in_spheres(
        all_coords=points,
        center_coords=points,
        r=CUTOFF_A,
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(cell, dtype=float),
    )
    others = distances > _SELF_DISTANCE_A
    centres, neighbours, distances = centres[others], neighbours[others], distances[others]
    weights = np.exp(-0.5 * ((distances[:, None] - _SHELLS_A) / _WIDTH_A) ** 2)
    weights *= 0.5 * (1.0 + np.cos(np.pi * distances / CUTOFF_A))[:, None]
    n_species = int(kinds.max()) + 1
    slots = ((centres * n_species + kinds[neighbours])[:, None] * N_SHELLS) + np.arange(
        N_SHELLS
    )
    size = len(kinds) * n_species * N_SHELLS
    counts = np.bincount(slots.ravel(), weights=weights.ravel(), minlength=size)
    return np.asarray(counts, dtype=float).reshape(len(kinds), -1)
