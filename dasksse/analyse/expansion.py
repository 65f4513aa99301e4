"""Thermal expansion: a straight line through lengths or volumes against temperature."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.records import Json

FEWEST_POINTS = 2


@dataclass(frozen=True)
class Expansion:
    """Line through sizes, relative to its value at the reference temperature.

    Attributes
    ----------
    coefficient_per_K, coefficient_err_per_K
        Slope over the size at the reference [1/K], and its standard error.
    at_reference, at_reference_err
        Size on the line at the reference temperature, and its standard error.
    reference_K
        Reference temperature [K].
    n_points
        Points of the fit.
    chi2_reduced
        Weighted squared residuals per degree of freedom; None for two points.
    chance
        Probability of so large a chi² or a larger one if the line is true; None likewise.
    """

    coefficient_per_K: float
    coefficient_err_per_K: float
    at_reference: float
    at_reference_err: float
    reference_K: float
    n_points: int
    chi2_reduced: float | None
    chance: float | None

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def linear_expansion(
    temperatures_K: Sequence[float],
    sizes: Sequence[float],
    errors: Sequence[float],
    *,
    reference_K: float,
) -> Expansion:
    """Weighted straight line, its slope over its value at the reference temperature.

    Parameters
    ----------
    temperatures_K
        Temperatures [K].
    sizes, errors
        Lengths or volumes and their standard errors, above 0, all in one unit.
    reference_K
        Temperature the coefficient belongs to [K].

    Raises
    ------
    AnalysisError
        With fewer than two temperatures, or an error that is not above 0.

    Notes
    -----
    Errors are those of the weights, enlarged by ``sqrt(chi2_reduced)`` where the points scatter
    by more.
    """
    if len(set(temperatures_K)) < FEWEST_POINTS:
        msg = f"a line needs two temperatures, found {len(set(temperatures_K))}"
        raise AnalysisError(msg)
    y, sigma = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    if not np.all(sigma > 0.0):
        msg = f"errors of the sizes must be above 0, found {sigma.tolist()}"
        raise AnalysisError(msg)
    x = np.asarray(temperatures_K, dtype=float) - reference_K
    design = np.stack([np.ones_like(x), x], axis=1) / sigma[:, None]
    covariance = np.linalg.inv(design.T @ design)
    level, slope = covariance @ design.T @ (y / sigma)
    freedom = len(x) - FEWEST_POINTS
    chi2 = float(np.sum(((y - level - slope * x) / sigma) ** 2))
    if freedom:
        covariance = covariance * max(chi2 / freedom, 1.0)
    gradient = np.array([-slope / level**2, 1.0 / level])
    return Expansion(
        coefficient_per_K=float(slope / level),
        coefficient_err_per_K=float(np.sqrt(gradient @ covariance @ gradient)),
        at_reference=float(level),
        at_reference_err=float(np.sqrt(covariance[0, 0])),
        reference_K=reference_K,
        n_points=len(x),
        chi2_reduced=chi2 / freedom if freedom else None,
        chance=float(chdtrc(freedom, chi2)) if freedom else None,
    )
