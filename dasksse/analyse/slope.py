"""MSD slopes of a set of runs and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtrit

from dasksse.analyse.random_walk import slope_error, slope_weights
from dasksse.analyse.regime import JUMP_LENGTH_A, LONGEST_LAG
from dasksse.analyse.sample import N_BLOCKS, msd_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.sample import Sample

CONFIDENT_JUMPS = 3.0
"""Seeing no jump at all excludes more than this many expected ones at 95 %."""
ONE_SIDED_95 = 1.645


@dataclass(frozen=True)
class Slope:
    """Slope of an MSD [Å²/frame], along each axis and in all, and its standard error."""

    value: float
    error: float
    xyz: tuple[float, float, float]


def tracer_slope(
    sample: Sample, lags: NDArray[np.int64], *, slope_change: float = 0.0
) -> Slope:
    """Least-squares slope of the MSD with the largest of four standard errors.

    Each is blind to something: the exact one of a random walk takes ions for independent and
    jumps for small; the scatter of ions sees rare jumps and uneven ions, not concerted motion;
    the scatter of stretches of the runs sees that too, where stretches exceed the lags; and
    no estimate can beat one over the root of the number of jumps.

    Parameters
    ----------
    sample
        MSDs of all runs.
    lags
        Lags [frames] of the fit, shape ``(lag,)``.
    slope_change
        Relative change of the slope at longer lags beyond noise, added in quadrature.
    """
    xyz = slope_weights(lags) @ sample.msd_xyz[lags]
    slope = float(xyz.sum())
    errors = [
        slope_error(lags, sample.msd_xyz[lags], sample.n_frames, sample.n_walkers),
        slope / np.sqrt(max(effective_jumps(sample, slope), 1.0)),
    ]
    inside = (sample.grid >= lags[0]) & (sample.grid <= lags[-1])
    groups = [sample.by_walker]
    if lags[-1] * N_BLOCKS <= sample.n_frames:
        groups.append(sample.by_block)
    if np.count_nonzero(inside) > 1:
        weights = slope_weights(sample.grid[inside])
        errors += [_error_of_mean(group[:, inside] @ weights) for group in groups]
    error = float(np.hypot(max(errors), slope * slope_change))
    return Slope(slope, error, (float(xyz[0]), float(xyz[1]), float(xyz[2])))


def collective_slope(sample: Sample, lags: NDArray[np.int64]) -> Slope:
    """Slope of the collective MSD with the exact standard error of a random walk.

    The summed displacement is one Gaussian walker in each run, as it sums many jumps.

    Parameters
    ----------
    sample
        MSDs of all runs.
    lags
        Lags [frames] of the fit, shape ``(lag,)``.
    """
    msd_xyz = sample.collective_xyz[lags]
    xyz = slope_weights(lags) @ msd_xyz
    error = slope_error(lags, msd_xyz, sample.n_frames, sample.n_runs)
    return Slope(float(xyz.sum()), error, (float(xyz[0]), float(xyz[1]), float(xyz[2])))


def effective_jumps(sample: Sample, slope: float) -> float:
    """Jumps between neighbouring sites that would give this MSD slope [Å²/frame].

    Notes
    -----
    Total squared displacement over the squared jump length (He et al.,
    doi:10.1038/s41524-018-0074-y).
    """
    return max(slope, 0.0) * sample.n_frames * sample.n_walkers / JUMP_LENGTH_A**2


def slope_bound(sample: Sample, fitted: Slope) -> float:
    """Slope [Å²/frame] that the true one does not exceed, with about 95 % confidence.

    The apparent slope MSD / lag falls with the lag unless motion is ballistic, so its value at
    the longest well-sampled lag bounds the limit. It is raised to the bound of the fitted
    slope, and to that of a few jumps that a run may have missed by chance.

    Parameters
    ----------
    sample
        MSDs of all runs.
    fitted
        Slope of the last window tried.
    """
    lag = max(1, int(sample.n_frames * LONGEST_LAG))
    msd = float(sample.msd_xyz[lag].sum())
    seen = (msd + ONE_SIDED_95 * float(msd_error(sample)[lag])) / lag
    unseen = CONFIDENT_JUMPS * JUMP_LENGTH_A**2 / sample.n_walkers / sample.n_frames
    return max(seen, unseen, fitted.value + ONE_SIDED_95 * fitted.error)


def _error_of_mean(values: NDArray[np.float64]) -> float:
    """Half width of the 68 % Student interval of the mean; 0 where it cannot be known."""
    known = values[np.isfinite(values)]
    if len(known) < 2:  # noqa: PLR2004 - one value has no scatter
        return 0.0
    return float(
        np.std(known, ddof=1) / np.sqrt(len(known)) * stdtrit(len(known) - 1, ndtr(1.0))
    )
