"""Mean-squared displacements of a set of runs, reduced to what estimates of D need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.msd import collective_msd_per_axis, msd_of_each_atom, msd_per_axis
from dasksse.analyse.regime import lag_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

N_BLOCKS = 8
"""Stretches of a run whose scatter shows what the scatter of single ions misses."""


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
        MSD and collective MSD along each axis [Å²], shape ``(lag, xyz)``.
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


def sample_runs(ions_per_run: Sequence[NDArray[np.floating]]) -> Sample:
    """Average the squared displacements of ions over origins, ions and runs.

    Parameters
    ----------
    ions_per_run
        Unwrapped positions of the ions free of drift [Å], each of shape
        ``(frame, ion, xyz)``, with the same ions in every run.
    """
    n_frames = min(len(ions) for ions in ions_per_run)
    grid = lag_grid(n_frames)
    resolved = [msd_of_each_atom(ions, grid, n_blocks=N_BLOCKS) for ions in ions_per_run]
    runs = range(len(ions_per_run))
    return Sample(
        n_frames=n_frames,
        n_runs=len(ions_per_run),
        msd_xyz=_pooled([msd_per_axis(ions) for ions in ions_per_run], n_frames),
        collective_xyz=_pooled(
            [collective_msd_per_axis(ions) for ions in ions_per_run], n_frames
        ),
        grid=grid,
        walker_xyz=np.concatenate([part.by_atom for part in resolved]),
        block_xyz=np.concatenate([part.by_block for part in resolved]),
        run_of_walker=np.repeat(runs, [len(part.by_atom) for part in resolved]),
        run_of_block=np.repeat(runs, [len(part.by_block) for part in resolved]),
        fourth_power=np.mean([part.fourth_power for part in resolved], axis=0),
    )


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


def _pooled(msds: Sequence[NDArray[np.float64]], n_frames: int) -> NDArray[np.float64]:
    """Average over runs, each weighted by its number of time origins."""
    lags = np.arange(n_frames)
    origins = np.stack([len(msd) - lags for msd in msds]).astype(float)
    stacked = np.stack([msd[:n_frames] for msd in msds])
    return np.asarray(np.einsum("rl,rlx->lx", origins / origins.sum(axis=0), stacked))
