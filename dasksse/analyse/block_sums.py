"""What blocks of ions add to the MSDs of runs: the part that is spread over cores."""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
from ase.data import chemical_symbols

from dasksse.analyse.msd import msd_of_each_atom, squared_displacements
from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, follow, ion_blocks, start_of
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.paths import IonPaths, Reference
    from dasksse.records import Trajectory

N_BLOCKS = 32
"""Stretches of a run whose scatter shows what the scatter of single ions misses."""

Result = TypeVar("Result")


class Starmap(Protocol):
    """Calls a function with each tuple of arguments, like :func:`itertools.starmap`.

    Results come in the order of the arguments, wherever and whenever they are made.
    """

    def __call__(
        self, function: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], /
    ) -> Iterable[Result]:
        """Results, one for each tuple."""


@dataclass(frozen=True)
class BlockSums:
    """What a block of ions adds to a sample; blocks of one run can be added.

    Attributes
    ----------
    squared
        MSD along each axis summed over ions [Å²], shape ``(axis, lag)``.
    walkers
        MSD of each ion [Å²], shape ``(ion, grid, axis)``.
    stretches
        MSD in each stretch of the run summed over ions [Å²], shape ``(block, grid, axis)``.
    fourth
        Mean fourth power of the displacement summed over ions [Å⁴], shape ``(grid,)``.
    """

    squared: NDArray[np.float64]
    walkers: NDArray[np.float64]
    stretches: NDArray[np.float64]
    fourth: NDArray[np.float64]

    def __add__(self, other: BlockSums) -> BlockSums:
        """Sums of both blocks, the ions of this one first."""
        return BlockSums(
            self.squared + other.squared,
            np.concatenate([self.walkers, other.walkers]),
            self.stretches + other.stretches,
            self.fourth + other.fourth,
        )


def block_sums(
    paths: IonPaths,
    atoms: NDArray[np.int64],
    lags: NDArray[np.int64],
    memory_bytes: int = MEMORY_BYTES,
) -> BlockSums:
    """Read the paths of a block of ions once and sum up what a sample needs of them.

    Parameters
    ----------
    paths
        Paths of a run.
    atoms
        Indices in ascending order, shape ``(ion,)``.
    lags
        Lags at which ions and stretches are kept apart [frames], shape ``(grid,)``.
    memory_bytes
        Memory for reading.

    Raises
    ------
    AnalysisError
        If a position is not finite.
    """
    columns = paths.columns(atoms, memory_bytes=memory_bytes)
    squared = squared_displacements(columns)
    resolved = msd_of_each_atom(columns.transpose(2, 1, 0), lags, n_blocks=N_BLOCKS)
    n_ions = len(atoms)
    return BlockSums(
        squared, resolved.by_atom, n_ions * resolved.by_block, n_ions * resolved.fourth_power
    )


class Plan(NamedTuple):
    """Atoms of one element in one run, in blocks."""

    run: Trajectory
    first_frame: int
    blocks: list[NDArray[np.int64]]

    @property
    def n_frames(self) -> int:
        """Frames that are used."""
        return self.run.n_frames - self.first_frame

    @property
    def n_atoms(self) -> int:
        """Atoms of the element."""
        return sum(len(block) for block in self.blocks)


def plan_runs(
    runs: Sequence[Trajectory],
    symbol: str,
    first_frames: Sequence[int] | None,
    memory_bytes: int,
) -> list[Plan]:
    """Split the atoms of an element into blocks, run by run.

    Raises
    ------
    AnalysisError
        If there is no run, the element is absent, runs differ in their number of its atoms, a
        run is shorter than two frames, or the memory does not do for one ion.
    """
    if not runs:
        msg = "there is no run to average over"
        raise AnalysisError(msg)
    plans = []
    for index, run in enumerate(runs):
        first = start_of(run, None if first_frames is None else first_frames[index])
        atoms = atoms_of(run, symbol)
        blocks = ion_blocks(atoms, run.n_frames - first, memory_bytes=memory_bytes)
        plans.append(Plan(run, first, blocks))
        if plans[-1].n_atoms != plans[0].n_atoms:
            msg = (
                f"{run.name} has {plans[-1].n_atoms} atoms of {symbol}, {runs[0].name} has "
                f"{plans[0].n_atoms}: runs that are averaged must be of the same system"
            )
            raise AnalysisError(msg)
    return plans


def sum_up(
    plans: Sequence[Plan],
    follow_run: Callable[[Plan], IonPaths],
    lags: NDArray[np.int64],
    memory_bytes: int,
    starmap: Starmap,
) -> list[BlockSums]:
    """Sums of each run, its blocks always added in the same order.

    Parameters
    ----------
    plans
        Blocks of each run.
    follow_run
        Paths of a run; called when the first of its blocks is asked for.
    lags
        Lags at which ions and stretches are kept apart [frames], shape ``(grid,)``.
    memory_bytes
        Memory for the work on one block.
    starmap
        What calls :func:`block_sums` for each block.
    """

    def arguments() -> Iterator[tuple[IonPaths, NDArray[np.int64], NDArray[np.int64], int]]:
        for plan in plans:
            paths = follow_run(plan)
            for atoms in plan.blocks:
                yield paths, atoms, lags, memory_bytes

    results = iter(starmap(block_sums, arguments()))
    return [reduce(operator.add, itertools.islice(results, len(p.blocks))) for p in plans]


def pooled(msds: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Average of runs, each weighted by its time origins, up to the end of the shortest.

    Parameters
    ----------
    msds
        MSD of each run [Å²], each of shape ``(lag, axis)``.
    """
    n_frames = min(len(msd) for msd in msds)
    lags = np.arange(n_frames)
    origins = np.stack([len(msd) - lags for msd in msds]).astype(float)
    stacked = np.stack([msd[:n_frames] for msd in msds])
    return np.asarray(np.einsum("rl,rlx->lx", origins / origins.sum(axis=0), stacked))


def species_msd(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    elements: Sequence[str] | None = None,
    reference: Reference = "framework",
    first_frames: Sequence[int] | None = None,
    axes: NDArray[np.float64] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
) -> dict[str, NDArray[np.float64]]:
    """MSD of each element [Å²], each of shape ``(lag, axis)``, by symbol.

    Parameters and errors are those of :func:`dasksse.analyse.sample.sample_trajectories`, but
    that `axes` may be any directions, such as unit vectors along a, b and c of an oblique cell,
    and that `elements` may name the elements; all of them if None.
    """

    def follow_run(plan: Plan) -> IonPaths:
        return follow(
            plan.run, mobile, reference=reference, first_frame=plan.first_frame, axes=axes
        )

    msds = {}
    present = {chemical_symbols[number] for run in runs for number in run.numbers}
    for symbol in sorted(present if elements is None else elements):
        plans = plan_runs(runs, symbol, first_frames, memory_bytes)
        sums = sum_up(plans, follow_run, np.empty(0, np.int64), memory_bytes, starmap)
        msds[symbol] = pooled([part.squared.T / plans[0].n_atoms for part in sums])
    return msds
