"""Where the framework of a run stands, and its symmetry."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dasksse.analyse.paths import ion_blocks
from dasksse.analyse.sites import NearestPoint
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.paths import IonPaths
    from dasksse.analyse.sites import Sites

REACH_A = 3.0
"""Atoms without an anchor in this distance count as this far away."""
LARGEST_MISFIT = 0.3
"""Largest RMS distance of atoms from their anchors, in units of the anchors' mean spacing
``(V/n)^(1/3)``: atoms at random places are at 0.6."""
LARGEST_STRAIN, LARGEST_SKEW_DEG = 0.05, 3.0
"""Largest difference of cell lengths, relative, and of cell angles."""
_REFINEMENTS = 4
_SEARCH_ATOMS = 48
"""Atoms that a possible shift of origin is tried with."""


def framework_offset(
    paths: IonPaths, sites: Sites, *, memory_bytes: int
) -> NDArray[np.float64]:
    """What to subtract from the positions of a run to come to the frame of the sites.

    Parameters
    ----------
    paths
        Paths of the run.
    sites
        Sites with the framework they belong to.
    memory_bytes
        Memory for the work on one block of atoms.

    Returns
    -------
    NDArray[np.float64]
        Offset [Å], shape ``(xyz,)``. Where cell and atoms fit without a shift of the origin,
        it is a small one.

    Raises
    ------
    AnalysisError
        If the cell or the atoms of the run do not fit the sites.
    """
    if (difference := cell_difference(paths.mean_cell, sites.cell)) is not None:
        msg = (
            f"{paths.run.name}: the cell does not fit the sites of {sites.source}: {difference}"
        )
        raise AnalysisError(msg)
    still = np.flatnonzero(paths.run.numbers != atomic_numbers[sites.species])
    if not (len(still) and len(sites.anchors)):
        return np.zeros(3)
    places = np.concatenate(
        [
            paths.columns(block, memory_bytes=memory_bytes).mean(axis=-1).T
            for block in ion_blocks(still, paths.n_frames, memory_bytes=memory_bytes)
        ]
    )
    offset, misfit_A = best_offset(places, sites.anchors, paths.mean_cell)
    allowed_A = _allowed_misfit_A(sites.anchors, paths.mean_cell)
    if misfit_A > allowed_A:
        msg = (
            f"{paths.run.name}: the framework does not fit the sites of {sites.source}: its "
            f"{len(still)} atoms are {misfit_A:.2f} Å (RMS) from the nearest of its "
            f"{len(sites.anchors)} framework atoms at best, allowed are {allowed_A:.2f} Å; "
            "give the structure the run started from, or take sites from the density"
        )
        raise AnalysisError(msg)
    return offset


def best_offset(
    places: NDArray[np.float64], anchors: NDArray[np.float64], cell: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Shift of atoms against anchors, and how far they are from them without it.

    Parameters
    ----------
    places
        Mean positions of atoms [Å], shape ``(atom, xyz)``.
    anchors
        Fractional coordinates of what they belong to, shape ``(anchor, lattice)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.

    Returns
    -------
    tuple
        Shift [Å], shape ``(xyz,)``, and the RMS distance of the shifted atoms from the nearest
        anchors [Å].

    Notes
    -----
    The origin is kept where it fits. Else that shift is taken, of all that bring one atom to
    one anchor, that fits best. Elements are not compared: they may be mixed on their sites.
    """
    nearest = NearestPoint(anchors, cell, REACH_A)
    inverse = np.linalg.inv(cell)

    def fit(offset: NDArray[np.float64], atoms: NDArray[np.float64]) -> tuple[float, ...]:
        for _ in range(_REFINEMENTS):
            _, distances, vectors = nearest((atoms - offset) @ inverse)
            if np.isfinite(distances).any():
                offset = offset + np.nanmean(vectors, axis=0)
        misfit_A = np.sqrt(np.mean(np.minimum(distances, REACH_A) ** 2))
        return float(misfit_A), *offset

    misfit_A, *offset = fit(np.zeros(3), places)
    if misfit_A > _allowed_misfit_A(anchors, cell):
        some = places[:: -(-len(places) // _SEARCH_ATOMS)]
        trials = [fit(some[0] - anchor, some) for anchor in anchors @ cell]
        misfit_A, *offset = fit(np.array(min(trials)[1:]), places)
    return np.array(offset), misfit_A


def cell_difference(cell: NDArray[np.float64], expected: NDArray[np.float64]) -> str | None:
    """How two cells differ beyond strain and skew of a few per cent; None if they do not.

    Parameters
    ----------
    cell, expected
        Cell vectors as rows [Å], however turned in space, shape ``(lattice, xyz)``.
    """
    lengths, angles = _shape_of(cell)
    expected_lengths, expected_angles = _shape_of(expected)
    strain = lengths / expected_lengths - 1.0
    skew = angles - expected_angles
    if np.abs(strain).max() <= LARGEST_STRAIN and np.abs(skew).max() <= LARGEST_SKEW_DEG:
        return None
    return (
        f"a, b, c are {_listed(lengths)} Å against {_listed(expected_lengths)} Å "
        f"({', '.join(f'{100 * part:+.1f} %' for part in strain)}), angles {_listed(angles)}° "
        f"against {_listed(expected_angles)}°; allowed are {100 * LARGEST_STRAIN:g} % and "
        f"{LARGEST_SKEW_DEG:g}°"
    )


def framework_orbits(
    points: NDArray[np.float64],
    framework: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
    *,
    tolerance_A: float = 0.3,
) -> NDArray[np.int64]:
    """Groups of points that the symmetry of the framework maps to each other.

    Parameters
    ----------
    points
        Fractional coordinates, shape ``(point, lattice)``.
    framework
        Cell [Å], fractional coordinates and atomic numbers of the atoms that stand still.
    tolerance_A
        How far atoms may be from symmetry [Å]; points may be twice as far.

    Returns
    -------
    NDArray[np.int64]
        Group of each point, shape ``(point,)``; each its own where there is no symmetry.
    """
    import spglib

    cell, fractions, numbers = framework
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry(
            (cell.tolist(), fractions.tolist(), numbers.tolist()), symprec=tolerance_A
        )
    if found is None:
        return np.arange(len(points))
    nearest = NearestPoint(points, cell, 2.0 * tolerance_A)
    links = [
        nearest(points @ rotation.T + shift)[0]
        for rotation, shift in zip(found["rotations"], found["translations"], strict=True)
    ]
    targets = np.stack(links)
    sources = np.broadcast_to(np.arange(len(points)), targets.shape)
    there = targets >= 0
    graph = coo_array(
        (np.ones(int(there.sum())), (sources[there], targets[there])),
        shape=(len(points), len(points)),
    )
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _allowed_misfit_A(anchors: NDArray[np.float64], cell: NDArray[np.float64]) -> float:
    return float(LARGEST_MISFIT * np.cbrt(abs(np.linalg.det(cell)) / len(anchors)))


def _shape_of(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths [Å] and angles [degrees] of a cell."""
    lengths = np.linalg.norm(cell, axis=1)
    a, b, c = cell / lengths[:, None]
    return lengths, np.degrees(np.arccos([b @ c, c @ a, a @ b]))


def _listed(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
