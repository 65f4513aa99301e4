"""How much of a scatter is real: the spread of models, with the sampling error taken off."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtrc, chdtri

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.records import Json

CONFIDENCE = 0.95
"""Of the interval of the spread."""
LEAST_PROBABILITY = 0.05
"""A scatter that sampling alone makes less often than this is more than sampling."""


@dataclass(frozen=True)
class Spread:
    """Values of one quantity from several models, each with its sampling error.

    All but `n_members` and the probability are in the unit of the values, variances in its
    square. For D the values are ln D, so that standard deviations are relative ones.

    Attributes
    ----------
    n_members
        Values.
    mean, mean_err
        Mean over the models, all with the same weight, and its standard error; it holds both
        the spread of the models and the sampling.
    variance_between
        Variance of the values, ``n_members - 1`` degrees of freedom.
    variance_sampling
        Mean of the squared sampling errors.
    variance_models
        What is left for the models, at least 0.
    models, models_low, models_high
        Its root, the standard deviation of the models, and the interval of that.
    probability
        Of so large a scatter if the models were all alike.
    """

    n_members: int
    mean: float
    mean_err: float
    variance_between: float
    variance_sampling: float
    variance_models: float
    models: float
    models_low: float
    models_high: float
    probability: float

    @property
    def is_beyond_sampling(self) -> bool:
        """Whether the models differ by more than sampling explains."""
        return self.probability < LEAST_PROBABILITY

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {**asdict(self), "is_beyond_sampling": self.is_beyond_sampling}


def member_spread(
    D: Sequence[float] | NDArray[np.floating],
    D_err: Sequence[float] | NDArray[np.floating],
    *,
    confidence: float = CONFIDENCE,
) -> Spread:
    """Spread of ln D across the members of an ensemble, without the sampling errors.

    Parameters
    ----------
    D, D_err
        Diffusion coefficients from runs that different members drove, and their standard
        errors, in one unit, shape ``(member,)``. The runs must be independent.
    confidence
        As for :func:`spread_beyond_errors`.

    Raises
    ------
    AnalysisError
        If a D is not above 0, or as from :func:`spread_beyond_errors`.
    """
    values = np.asarray(D, dtype=float)
    if not (values > 0.0).all():
        msg = f"D of members: found {values.tolist()}, must be above 0"
        raise AnalysisError(msg)
    errors = np.asarray(D_err, dtype=float) / values
    return spread_beyond_errors(np.log(values), errors, confidence=confidence)


def spread_beyond_errors(
    values: Sequence[float] | NDArray[np.floating],
    errors: Sequence[float] | NDArray[np.floating],
    *,
    confidence: float = CONFIDENCE,
) -> Spread:
    """Spread of values beyond what their errors explain.

    Parameters
    ----------
    values, errors
        Independent values and their standard errors, shape ``(member,)``.
    confidence
        Of the interval, such as 0.95.

    Raises
    ------
    AnalysisError
        If there are fewer than two values, an error is not above 0, or anything is not finite.

    Notes
    -----
    With values yᵢ = mean + bᵢ + eᵢ, where bᵢ has the variance τ² of the models and eᵢ the
    known variance sᵢ² of sampling, the variance of the values is τ² + mean(sᵢ²) on average. The
    estimate is therefore ``max(0, var(y) - mean(s²))``: the method of moments of DerSimonian
    and Laird (1986, doi:10.1016/0197-2456(86)90046-2) with equal weights (DerSimonian and
    Kacker 2007, doi:10.1016/j.cct.2006.04.004). The cut at 0 lifts its mean where the models
    are alike.

    The interval holds every τ² for which ``Q(τ²) = sum (yᵢ - ȳ)² / (sᵢ² + τ²)``, with ȳ the
    mean of these weights, is an ordinary value of chi² with ``n - 1`` degrees of freedom
    (Viechtbauer 2007, doi:10.1002/sim.2514). It is exact for normal values with known errors;
    with equal errors it is that of ``var(y)`` by chi², less s². With few members it is wide:
    for four, the upper end of 95 % is 3.7 times the scatter that was found. It ends at 0 where
    the values lie closer than their errors let expect: the errors are too large then, or it is
    chance. Errors are taken as they are: where they are too small, the rest is counted as
    spread of the models.
    """
    y, s = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
    if y.ndim != 1 or y.shape != s.shape or len(y) < 2:  # noqa: PLR2004 - one has no spread
        msg = f"values and errors of shapes {y.shape} and {s.shape}: need two or more of each"
        raise AnalysisError(msg)
    if not (np.isfinite(y).all() and np.isfinite(s).all() and (s > 0.0).all()):
        msg = f"values {y.tolist()}, errors {s.tolist()}: must be finite, errors above 0"
        raise AnalysisError(msg)
    if not 0.0 < confidence < 1.0:
        msg = f"confidence is {confidence:g}, must be between 0 and 1"
        raise AnalysisError(msg)
    freedom = len(y) - 1
    between, sampling = float(np.var(y, ddof=1)), float(np.mean(s**2))
    models = max(0.0, between - sampling)
    tail = (1.0 - confidence) / 2.0
    low, high = (_variance_with(y, s, chdtri(freedom, p)) for p in (tail, 1.0 - tail))
    return Spread(
        n_members=len(y),
        mean=float(y.mean()),
        mean_err=math.sqrt((models + sampling) / len(y)),
        variance_between=between,
        variance_sampling=sampling,
        variance_models=models,
        models=math.sqrt(models),
        models_low=math.sqrt(low),
        models_high=math.sqrt(high),
        probability=float(chdtrc(freedom, _scatter(y, s, 0.0))),
    )


def _scatter(y: NDArray[np.float64], s: NDArray[np.float64], variance: float) -> float:
    """Squared deviations from the weighted mean over their variances."""
    weights = 1.0 / (s**2 + variance)
    mean = np.average(y, weights=weights)
    return float(weights @ (y - mean) ** 2)


def _variance_with(y: NDArray[np.float64], s: NDArray[np.float64], scatter: float) -> float:
    """Variance of the models that gives this scatter; 0 where it is below that already."""
    if _scatter(y, s, 0.0) <= scatter:
        return 0.0
    most = float(np.sum((y - y.mean()) ** 2)) / scatter  # the scatter is less with this one
    return float(brentq(lambda variance: _scatter(y, s, variance) - scatter, 0.0, most))
