"""Van Hove functions: how far ions are from where they, or others, were some time before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.pair_counts import (
    count_distances,
    largest_radius,
    shell_volumes,
    turns,
)
from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, follow, ion_blocks
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.paths import IonPaths, Reference
    from dasksse.records import Trajectory

_DEFAULT_LAGS = 5
_LONGEST_LAG = 1.0 / 3.0
"""Of a run: farther lags have too few independent origins."""


@dataclass(frozen=True)
class SelfVanHove:
    """Distribution of the distance that one ion moves.

    Attributes
    ----------
    lag_ps
        Lags [ps], shape ``(lag,)``.
    r_A
        Centres of the bins [Å], shape ``(bin,)``; the last bin holds the longest displacement.
    density_A3
        G_s(r, t) [1/Å³], shape ``(lag, bin)``. Its integral over space is 1.
    msd_A2
        Mean-squared displacement [Å²], shape ``(lag,)``.
    non_gaussian
        ``3 <r⁴> / 5 <r²>² - 1``, 0 for a random walk, shape ``(lag,)``.
    n_ions, n_runs
        Ions of one run, and runs.
    """

    lag_ps: NDArray[np.float64]
    r_A: NDArray[np.float64]
    density_A3: NDArray[np.float64]
    msd_A2: NDArray[np.float64]
    non_gaussian: NDArray[np.float64]
    n_ions: int
    n_runs: int

    @property
    def per_distance_1_A(self) -> NDArray[np.float64]:
        """``4 π r² G_s(r, t)`` [1/Å], shape ``(lag, bin)``; its integral over r is 1."""
        width = self.r_A[1] - self.r_A[0]
        edges = np.append(self.r_A - 0.5 * width, self.r_A[-1] + 0.5 * width)
        return np.asarray(self.density_A3 * shell_volumes(edges) / width)


@dataclass(frozen=True)
class DistinctVanHove:
    """Where other ions are, around the place an ion had some time before.

    Attributes
    ----------
    lag_ps
        Lags [ps], shape ``(lag,)``.
    r_A
        Centres of the bins [Å], shape ``(bin,)``.
    g
        G_d(r, t) over the density of ions, shape ``(lag, bin)``: the radial distribution
        function at lag 0, and 1 where nothing is known any more.
    """

    lag_ps: NDArray[np.float64]
    r_A: NDArray[np.float64]
    g: NDArray[np.float64]


def self_van_hove(
    runs: Sequence[Trajectory],
    mobile: str,
    lags_ps: Sequence[float] | None = None,
    *,
    bin_A: float = 0.1,
    reference: Reference = "framework",
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> SelfVanHove:
    """Self part of the van Hove function, over all time origins, ions and runs.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature with the same time between frames.
    mobile
        Symbol of the element.
    lags_ps
        Lags [ps], each taken to the nearest frame; five up to a third of the shortest run if
        None.
    bin_A
        Width of a bin [Å].
    reference
        Whose centre of mass stands still.
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes
        Memory for the work on one block of ions.

    Raises
    ------
    AnalysisError
        If there is no run, the element is absent, a lag is not within the runs, or what
        :func:`dasksse.analyse.paths.follow` refuses.
    """
    followed = _follow(runs, mobile, reference, first_frames)
    lags = _frames_of_lags(followed, lags_ps)
    counts = [np.zeros(0, dtype=np.int64) for _ in lags]
    moments = np.zeros((2, len(lags)))
    for paths in followed:
        atoms = atoms_of(paths.run, mobile)
        for block in ion_blocks(atoms, paths.n_frames, memory_bytes=memory_bytes):
            columns = paths.columns(block, memory_bytes=memory_bytes)
            for index, lag in enumerate(lags):
                squared = _squared_steps(columns, lag)
                moments[:, index] += squared.sum(), np.vdot(squared, squared)
                found = np.bincount((np.sqrt(squared) / bin_A).astype(np.int64).ravel())
                counts[index] = _padded_sum(counts[index], found)
    n_bins = max(map(len, counts))
    histogram = np.array([np.pad(row, (0, n_bins - len(row))) for row in counts])
    totals = histogram.sum(axis=1)
    msd, fourth = moments / totals
    edges = np.asarray(bin_A * np.arange(n_bins + 1))
    return SelfVanHove(
        lag_ps=np.asarray(lags * runs[0].frame_interval_ps),
        r_A=0.5 * (edges[1:] + edges[:-1]),
        density_A3=histogram / totals[:, None] / shell_volumes(edges),
        msd_A2=msd,
        non_gaussian=0.6 * fourth / np.maximum(msd, 1e-30) ** 2 - 1.0,
        n_ions=len(atoms_of(runs[0], mobile)),
        n_runs=len(runs),
    )


def distinct_van_hove(
    runs: Sequence[Trajectory],
    mobile: str,
    lags_ps: Sequence[float] | None = None,
    *,
    bin_A: float = 0.1,
    n_origins: int = 500,
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> DistinctVanHove:
    """Distinct part of the van Hove function of one element, up to half the cell.

    Parameters
    ----------
    runs, mobile, lags_ps, bin_A, first_frames, memory_bytes
        As for :func:`self_van_hove`; a lag may be 0. Drift is that of the framework.
    n_origins
        Time origins of each run, spread evenly.

    Raises
    ------
    AnalysisError
        As from :func:`self_van_hove`, and if there is one ion only.
    """
    followed = _follow(runs, mobile, "framework", first_frames)
    lags = _frames_of_lags(followed, lags_ps, smallest=0)
    n_ions = len(atoms_of(runs[0], mobile))
    if n_ions == 1:
        msg = f"{runs[0].name}: one {mobile} ion has no others of its kind around it"
        raise AnalysisError(msg)
    cells = np.array([paths.mean_cell for paths in followed])
    n_bins = int(largest_radius(cells) / bin_A)
    edges = np.asarray(bin_A * np.arange(n_bins + 1))
    g = np.zeros((len(lags), n_bins))
    for paths, cell in zip(followed, cells, strict=True):
        last = paths.n_frames - int(lags.max())
        origins = np.unique(np.linspace(0, last - 1, min(n_origins, last)).astype(np.int64))
        coded = _coded_at(paths, mobile, np.add.outer([0, *lags], origins), memory_bytes)
        ideal = n_ions * (n_ions - 1) / abs(np.linalg.det(cell)) * shell_volumes(edges)
        for index in range(len(lags)):
            for before, after in zip(coded[0], coded[index + 1], strict=True):
                found = count_distances(
                    before, after, cell, r_max_A=edges[-1], n_bins=n_bins, same=True
                )
                g[index] += found / ideal / len(origins) / len(followed)
    lag_ps = np.asarray(lags * runs[0].frame_interval_ps)
    return DistinctVanHove(lag_ps=lag_ps, r_A=0.5 * (edges[1:] + edges[:-1]), g=g)


def _follow(
    runs: Sequence[Trajectory],
    mobile: str,
    reference: Reference,
    first_frames: Sequence[int] | None,
) -> list[IonPaths]:
    if not runs:
        msg = "no run to take displacements from"
        raise AnalysisError(msg)
    starts = [None] * len(runs) if first_frames is None else first_frames
    return [
        follow(run, mobile, reference=reference, first_frame=first)
        for run, first in zip(runs, starts, strict=True)
    ]


def _frames_of_lags(
    followed: Sequence[IonPaths], lags_ps: Sequence[float] | None, *, smallest: int = 1
) -> NDArray[np.int64]:
    """Lags in frames, ascending, without repeats."""
    intervals = {paths.run.frame_interval_ps for paths in followed}
    if len(intervals) > 1:
        msg = f"runs have frames every {sorted(intervals)} ps; give those of one interval"
        raise AnalysisError(msg)
    interval_ps, n_frames = intervals.pop(), min(paths.n_frames for paths in followed)
    if lags_ps is None:
        longest = max(1.0, _LONGEST_LAG * n_frames)
        return np.unique(np.geomspace(1.0, longest, _DEFAULT_LAGS).round().astype(np.int64))
    lags = np.unique(np.round(np.asarray(lags_ps) / interval_ps).astype(np.int64))
    if not len(lags) or lags[0] < smallest or lags[-1] >= n_frames:
        msg = (
            f"lags {list(lags_ps)} ps; allowed: from {smallest * interval_ps:g} ps up to "
            f"{(n_frames - 1) * interval_ps:g} ps, the length of the shortest run"
        )
        raise AnalysisError(msg)
    return lags


def _squared_steps(columns: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Squared displacements over a lag [Å²], shape ``(ion, origin)``."""
    squared = np.zeros((columns.shape[1], columns.shape[2] - lag))
    for path in columns:
        step = path[:, lag:] - path[:, :-lag]
        squared += step * step
    return squared


def _padded_sum(total: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    longer, shorter = (more, total) if len(more) > len(total) else (total, more)
    longer[: len(shorter)] += shorter
    return longer


def _coded_at(
    paths: IonPaths, mobile: str, frames: NDArray[np.int64], memory_bytes: int
) -> NDArray[np.int32]:
    """Coordinates free of drift from :func:`turns`, shape ``(*frames.shape, xyz, ion)``."""
    atoms = atoms_of(paths.run, mobile)
    inverse = np.linalg.inv(paths.mean_cell)
    coded = np.empty((*frames.shape, 3, len(atoms)), dtype=np.int32)
    filled = 0
    for block in ion_blocks(atoms, paths.n_frames, memory_bytes=memory_bytes):
        columns = paths.columns(block, memory_bytes=memory_bytes)[..., frames]
        fractions = np.einsum("xi...,xy->...yi", columns, inverse)
        coded[..., filled : filled + len(block)] = turns(fractions)
        filled += len(block)
    return coded
