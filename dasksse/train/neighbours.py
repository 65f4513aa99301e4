"""How many neighbours of each type a descriptor has to make room for."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dasksse.records import Frames, Labels

SAMPLED_FRAMES = 100
MARGIN = 1.3
"""Room for compression in NpT and for hotter, denser surroundings than the first data show."""
_MULTIPLE = 4


def _images(
    positions: NDArray[np.float64], cell: NDArray[np.float64], cutoff_A: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Positions [Å] of all periodic images that lie within reach, and whose image each is."""
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse
    fractional -= np.floor(fractional)
    reach = cutoff_A * np.linalg.norm(inverse, axis=0)
    ranges = [range(-n, n + 1) for n in np.ceil(reach).astype(int)]
    shifted = fractional[np.newaxis] + np.array(list(product(*ranges)))[:, np.newaxis]
    near = ((shifted > -reach) & (shifted < 1.0 + reach)).all(axis=-1)
    return shifted[near] @ cell, np.nonzero(near)[1]


def neighbour_counts(
    frames: Frames, index: int, *, type_map: Sequence[str], cutoff_A: float
) -> NDArray[np.int64]:
    """Neighbours of each type within a cut-off, all periodic images counted.

    Parameters
    ----------
    frames
        Configurations; cells may be triclinic and smaller than the cut-off.
    index
        Which frame.
    type_map
        Elements in the order of the model's types.
    cutoff_A
        Cut-off [Å], above 0.

    Returns
    -------
    NDArray[np.int64]
        Neighbours of each atom by type, shape ``(atom, type)``.
    """
    cell = frames.cells[index]
    fractional = frames.positions[index] @ np.linalg.inv(cell)
    home = (fractional - np.floor(fractional)) @ cell
    points, owner = _images(frames.positions[index], cell, cutoff_A)
    counts = np.zeros((frames.n_atoms, len(type_map)), dtype=np.int64)
    for column, symbol in enumerate(type_map):
        is_type = frames.numbers == atomic_numbers[symbol]
        chosen = points[is_type[owner]]
        if len(chosen):
            found = KDTree(chosen).query_ball_point(home, cutoff_A, return_length=True)
            counts[:, column] = found - is_type  # an atom is not its own neighbour
    return counts


def _sampled(labels: Sequence[tuple[str, Labels]]) -> Iterator[tuple[Frames, int]]:
    """About 100 good frames of all data sets, spread evenly: frames and the index of one."""
    stride = max(1, sum(len(part) for _, part in labels) // SAMPLED_FRAMES)
    for _, part in labels:
        for index in np.flatnonzero(part.is_good)[::stride]:
            yield part.frames, int(index)


def suggest_sel(
    labels: Sequence[tuple[str, Labels]],
    *,
    type_map: Sequence[str],
    rcut_A: float,
    margin: float = MARGIN,
    shared: bool = False,
) -> list[int]:
    """``sel`` of the descriptor: room for neighbours of each type, with a margin.

    The largest number of neighbours found, times the margin, rounded up to a multiple of 4.
    Every place costs time whether it is filled or not; neighbours beyond ``sel`` are dropped
    by DeePMD-kit without a word. A warm start needs the ``sel`` of the training it starts
    from.

    Parameters
    ----------
    labels
        Data sets by name; about 100 frames, spread evenly, are looked at.
    type_map
        Elements in the order of the model's types.
    rcut_A
        Cut-off of the descriptor [Å], above 0.
    margin
        Factor on the largest number found, at least 1.
    shared
        True for descriptors whose neighbours of all types share the places, as `se_atten`.

    Returns
    -------
    list[int]
        Places for each type, at least 4; a single number of them where they are shared.
    """
    largest = np.zeros(1 if shared else len(type_map), dtype=np.int64)
    for frames, index in _sampled(labels):
        counts = neighbour_counts(frames, index, type_map=type_map, cutoff_A=rcut_A)
        if shared:
            counts = counts.sum(axis=1, keepdims=True)
        largest = np.maximum(largest, counts.max(axis=0))
    places = np.ceil(margin * largest / _MULTIPLE).astype(int) * _MULTIPLE
    return [int(n) for n in np.maximum(places, _MULTIPLE)]


def nearest_distance_A(labels: Sequence[tuple[str, Labels]]) -> float:
    """Smallest distance of two atoms [Å] in about 100 good frames, spread evenly.

    Parameters
    ----------
    labels
        Data sets by name, with at least one good frame among them.
    """
    smallest = np.inf
    for frames, index in _sampled(labels):
        cell = frames.cells[index]
        reach_A = float(np.abs(np.linalg.det(cell)) / frames.n_atoms) ** (1 / 3)
        # at least one pair is no farther apart than in the densest packing of spheres
        points, _ = _images(frames.positions[index], cell, 1.2 * reach_A)
        distances, _ = KDTree(points).query(points, k=2)
        smallest = min(smallest, float(distances[:, 1].min()))
    return smallest
