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
"""Smallest step variance over largest MSD: the covariance must have an inverse."""


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
    used, points = lags[inside].astype(np.float64), msd_xyz[inside]
    design = np.stack([np.ones(len(used)), used], axis=1)
    plain = np.stack([1.0 / len(used) - used.mean() * slope_weights(used), slope_weights(used)])
    estimators = np.stack([plain] * points.shape[1])
    scale = np.where(points.any(axis=0), points.max(axis=0), 1.0)
    for _ in range(ITERATIONS):
        intercepts, slopes = np.einsum("xkl,lx->kx", estimators, points / scale)
        covariance = msd_covariance(
            lags,
            n_frames,
            step_variance=np.maximum(slopes, LEAST_STEP),
            noise_variance=np.maximum(intercepts / 2.0, 0.0),
        )[:, inside][:, :, inside]
        covariance += RIDGE * covariance * np.eye(len(used))
        weighted = np.linalg.solve(
            covariance, np.broadcast_to(design, (len(scale), *design.shape))
        )
        transposed = weighted.transpose(0, 2, 1)
        estimators = np.linalg.solve(transposed @ design, transposed)
    intercepts, slopes = np.einsum("xkl,lx->kx", estimators, points)
    weights = np.zeros_like(msd_xyz)
    weights[inside] = estimators[:, 1].T
    return Line(weights, slopes, np.maximum(slopes, 0.0), np.maximum(intercepts / 2.0, 0.0))


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
    covariance = msd_covariance(
        lags,
        n_frames,
        step_variance=line.step_variance,
        noise_variance=line.noise_variance,
        n_stretches=n_stretches,
    )
    columns = weights.T[:, :, None]
    return float(np.sum(columns * (covariance @ columns)))
