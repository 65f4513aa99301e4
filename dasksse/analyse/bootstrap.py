"""Error of a mean by drawing stretches and runs again: a second opinion, without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_DRAWS = 1000
FEWEST_RUNS = 4
"""Runs are drawn again where there are so many; fewer tell nothing about their scatter."""


def bootstrap_error(
    by_stretch: NDArray[np.float64], *, seed: int = 0, n_draws: int = N_DRAWS
) -> float:
    """Standard deviation of the mean when stretches, and runs if there are some, are redrawn.

    Parameters
    ----------
    by_stretch
        A quantity in each stretch of each run, at least two stretches, shape
        ``(run, stretch)``.
    seed
        Seed of the draws.
    n_draws
        Number of draws.

    Notes
    -----
    Stretches are taken for independent, so they should be longer than the memory of the
    motion. The mean of ``n`` draws scatters by a factor ``(n - 1) / n`` too little in its
    variance, which is put right.
    """
    n_runs, n_stretches = by_stretch.shape
    rng = np.random.default_rng(seed)
    runs = np.broadcast_to(np.arange(n_runs), (n_draws, n_runs))
    few = n_stretches
    if n_runs >= FEWEST_RUNS:
        runs = rng.integers(n_runs, size=(n_draws, n_runs))
        few = n_runs
    stretches = rng.integers(n_stretches, size=(n_draws, n_runs, n_stretches))
    means = by_stretch[runs[..., None], stretches].mean(axis=(1, 2))
    return float(np.std(means) * np.sqrt(few / (few - 1)))
