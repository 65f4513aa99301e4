"""Sites of the mobile ions in a crystal, their classes, and which site an ion is on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from dasksse.errors import AnalysisError
from dasksse.structures.periodic import minimum_distance, neighbour_pairs, plane_spacings

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORE_SHARE = 0.4
"""Radius of a core over the smallest distance between sites, where none is given."""
LARGEST_CORE_A = 1.5
SAME_SITE_A = 1.0
"""Sites closer than this are one: a split site, or two maxima of one cage."""
MAX_CLASSES = 12
"""More classes than this say nothing: names of a file or orbits are not used then."""


@dataclass(frozen=True)
class Sites:
    """Places where ions of one element stay, in the frame of the framework.

    Attributes
    ----------
    species
        Symbol of the element.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    fractions
        Fractional coordinates, shape ``(site, lattice)``.
    classes
        Names of the classes of equivalent sites.
    class_of
        Class of each site, shape ``(site,)``.
    anchors
        Fractional coordinates of the framework that the sites belong to, shape
        ``(anchor, lattice)``; empty where there is none.
    source
        Where the sites come from.
    notes
        What the user should know about them.
    """

    species: str
    cell: NDArray[np.float64]
    fractions: NDArray[np.float64]
    classes: tuple[str, ...]
    class_of: NDArray[np.int64]
    anchors: NDArray[np.float64]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of sites."""
        return len(self.fractions)

    @property
    def multiplicities(self) -> NDArray[np.int64]:
        """Sites of each class, shape ``(class,)``."""
        return np.bincount(self.class_of, minlength=len(self.classes))

    @property
    def labels(self) -> list[str]:
        """Class and number of each site, such as ``Li1 16h.3``."""
        counts = [0] * len(self.classes)
        labels = []
        for kind in self.class_of.tolist():
            counts[kind] += 1
            labels.append(f"{self.classes[kind]}.{counts[kind]}")
        return labels

    @cached_property
    def closest_A(self) -> float:
        """Smallest distance between two sites, or a site and its own image [Å]."""
        return minimum_distance(self.fractions @ self.cell, self.cell)

    def core_radius_A(self, radius_A: float | None = None) -> float:
        """Radius within which an ion is on a site [Å].

        Parameters
        ----------
        radius_A
            The radius wanted; 0.4 times the smallest distance between sites, at most 1.5 Å,
            where it is None.

        Raises
        ------
        AnalysisError
            If cores would overlap or have no volume.
        """
        if radius_A is None:
            return min(CORE_SHARE * self.closest_A, LARGEST_CORE_A)
        if not 0.0 < radius_A <= 0.5 * self.closest_A:
            msg = (
                f"radius {radius_A:g} Å of a site; allowed: above 0 and up to "
                f"{0.5 * self.closest_A:.2f} Å, half the smallest distance between two of the "
                f"{len(self)} sites"
            )
            raise AnalysisError(msg)
        return radius_A


class NearestPoint:
    """Finds the nearest of some points in a periodic cell of any shape.

    Parameters
    ----------
    fractions
        Fractional coordinates of the points, shape ``(point, lattice)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    reach_A
        Points farther away than this are not found [Å].
    """

    def __init__(
        self, fractions: NDArray[np.float64], cell: NDArray[np.float64], reach_A: float
    ) -> None:
        self.cell, self.reach_A = cell, reach_A
        margin = reach_A / plane_spacings(cell) + 1e-9
        counts = np.ceil(margin).astype(int)
        shifts = np.stack(
            np.meshgrid(*(np.arange(-n, n + 1) for n in counts), indexing="ij"), axis=-1
        ).reshape(-1, 1, 3)
        images = fractions % 1.0 + shifts
        is_near = ((images >= -margin) & (images <= 1.0 + margin)).all(axis=-1)
        self._points = np.broadcast_to(np.arange(len(fractions)), is_near.shape)[is_near]
        self._images = images[is_near] @ cell
        self._tree = cKDTree(self._images)

    def __call__(
        self, fractions: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Nearest point of each place.

        Parameters
        ----------
        fractions
            Fractional coordinates, wrapped or not, shape ``(place, lattice)``.

        Returns
        -------
        tuple
            Index of the nearest point, -1 where none is in reach, ``(place,)``; its distance
            [Å], infinite where there is none, ``(place,)``; the vector from it to the place
            [Å], ``(place, xyz)``, NaN where there is none.
        """
        places = (fractions - np.floor(fractions)) @ self.cell
        distances, found = self._tree.query(places, distance_upper_bound=self.reach_A)
        has_one = found < len(self._points)
        safe = np.where(has_one, found, 0)
        vectors = np.where(has_one[:, None], places - self._images[safe], np.nan)
        return np.where(has_one, self._points[safe], -1), distances, vectors


def merge_close(
    fractions: NDArray[np.float64],
    cell: NDArray[np.float64],
    weights: NDArray[np.float64],
    below_A: float = SAME_SITE_A,
) -> NDArray[np.int64]:
    """Group points that are closer together than a distance around the heaviest ones.

    Parameters
    ----------
    fractions
        Fractional coordinates, shape ``(point, lattice)``.
    cell
        Cell vectors as rows [Å], shape ``(lattice, xyz)``.
    weights
        Heavier points take the lighter ones in, shape ``(point,)``.
    below_A
        Largest distance between a point and the one that takes it in [Å].

    Returns
    -------
    NDArray[np.int64]
        Index of the point that each point belongs to, shape ``(point,)``; those that stay
        belong to themselves.
    """
    first, second, _ = neighbour_pairs(fractions @ cell, cell, below_A)
    starts = np.searchsorted(first, np.arange(len(fractions) + 1))
    owners = np.full(len(fractions), -1)
    for point in np.argsort(-weights, kind="stable"):
        if owners[point] < 0:
            near = second[starts[point] : starts[point + 1]]
            owners[near[owners[near] < 0]] = point
            owners[point] = point
    return owners


def numbered_classes(
    groups: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Name groups of sites A, B, ... from the heaviest to the lightest.

    Parameters
    ----------
    groups
        Group of each site, any whole numbers, shape ``(site,)``.
    weights
        Weight of each site; that of a group is the mean, shape ``(site,)``.
    """
    _, inverse = np.unique(groups, return_inverse=True)
    means = np.bincount(inverse, weights) / np.bincount(inverse)
    rank = np.empty(len(means), dtype=np.int64)
    rank[np.argsort(-means, kind="stable")] = np.arange(len(means))
    return tuple(chr(ord("A") + k) for k in range(len(means))), rank[inverse]
