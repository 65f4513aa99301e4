"""Fit of ln D by maximum likelihood, with upper bounds as censored data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erfcx, log_ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONE_SIDED_95 = 1.645
BOUND_WIDTH = 0.25
"""Width in ln D at which an upper bound sets in, the usual relative error of the estimate it is
made of. A law well below the bound is left alone, as a bound says nothing there; a wider one
pulls, and Ea comes out too large where bounds lie close above the true D."""
NEWTON_STEPS = 50
NEWTON_TOLERANCE = 1.0e-12


@dataclass(frozen=True)
class Observations:
    """Measured ln D and upper bounds of it.

    Attributes
    ----------
    temperature_K, ln_D, ln_err
        Points: temperature [K], ln(D / (m²/s)) and its standard error, shape ``(point,)``.
    bound_K, ln_bound
        Bounds: temperature [K] and ln of the 95 % upper bound [m²/s], shape ``(bound,)``.
    """

    temperature_K: NDArray[np.float64]
    ln_D: NDArray[np.float64]
    ln_err: NDArray[np.float64]
    bound_K: NDArray[np.float64]
    ln_bound: NDArray[np.float64]

    @property
    def n_temperatures(self) -> int:
        """Different temperatures with a D."""
        return len(np.unique(self.temperature_K))

    def without_bounds(self) -> Observations:
        """Only the points."""
        none = np.empty(0)
        return Observations(self.temperature_K, self.ln_D, self.ln_err, none, none)


@dataclass(frozen=True)
class LinearFit:
    """Coefficients of largest likelihood, their covariance, and how well they fit.

    ``chi2`` is that of the points; ``deviance`` is -2 ln likelihood with the bounds.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi2: float
    deviance: float


def fit_linear(
    at_points: NDArray[np.float64], at_bounds: NDArray[np.float64], data: Observations
) -> LinearFit:
    """Coefficients of largest likelihood of a law linear in them.

    Parameters
    ----------
    at_points, at_bounds
        Factors of the coefficients, shapes ``(point, coefficient)`` and
        ``(bound, coefficient)``.
    data
        What was measured.

    Notes
    -----
    Points are normal in ln D. A bound b at which the law gives D has the likelihood
    ``Phi((ln b - ln D) / w - 1.645)``: 5 % for a D at the bound, and 1 far below it. This is
    concave, so Newton's steps find the one maximum; without bounds the first step is weighted
    least squares.
    """
    weight = data.ln_err**-2
    of_points = at_points.T @ (weight[:, None] * at_points)
    information = of_points
    line = np.linalg.solve(of_points, at_points.T @ (weight * data.ln_D))
    for _ in range(NEWTON_STEPS if len(data.ln_bound) else 0):
        z = _bound_scores(at_bounds @ line, data)
        mills = np.sqrt(2.0 / np.pi) / erfcx(-z / np.sqrt(2.0))  # density over probability
        pull = at_bounds.T @ mills / BOUND_WIDTH
        gradient = at_points.T @ (weight * (data.ln_D - at_points @ line)) - pull
        bend = mills * (z + mills) / BOUND_WIDTH**2
        information = of_points + at_bounds.T @ (bend[:, None] * at_bounds)
        step = np.linalg.solve(information, gradient)
        line = line + step
        if gradient @ step < NEWTON_TOLERANCE:
            break
    chi2 = float(weight @ (data.ln_D - at_points @ line) ** 2)
    deviance = chi2 - 2.0 * float(log_ndtr(_bound_scores(at_bounds @ line, data)).sum())
    covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return LinearFit(np.asarray(line, dtype=np.float64), covariance, chi2, deviance)


def _bound_scores(ln_D: NDArray[np.float64], data: Observations) -> NDArray[np.float64]:
    """Normal scores of the bounds for a law's ln D at them, shape ``(bound,)``."""
    return (data.ln_bound - ln_D) / BOUND_WIDTH - ONE_SIDED_95
