"""Straight line through an MSD by generalised least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.random_walk import msd_covariance, slope_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIDGE = 0.05
"""Share of its variance by which each point of the MSD is taken for noisier than a random walk
makes it. It keeps the weights smooth: without it they would take differences of neighbouring
lags, and rely on details that real ions do not share with the model."""
ITERATIONS = 3
"""Rounds of covariance and slope: each follows from the other."""
LEAST_STEP = 1e-12
"""Smallest step variance over largest MSD, so that the covariance has an inverse."""


@dataclass(frozen=True)
class Line:
    """Straight line through the MSD along each axis, ``2 noise + step × lag``.

    Attributes
    ----------
    weights
        The slope is the sum of these times the MSD [1/frame], shape ``(lag, xyz)``; 0 at lags
        that were not fitted.
    slope_xyz
        Slope along each axis [Å²/frame], shape ``(xyz,)``.
    step_variance, noise_variance
        Random walk with this MSD: variance of a step between frames and of the rattling about
        the path [Å²], shapes ``(xyz,)``.
    """

    weights: NDArray[np.float64]
    slope_xyz: NDArray[np.float64]
    step_variance: NDArray[np.float64]
    noise_variance: NDArray[np.float64]

    @property
    def slope(self) -> float:
        """Slope of the summed MSD [Å²/frame]."""
        return float(self.slope_xyz.sum())

    def scaled(self, factor: float) -> Line:
        """Line of motion whose squared displacements are larger by a factor."""
        return Line(
            self.weights,
            factor * self.slope_xyz,
            factor * self.step_variance,
            factor * self.noise_variance,
        )


def fit_line(
    lags: NDArray[np.int64],
    msd_xyz: NDArray[np.float64],
    n_frames: int,
    inside: NDArray[np.bool_],
) -> Line:
    """Straight line of least variance through the MSD in a window of lags.

    Parameters
    ----------
    lags
        Lags [frames] in ascending order, shape ``(lag,)``.
    msd_xyz
        MSD along each axis [Å²], shape ``(lag, xyz)``.
    n_frames
        Length of a run [frames].
    inside
        Lags that are fitted, at least two, shape ``(lag,)``.

    Notes
    -----
    Points of an MSD share their displacements, so plain least squares gives the noisy long lags
    far too much weight. With the covariance of a random walk that rattles in cages the
    line is about as good as one can be (McCluskey et al., arXiv:2305.18244, do the same with a
    covariance without rattling).
    """
    columns = [_fit_axis(lags, msd, n_frames, inside) for msd in msd_xyz.T]
    weights = np.zeros_like(msd_xyz)
    weights[inside] = np.stack([column[0] for column in columns], axis=1)
    slopes, intercepts = (np.array([column[k] for column in columns]) for k in (1, 2))
    return Line(weights, slopes, np.maximum(slopes, 0.0), np.maximum(intercepts / 2.0, 0.0))


def _fit_axis(
    lags: NDArray[np.int64],
    msd: NDArray[np.float64],
    n_frames: int,
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], float, float]:
    """Weights of the slope, slope and intercept of the line along one axis."""
    used, points = lags[inside], msd[inside]
    weights = slope_weights(used)
    slope = float(weights @ points)
    intercept = float(np.mean(points) - slope * np.mean(used))
    largest = float(points.max())
    design = np.stack([np.ones(len(used)), used], axis=1)
    for _ in range(ITERATIONS if largest > 0.0 else 0):
        every = msd_covariance(
            lags,
            n_frames,
            step_variance=max(slope / largest, LEAST_STEP),
            noise_variance=max(intercept / largest / 2.0, 0.0),
        )
        covariance = every[np.ix_(inside, inside)]
        covariance += RIDGE * np.diag(np.diag(covariance))
        weighted = np.linalg.solve(covariance, design)
        estimator = np.linalg.solve(design.T @ weighted, weighted.T)
        intercept, slope = (float(value) for value in estimator @ points)
        weights = estimator[1]
    return weights, slope, intercept


def variance_of(
    weights: NDArray[np.float64],
    line: Line,
    lags: NDArray[np.int64],
    n_frames: int,
    *,
    n_stretches: int = 1,
) -> float:
    """Variance of a weighted sum over the MSD of one random walker.

    Parameters
    ----------
    weights
        Weight of each point, shape ``(lag, xyz)``.
    line
        Walk that the walker is on.
    lags
        Lags [frames], shape ``(lag,)``.
    n_frames
        Length of the walk [frames].
    n_stretches
        Average only over the time origins of one of so many stretches.
    """
    variance = 0.0
    for column, step, noise in zip(
        weights.T, line.step_variance, line.noise_variance, strict=True
    ):
        covariance = msd_covariance(
            lags,
            n_frames,
            step_variance=step,
            noise_variance=noise,
            n_stretches=n_stretches,
        )
        variance += float(column @ covariance @ column)
    return variance
