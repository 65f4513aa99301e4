"""MSD slopes of a set of runs and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.gls import fit_line, variance_of
from dasksse.analyse.intervals import Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.gls import Line
    from dasksse.analyse.sample import Sample

JUMP_LENGTH_A = 2.5
"""Distance between neighbouring sites of a typical lithium or sodium conductor [Å]."""
LONGEST_LAG = 1 / 3
"""Share of the run beyond which too few independent time origins are left."""
FEWEST_LAGS = 4
"""A line is fitted to at least so many points."""
LONG_STRETCHES = 8
"""Stretches where lags are too long for the many short ones of a sample."""
CONFIDENT_JUMPS = 3.0
"""Seeing no jump at all excludes more than this many expected ones at 95 %."""
TWO_SIDED_90 = 0.9
"""Confidence of the interval whose upper end is a bound of 95 %."""
DOUBT_IONS, DOUBT_STRETCHES, DOUBT_RUNS = 0.2, 0.4, 0.1
"""Probability, before anything is seen, that ions differ by more than a random walk does, that
they move in concert, and that runs differ by more than their stretches do."""


@dataclass(frozen=True)
class Reach:
    """A sample up to the longest lag with enough time origins.

    Attributes
    ----------
    sample
        MSDs of all runs.
    lags
        Lags of the grid [frames], shape ``(lag,)``.
    msd_xyz, collective_xyz
        MSD and collective MSD along each axis [Å²], shape ``(lag, xyz)``.
    short_stretches, long_stretches
        MSD of each stretch of each run along each axis [Å²], for many and for few stretches,
        shape ``(run, stretch, lag, xyz)``; NaN where a stretch has no time origin.
    """

    sample: Sample
    lags: NDArray[np.int64]
    msd_xyz: NDArray[np.float64]
    collective_xyz: NDArray[np.float64]
    short_stretches: NDArray[np.float64]
    long_stretches: NDArray[np.float64]

    @property
    def msd(self) -> NDArray[np.float64]:
        """MSD [Å²], shape ``(lag,)``."""
        return np.asarray(self.msd_xyz.sum(axis=1))

    def fit(self, start: float, stop: float) -> Line:
        """Straight line through the MSD between two lags [frames]."""
        inside = (self.lags >= start) & (self.lags <= stop)
        return fit_line(self.lags, self.msd_xyz, self.sample.n_frames, inside)

    def of_each_ion(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted sum over the MSD of each ion of each run, shape ``(walker,)``."""
        values = self.sample.walker_xyz[:, : len(self.lags)]
        return np.tensordot(values, weights, axes=2)

    def of_each_stretch(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted sum over the MSD of each stretch of each run, shape ``(run, stretch)``.

        Stretches are the short ones if they have time origins at all lags with a weight.
        """
        used = np.flatnonzero(weights.any(axis=1))
        for stretches in (self.short_stretches, self.long_stretches):
            values = np.tensordot(stretches[:, :, used], weights[used], axes=2)
            if np.isfinite(values).all():
                break
        return np.asarray(values)


def reach_of(sample: Sample) -> Reach:
    """What of a sample can be fitted."""
    lags = sample.grid[sample.grid <= max(sample.n_frames * LONGEST_LAG, FEWEST_LAGS)]
    stretches = sample.block_xyz[:, : len(lags)].reshape(sample.n_runs, -1, len(lags), 3)
    return Reach(
        sample,
        lags,
        sample.msd_xyz[lags],
        sample.collective_xyz[lags],
        stretches,
        _joined(stretches),
    )


def _joined(stretches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fewer and longer stretches, which have time origins at longer lags too."""
    joined = np.full((len(stretches), LONG_STRETCHES, *stretches.shape[2:]), np.nan)
    for run, at in np.ndindex(len(stretches), stretches.shape[2]):
        values = stretches[run, :, at]
        known = values[np.isfinite(values[:, 0])]
        if len(known) >= LONG_STRETCHES:
            first = np.arange(LONG_STRETCHES) * len(known) // LONG_STRETCHES
            counts = np.diff(first, append=len(known))[:, None]
            joined[run, :, at] = np.add.reduceat(known, first, axis=0) / counts
    return joined


def spread_of(
    reach: Reach, weights: NDArray[np.float64], line: Line, *, start: float
) -> Spread:
    """Error of a weighted sum over the MSD, such as its slope.

    It starts from the exact variance for independent random walkers, and grows where the data
    say so: by the scatter of ions (rare jumps, uneven ions), then of stretches of the runs
    (ions that move together), then of whole runs (what changes too slowly to be seen in one).
    A scatter that could be chance changes little.

    Parameters
    ----------
    reach
        MSDs of all runs.
    weights
        Weight of each point, shape ``(lag, xyz)``.
    line
        Random walk that the ions are on.
    start
        Shortest lag that matters [frames]: motion is independent after about twice this.
    """
    sample, lags = reach.sample, reach.lags
    n_ions = sample.n_walkers
    one_ion = variance_of(weights, line, lags, sample.n_frames)
    spread = Spread(one_ion / n_ions, np.ones(1))
    by_ion = reach.of_each_ion(weights)
    if n_ions > 1:
        scatter = float(np.var(by_ion, ddof=1))
        spread = spread.exceeding(scatter / n_ions, n_ions - 1, doubt=DOUBT_IONS)
    by_stretch = reach.of_each_stretch(weights)
    n_stretches = by_stretch.shape[1]
    one_stretch = variance_of(weights, line, lags, sample.n_frames, n_stretches=n_stretches)
    if np.isfinite(by_stretch).all() and one_stretch > one_ion > 0.0:
        # stretches overlap by a lag, so they scatter less than independent ones
        expected = n_stretches / (n_stretches - 1) * (one_stretch - one_ion)
        scatter = float(np.mean(np.var(by_stretch, axis=1, ddof=1)))
        observed = scatter / expected * one_ion / sample.n_runs
        independent = min(n_stretches, sample.n_frames / (2.0 * start))
        dof = sample.n_runs * (independent - 1.0)
        spread = spread.exceeding(observed, dof, doubt=DOUBT_STRETCHES)
    if sample.n_runs > 1:
        means = [by_ion[sample.run_of_walker == run].mean() for run in range(sample.n_runs)]
        observed = float(np.var(means, ddof=1)) / sample.n_runs
        spread = spread.exceeding(observed, sample.n_runs - 1, doubt=DOUBT_RUNS)
    return spread


def effective_jumps(sample: Sample, slope: float) -> float:
    """Jumps between neighbouring sites that would give this MSD slope [Å²/frame].

    Notes
    -----
    Total squared displacement over the squared jump length (He et al.,
    doi:10.1038/s41524-018-0074-y).
    """
    return max(slope, 0.0) * sample.n_frames * sample.n_walkers / JUMP_LENGTH_A**2


def countable_jumps(reach: Reach, line: Line, start: float) -> float:
    """Jumps whose number limits the error, whatever their length; infinite without jumps.

    Ions that jump seldom have a non-Gaussian parameter of 0.6 over the jumps per lag, where
    rattling adds nothing. Smooth motion has none, and no counting error either. Long jumps are
    counted by their length.

    Parameters
    ----------
    reach
        MSDs of all runs.
    line
        Line through the MSD.
    start
        Lag at which jumps are told from smooth motion [frames].
    """
    at = int(np.searchsorted(reach.lags, start))
    sample, lag = reach.sample, float(reach.lags[at])
    non_gaussian = float(sample.non_gaussian[at])
    if not non_gaussian > 0.0:
        return np.inf
    share = min(line.slope * lag / float(reach.msd[at]), 1.0)
    by_shape = 0.6 * share**2 / non_gaussian / lag * sample.n_frames * sample.n_walkers
    return max(by_shape, effective_jumps(sample, line.slope))


def slope_bound(reach: Reach, line: Line, fitted: Spread) -> float:
    """Slope [Å²/frame] that the true one does not exceed, with about 95 % confidence.

    The apparent slope MSD / lag falls with the lag unless motion is ballistic, so its value at
    the longest lag bounds the limit. It is raised to the bound of the fitted slope, and to that
    of a few jumps that a run may have missed by chance.

    Parameters
    ----------
    reach
        MSDs of all runs.
    line
        Line through the last window tried.
    fitted
        Error of its slope.
    """
    lag = float(reach.lags[-1])
    weights = np.zeros_like(reach.msd_xyz)
    weights[-1] = 1.0 / lag
    sample = reach.sample
    variance = variance_of(weights, line, reach.lags, sample.n_frames) / sample.n_walkers
    apparent = Spread(variance, fitted.excess)
    seen = float(reach.msd[-1]) / lag + apparent.half_width(TWO_SIDED_90)
    unseen = CONFIDENT_JUMPS * JUMP_LENGTH_A**2 / sample.n_walkers / sample.n_frames
    return max(seen, unseen, line.slope + fitted.half_width(TWO_SIDED_90))
