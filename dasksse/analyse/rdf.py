"""Radial distribution functions of all pairs of elements, and coordination numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from dasksse.analyse.first_shell import first_shell
from dasksse.analyse.pair_counts import largest_radius, shell_volumes
from dasksse.analyse.pair_stretches import (
    LEAST_STRETCHES,
    count_pairs,
    frames_to_look_at,
    split,
)
from dasksse.analyse.paths import MEMORY_BYTES, atoms_of
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.pair_stretches import Couple, Stretch
    from dasksse.records import Trajectory

DEFAULT_R_MAX_A = 8.0
WIDEST_BIN_A = 0.5
ROUNDING = 1e-9
TOTAL = "total"
ANIONS = ("N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I")


@dataclass(frozen=True)
class PairDistribution:
    """One pair of elements, or all atoms.

    Attributes
    ----------
    pair
        Such as ``Li-S``, or ``total``.
    g, g_err
        Radial distribution function and its standard error, shape ``(bin,)``.
    neighbours
        Atoms of the second element around one of the first, up to the upper edge of each bin,
        shape ``(bin,)``.
    first_peak_A, first_peak_err_A, first_peak_g
        Place [Å] and height of the first peak; NaN where there is none.
    first_minimum_A, first_minimum_err_A
        Place [Å] of the minimum behind it; NaN where it is beyond the range.
    coordination, coordination_err
        Atoms of the second element around one of the first, up to the first minimum.
    coordination_back, coordination_back_err
        Atoms of the first element around one of the second.
    """

    pair: str
    g: NDArray[np.float64]
    g_err: NDArray[np.float64]
    neighbours: NDArray[np.float64]
    first_peak_A: float
    first_peak_err_A: float
    first_peak_g: float
    first_minimum_A: float
    first_minimum_err_A: float
    coordination: float
    coordination_err: float
    coordination_back: float
    coordination_back_err: float


@dataclass(frozen=True)
class RadialDistributions:
    """Pairs of elements of one system at one temperature.

    Attributes
    ----------
    r_A
        Centres of the bins [Å], shape ``(bin,)``.
    pairs
        One entry for each pair.
    n_runs, n_frames
        Runs, and frames of all of them that were looked at.
    every
        One of so many frames was looked at.
    """

    r_A: NDArray[np.float64]
    pairs: tuple[PairDistribution, ...]
    n_runs: int
    n_frames: int
    every: int

    @property
    def r_max_A(self) -> float:
        """Upper edge of the last bin [Å]."""
        return float(self.r_A[-1] + 0.5 * (self.r_A[1] - self.r_A[0]))

    def __getitem__(self, pair: str) -> PairDistribution:
        """Entry of a pair such as ``Li-S``."""
        return next(entry for entry in self.pairs if entry.pair == pair)


def radial_distributions(
    runs: Sequence[Trajectory],
    pairs: Sequence[str] | None = None,
    *,
    r_max_A: float | None = None,
    bin_A: float = 0.05,
    every: int | None = None,
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    on_frame: Callable[[], None] = lambda: None,
) -> RadialDistributions:
    """Average g(r) over frames and runs.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature.
    pairs
        Such as ``["Li-Li", "Li-S", "total"]``; all pairs of elements and the total if None.
        Coordination is that of the first element by the second.
    r_max_A
        Longest distance [Å], at most half the smallest distance between opposite faces of the
        cell; 8 Å or what the cell allows if None.
    bin_A
        Width of a bin [Å]. It is made a little smaller where `r_max_A` is no multiple of it.
    every
        Look at one of so many frames; if None, at no more than about 2000.
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes
        Memory for frames that are looked at together.
    on_frame
        Called after each frame.

    Raises
    ------
    AnalysisError
        If there is no run or no frame left, runs differ in their atoms, an element is absent or
        has one atom only, `r_max_A` is beyond the cell, or a position is not finite.

    Notes
    -----
    Normalised to 1 for an ideal gas: pairs of one element are compared with ``N (N - 1)``, as
    in LAMMPS and VMD. With a variable cell g(r) is the mean over frames, each with its own
    volume. Errors are those of the mean over stretches of the runs, at least ten together;
    errors of peak and minimum are from the jackknife over the same stretches.
    """
    names = _pair_names(runs, pairs)
    edges = _edges(runs, r_max_A, bin_A)
    planned = frames_to_look_at(runs, every=every, first_frames=first_frames)
    couples = [
        couple
        for couple in combinations_with_replacement(_symbols(runs[0]), 2)
        if TOTAL in names or {"-".join(couple), "-".join(couple[::-1])} & set(names)
    ]
    n_stretches = -(-LEAST_STRETCHES // len(runs))
    stretches = [
        count_pairs(run, couples, part, edges, memory_bytes, on_frame)
        for run, frames in zip(runs, planned, strict=True)
        for part in split(frames, n_stretches)
    ]
    members = {name: _members(name, runs[0], couples) for name in names}
    entries = [_distribution(name, members[name], stretches, edges) for name in names]
    return RadialDistributions(
        r_A=0.5 * (edges[1:] + edges[:-1]),
        pairs=tuple(entries),
        n_runs=len(runs),
        n_frames=sum(map(len, planned)),
        every=planned[0].step,
    )


def _pair_names(runs: Sequence[Trajectory], pairs: Sequence[str] | None) -> list[str]:
    """Names of the pairs, after a check that the runs have them."""
    if not runs:
        msg = "no run to take distances from"
        raise AnalysisError(msg)
    for run in runs[1:]:
        if not np.array_equal(run.numbers, runs[0].numbers):
            msg = f"{run.name} has other atoms than {runs[0].name}: give runs of one system"
            raise AnalysisError(msg)
    symbols = _symbols(runs[0])
    if pairs is None:
        lone = {symbol for symbol in symbols if len(atoms_of(runs[0], symbol)) == 1}
        couples = combinations_with_replacement(symbols, 2)
        pairs = [*("-".join(c) for c in couples if c[0] != c[1] or c[0] not in lone), TOTAL]
    for name in pairs:
        members = symbols if name == TOTAL else name.split("-")
        if name != TOTAL and len(members) != 2:  # noqa: PLR2004 - a pair
            msg = f"pair {name!r}: must be two elements such as Li-S, or {TOTAL!r}"
            raise AnalysisError(msg)
        n_atoms = sum(len(atoms_of(runs[0], symbol)) for symbol in {*members})
        if n_atoms == 1:
            msg = f"pair {name}: {runs[0].name} has one such atom, and a pair needs two"
            raise AnalysisError(msg)
    return list(dict.fromkeys(pairs))


def _symbols(run: Trajectory) -> list[str]:
    """Elements by atomic number, anions last, so that pairs are named as people do."""
    symbols = [chemical_symbols[number] for number in np.unique(run.numbers)]
    return sorted(symbols, key=lambda symbol: symbol in ANIONS)


def _edges(
    runs: Sequence[Trajectory], r_max_A: float | None, bin_A: float
) -> NDArray[np.float64]:
    """Edges of the bins [Å], shape ``(bin + 1,)``."""
    limit = min(largest_radius(run.cells()) for run in runs)
    if not 0.0 < bin_A <= WIDEST_BIN_A:
        msg = f"bins {bin_A:g} Å wide; allowed: above 0 and at most {WIDEST_BIN_A:g} Å"
        raise AnalysisError(msg)
    if r_max_A is None:
        r_max_A = bin_A * int(min(DEFAULT_R_MAX_A, limit) / bin_A + ROUNDING)
    if not 2.0 * bin_A < r_max_A <= limit * (1.0 + ROUNDING):
        msg = (
            f"{runs[0].name}: found {r_max_A:g} Å as longest distance; allowed: more than two "
            f"bins of {bin_A:g} Å and at most {limit:.3f} Å, half the smallest distance of "
            "opposite faces of the cell. Farther on, images of an atom are missed: a larger "
            "cell is needed"
        )
        raise AnalysisError(msg)
    return np.linspace(0.0, r_max_A, int(np.ceil(r_max_A / bin_A - ROUNDING)) + 1)


@dataclass(frozen=True)
class _Members:
    """How often each couple of elements counts for a pair, and how many atoms the pair has."""

    couples: Mapping[Couple, int]
    n_first: int
    n_second: int
    n_pairs: int

    def per_frame(
        self, sums: Sequence[Mapping[Couple, NDArray[np.float64]]], n_frames: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Pairs of each stretch for one frame, shape ``(stretch, bin)``."""
        rows = [
            np.sum([times * part[couple] for couple, times in self.couples.items()], axis=0)
            for part in sums
        ]
        return np.array(rows) / n_frames[:, None]


