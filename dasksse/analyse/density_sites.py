"""Sites of the mobile ions from where they are: maxima of their density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers
from scipy.ndimage import map_coordinates, maximum_filter

from dasksse.analyse.alignment import framework_orbits
from dasksse.analyse.density import ion_density
from dasksse.analyse.paths import MEMORY_BYTES
from dasksse.analyse.sites import (
    MAX_CLASSES,
    SAME_SITE_A,
    Sites,
    merge_close,
    numbered_classes,
)
from dasksse.errors import AnalysisError
from dasksse.structures.periodic import neighbour_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.density import IonDensity
    from dasksse.records import Trajectory

SPACING_A = 0.25
SMOOTHING_A = 0.25
"""Width of the Gaussian that the density is smoothed with."""
LEAST_DENSITY = 3.0
"""A site is denser than so many times the mean density of the cell."""
LEAST_DIP = 0.8
"""Between two sites the density falls below this part of the lower maximum."""
_DIP_REACH_A = 3.0
_CENTRE_RADIUS_A = 0.6
_CENTRING_STEPS = 8


def density_sites(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    supercell: tuple[int, int, int] = (1, 1, 1),
    merge_below_A: float = SAME_SITE_A,
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Sites:
    """Find the sites of an element as maxima of its density in the frame of the framework.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature.
    mobile
        Symbol of the element.
    supercell
        How often the cell repeats a smaller one along each vector: the density is averaged
        over the repetitions, and equivalent sites get one class.
    merge_below_A
        Maxima closer to a higher one than this are no sites of their own [Å].
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes
        Memory for the work on one block of ions.

    Raises
    ------
    AnalysisError
        If no maximum stands out, or the density cannot be had.

    Notes
    -----
    A site is a maximum of the smoothed density above three times the mean density, with a dip
    of 20 % towards every higher maximum within 3 Å, at the centre of the density around it.
    Places that ions visit rarely are missed. Classes are orbits of the framework's symmetry,
    named from the densest one on.
    """
    density = ion_density(
        runs,
        mobile,
        spacing_A=SPACING_A,
        supercell=supercell,
        first_frames=first_frames,
        memory_bytes=memory_bytes,
    )
    cell = np.asarray(density.frame.cell)
    smooth = _smoothed(density.values_A3, cell)
    peaks, heights = _maxima(smooth, density)
    owners = merge_close(peaks, cell, heights, merge_below_A)
    kept = np.flatnonzero(owners == np.arange(len(peaks)))
    kept = kept[_stands_out(smooth, peaks[kept], heights[kept], cell)]
    places, weights = _centred(smooth, peaks[kept], cell), heights[kept]
    still = density.frame.numbers != atomic_numbers[mobile]
    anchors = density.frame.get_scaled_positions()[still]
    names, class_of = _classes(places, weights, density, still)
    folds = np.array(supercell)
    shifts = np.indices(supercell).reshape(3, -1).T
    return Sites(
        species=mobile,
        cell=cell * folds[:, None],
        fractions=((places[:, None] + shifts) / folds).reshape(-1, 3) % 1.0,
        classes=names,
        class_of=np.repeat(class_of, len(shifts)),
        anchors=((anchors[:, None] + shifts) / folds).reshape(-1, 3),
        source="density",
    )


def _smoothed(values: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Density convolved with a Gaussian that is round in a cell of any shape."""
    n_a, n_b, n_c = values.shape
    orders = np.meshgrid(
        np.fft.fftfreq(n_a, 1.0 / n_a),
        np.fft.fftfreq(n_b, 1.0 / n_b),
        np.fft.rfftfreq(n_c, 1.0 / n_c),
        indexing="ij",
        sparse=True,
    )
    reciprocal = 2.0 * np.pi * np.linalg.inv(cell).T
    metric = reciprocal @ reciprocal.T
    squared = sum(metric[i, j] * orders[i] * orders[j] for i in range(3) for j in range(3))
    spectrum = np.fft.rfftn(values) * np.exp(-0.5 * SMOOTHING_A**2 * squared)
    return np.fft.irfftn(spectrum, s=values.shape, axes=(0, 1, 2))


def _maxima(
    smooth: NDArray[np.float64], density: IonDensity
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional coordinates and heights of maxima of the grid that are dense enough."""
    mean = density.n_ions / density.frame.cell.volume
    is_top = (smooth == maximum_filter(smooth, size=3, mode="wrap")) & (
        smooth > LEAST_DENSITY * mean
    )
    if not is_top.any():
        msg = (
            f"no sites of {density.mobile} found: in {density.n_frames} frames its density is "
            f"nowhere above {LEAST_DENSITY:g} times its mean (at most "
            f"{smooth.max() / mean:.1f} times), as in a liquid; give a reference "
            "structure, longer runs, or the supercell to fold"
        )
        raise AnalysisError(msg)
    return np.argwhere(is_top) / smooth.shape, smooth[is_top]


def _stands_out(
    smooth: NDArray[np.float64],
    peaks: NDArray[np.float64],
    heights: NDArray[np.float64],
    cell: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether the density dips on the way from each maximum to every higher one nearby."""
    first, second, vectors = neighbour_pairs(peaks @ cell, cell, _DIP_REACH_A)
    rank = np.argsort(np.argsort(-heights, kind="stable"))
    upward = rank[second] < rank[first]
    first, steps = first[upward], vectors[upward] @ np.linalg.inv(cell)
    along = np.linspace(0.0, 1.0, 13)
    ways = peaks[first][:, None] + along[:, None] * steps[:, None]
    grid = np.moveaxis(ways * smooth.shape, -1, 0)
    lowest = map_coordinates(smooth, grid, order=1, mode="grid-wrap").min(axis=-1)
    is_own = np.ones(len(peaks), dtype=bool)
    is_own[first[lowest > LEAST_DIP * heights[first]]] = False
    return is_own


def _centred(
    smooth: NDArray[np.float64], peaks: NDArray[np.float64], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fractional coordinates of the centres of density around maxima."""
    shape = np.array(smooth.shape)
    steps = cell / shape[:, None]
    reach = np.ceil(_CENTRE_RADIUS_A * np.linalg.norm(np.linalg.inv(steps), axis=0)).astype(int)
    box = np.stack(np.meshgrid(*(np.arange(-n - 1, n + 2) for n in reach), indexing="ij"), -1)
    box = box.reshape(-1, 3)
    centres = peaks * shape
    for _ in range(_CENTRING_STEPS):
        points = np.rint(centres).astype(np.int64)[:, None] + box
        vectors = (points - centres[:, None]) @ steps
        is_near = np.einsum("pbx,pbx->pb", vectors, vectors) < _CENTRE_RADIUS_A**2
        weights = smooth[tuple(np.moveaxis(points % shape, -1, 0))] * is_near
        shift = np.einsum("pb,pbx->px", weights, vectors) / weights.sum(axis=1)[:, None]
        centres = centres + shift @ np.linalg.inv(steps)
    return centres / shape % 1.0


def _classes(
    places: NDArray[np.float64],
    weights: NDArray[np.float64],
    density: IonDensity,
    still: NDArray[np.bool_],
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Orbits of the sites, or one class where there are too many or no framework."""
    if still.any():
        frame = density.frame[still]
        groups = framework_orbits(
            places, (np.asarray(frame.cell), frame.get_scaled_positions(), frame.numbers)
        )
        if len(np.unique(groups)) <= MAX_CLASSES:
            return numbered_classes(groups, weights)
    return ("A",), np.zeros(len(places), dtype=np.int64)
