"""Mean-squared displacements of a set of runs, reduced to what estimates of D need."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.block_sums import N_BLOCKS, plan_runs, pooled, sum_up
from dasksse.analyse.msd import msd_of_each_atom, squared_displacements
from dasksse.analyse.paths import MEMORY_BYTES, follow
from dasksse.analyse.regime import lag_grid
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.block_sums import BlockSums, Plan, Starmap
    from dasksse.analyse.paths import IonPaths, Reference
    from dasksse.records import Trajectory

__all__ = ["N_BLOCKS", "Sample", "msd_error", "sample_runs", "sample_trajectories"]


@dataclass(frozen=True)
class Sample:
    """Mean-squared displacements of the same ions in one or more runs.

    Attributes
    ----------
    n_frames
        Length of the shortest run [frames]; lags end there.
    n_runs
        Number of runs.
    msd_xyz, collective_xyz
        MSD and collective MSD along each axis [Å²], shape ``(lag, xyz)``. The collective one is
        ``<(sum_i q_i dr_i)²>`` over the sum of ``q_i²`` of the mobile ions: equal to the MSD
        where these move independently of each other.
    grid
        Lags of the next fields [frames], shape ``(grid,)``.
    walker_xyz
        MSD of each ion of each run along each axis [Å²], shape ``(walker, grid, xyz)``.
    block_xyz
        MSD of each stretch of each run along each axis [Å²], shape ``(block, grid, xyz)``; NaN
        at long lags.
    run_of_walker, run_of_block
        Run that an ion or a stretch belongs to, shapes ``(walker,)`` and ``(block,)``.
    fourth_power
        Mean fourth power of the displacement [Å⁴], shape ``(grid,)``.
    collective_block_xyz
        Collective MSD of each stretch of each run [Å²], shape ``(block, grid, xyz)``; NaN at
        long lags.
    frames_per_run
        Length of each run [frames], shape ``(run,)``.
    """

    n_frames: int
    n_runs: int
    msd_xyz: NDArray[np.float64]
    collective_xyz: NDArray[np.float64]
    grid: NDArray[np.int64]
    walker_xyz: NDArray[np.float64]
    block_xyz: NDArray[np.float64]
    run_of_walker: NDArray[np.int64]
    run_of_block: NDArray[np.int64]
    fourth_power: NDArray[np.float64]
    collective_block_xyz: NDArray[np.float64]
    frames_per_run: NDArray[np.int64]

    @property
    def by_walker(self) -> NDArray[np.float64]:
        """MSD of each ion of each run [Å²], shape ``(walker, grid)``."""
        return np.asarray(self.walker_xyz.sum(axis=-1))

    @property
    def by_block(self) -> NDArray[np.float64]:
        """MSD of each stretch of each run [Å²], shape ``(block, grid)``."""
        return np.asarray(self.block_xyz.sum(axis=-1))

    @property
    def n_walkers(self) -> int:
        """Ions of all runs together."""
        return len(self.walker_xyz)

    @property
    def scatter(self) -> NDArray[np.float64]:
        """MSD of independent samples [Å²]: ions, or stretches of the run of a lone ion."""
        return self.by_walker if self.n_walkers > 1 else self.by_block

    @property
    def non_gaussian(self) -> NDArray[np.float64]:
        """``3 <r⁴> / 5 <r²>² - 1`` at the lags of the grid: 0 for a random walk."""
        squared = self.by_walker.mean(axis=0)
        return np.asarray(0.6 * self.fourth_power / np.maximum(squared, 1e-30) ** 2 - 1.0)


def sample_trajectories(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    reference: Reference = "framework",
    first_frames: Sequence[int] | None = None,
    axes: NDArray[np.float64] | None = None,
    charges: Mapping[str, float] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
) -> Sample:
    """Average the squared displacements of ions over origins, ions and runs.

    Positions are read once, a block of ions at a time, and never held together.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature. Longer ones are used in full, up to
        lags of the shortest.
    mobile
        Symbol of the mobile element.
    reference
        Whose centre of mass stands still.
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    axes
        Three directions at right angles instead of x, y and z, as rows, shape
        ``(axis, xyz)``; see :func:`dasksse.analyse.paths.axes_along`.
    charges
        Charge of each element that counts for the collective displacement [e]; the mobile
        ions alone if None.
    memory_bytes
        Memory for the work on one block of ions, of which `starmap` may do several at a time.
    starmap
        What calls the kernel for each block: one after the other if not given.

    Raises
    ------
    AnalysisError
        If there is no run, an element is absent, runs differ in their number of mobile ions, a
        run is shorter than two frames, a position is not finite, axes are not at right angles,
        mobile ions have no charge, or the memory does not do for one ion.
    """
    charges = {mobile: 1.0} if charges is None else charges
    _check_axes(axes)
    plans = plan_runs(runs, mobile, first_frames, memory_bytes)
    grid = lag_grid(min(plan.n_frames for plan in plans))
    norm = plans[0].n_atoms * charges.get(mobile, 0.0) ** 2
    if not norm > 0.0:
        msg = (
            f"charges {dict(charges)} must give the mobile element {mobile!r} one that is not 0"
        )
        raise AnalysisError(msg)
    charge_paths = []

    def follow_run(plan: Plan) -> IonPaths:
        paths = follow(
            plan.run, mobile, reference=reference, first_frame=plan.first_frame, axes=axes
        )
        charge_paths.append(paths.charge_path(charges))
        return paths

    sums = sum_up(plans, follow_run, grid, memory_bytes, starmap)
    return _sample(plans, sums, charge_paths, grid, norm)


def sample_runs(ions_per_run: Sequence[NDArray[np.floating]]) -> Sample:
    """Sample of ions whose positions are arrays.

    Parameters
    ----------
    ions_per_run
        Unwrapped positions of the ions free of drift [Å], each of shape
        ``(frame, ion, xyz)``, with the same ions in every run.

    Raises
    ------
    AnalysisError
        As from :func:`sample_trajectories`.
    """
    runs = [
        MemoryTrajectory(np.full(ions.shape[1], 1), ions, np.eye(3), 1.0, name=f"run {index}")
        for index, ions in enumerate(ions_per_run)
    ]
    return sample_trajectories(runs, "H", reference="none")


def msd_error(sample: Sample) -> NDArray[np.float64]:
    """Standard error of the MSD [Å²] from the scatter of ions, shape ``(lag,)``.

    A lone ion has no scatter: its error is that of a random walk, ``MSD × sqrt(4 lag / 9 T)``.
    """
    msd = sample.msd_xyz.sum(axis=1)
    lags = np.arange(sample.n_frames)
    if sample.n_walkers == 1:
        return np.asarray(msd * np.sqrt(4.0 * lags / 9.0 / sample.n_frames))
    error = np.std(sample.by_walker, axis=0, ddof=1) / np.sqrt(sample.n_walkers)
    return np.interp(lags, np.append(0, sample.grid), np.append(0.0, error))


def _sample(
    plans: Sequence[Plan],
    sums: Sequence[BlockSums],
    charge_paths: Sequence[NDArray[np.float64]],
    grid: NDArray[np.int64],
    norm: float,
) -> Sample:
    """Average of what was summed up of each run."""
    n_ions = plans[0].n_atoms
    runs = np.arange(len(plans))
    collective = [squared_displacements(path).T / norm for path in charge_paths]
    by_stretch = [
        msd_of_each_atom(path.transpose(2, 1, 0), grid, n_blocks=N_BLOCKS).by_block / norm
        for path in charge_paths
    ]
    return Sample(
        n_frames=min(plan.n_frames for plan in plans),
        n_runs=len(plans),
        msd_xyz=pooled([part.squared.T / n_ions for part in sums]),
        collective_xyz=pooled(collective),
        grid=grid,
        walker_xyz=np.concatenate([part.walkers for part in sums]),
        block_xyz=np.concatenate([part.stretches / n_ions for part in sums]),
        run_of_walker=np.repeat(runs, n_ions),
        run_of_block=np.repeat(runs, N_BLOCKS),
        fourth_power=np.mean([part.fourth / n_ions for part in sums], axis=0),
        collective_block_xyz=np.concatenate(by_stretch),
        frames_per_run=np.array([plan.n_frames for plan in plans]),
    )


def _check_axes(axes: NDArray[np.float64] | None) -> None:
    """Refuse axes along which displacements do not add up."""
    if axes is None:
        return
    if np.shape(axes) != (3, 3) or not np.allclose(axes @ axes.T, np.eye(3), atol=1e-9):
        msg = (
            f"axes {np.asarray(axes).tolist()} must be three unit vectors at right angles, one "
            "a row; axes_along makes them for a direction, and species_msd takes any"
        )
        raise AnalysisError(msg)