def _members(name: str, run: Trajectory, couples: Sequence[Couple]) -> _Members:
    if name == TOTAL:
        n_atoms = len(run.numbers)
        twice = {couple: 1 if couple[0] == couple[1] else 2 for couple in couples}
        return _Members(twice, n_atoms, n_atoms, n_atoms * (n_atoms - 1))
    first, second = name.split("-")
    n_first, n_second = len(atoms_of(run, first)), len(atoms_of(run, second))
    couple = (first, second) if (first, second) in couples else (second, first)
    n_pairs = n_first * (n_second - 1 if first == second else n_second)
    return _Members({couple: 1}, n_first, n_second, n_pairs)


def _distribution(
    name: str, members: _Members, stretches: Sequence[Stretch], edges: NDArray[np.float64]
) -> PairDistribution:
    """Average over stretches, with errors."""
    n_frames = np.array([stretch.n_frames for stretch in stretches])
    weights = n_frames / n_frames.sum()
    ideal = members.n_pairs * shell_volumes(edges)
    parts = members.per_frame([part.volumetric for part in stretches], n_frames) / ideal
    pairs = np.cumsum(members.per_frame([part.counts for part in stretches], n_frames), axis=1)
    g, g_err = _mean_and_error(parts, weights)
    r_A, noise = 0.5 * (edges[1:] + edges[:-1]), np.nan_to_num(g_err)
    shell = first_shell(r_A, g, noise)
    without = [
        first_shell(r_A, (g - weight * part) / (1.0 - weight), noise)
        for weight, part in zip(weights, parts, strict=True)
        if weight < 1.0
    ]
    within = [np.interp(shell.minimum_A, edges[1:], row) for row in pairs]
    bonds, bonds_err = _mean_and_error(np.array(within), weights)
    return PairDistribution(
        pair=name,
        g=g,
        g_err=g_err,
        neighbours=weights @ pairs / members.n_first,
        first_peak_A=shell.peak_A,
        first_peak_err_A=_jackknife([other.peak_A for other in without]),
        first_peak_g=shell.peak_g,
        first_minimum_A=shell.minimum_A,
        first_minimum_err_A=_jackknife([other.minimum_A for other in without]),
        coordination=float(bonds / members.n_first),
        coordination_err=float(bonds_err / members.n_first),
        coordination_back=float(bonds / members.n_second),
        coordination_back_err=float(bonds_err / members.n_second),
    )


def _mean_and_error(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean over stretches and its standard error, NaN for a lone one."""
    mean = weights @ values
    if len(values) == 1:
        return mean, np.full_like(mean, np.nan)
    return mean, np.sqrt(weights**2 @ (values - mean) ** 2 / (1.0 - weights @ weights))


def _jackknife(values: Sequence[float]) -> float:
    """Standard error from what is found without each stretch; NaN without any."""
    return float(np.std(values) * np.sqrt(len(values) - 1)) if values else np.nan
