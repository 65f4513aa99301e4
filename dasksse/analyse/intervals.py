"""Standard errors from several estimates of a variance, and intervals for what is above 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

P68, P95 = 0.682689, 0.95
"""Confidence of the two intervals that are stated; the first is one standard error wide."""
LOG_STEP = 0.05
"""Resolution of the excess of a variance: 5 %."""
LARGEST_EXCESS = 100.0
PRECISE = 1e-4
"""Accuracy of a half width over the standard error."""


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Interval of a multiple."""
        return Interval(factor * self.low, factor * self.high)


@dataclass(frozen=True)
class Spread:
    """Distribution of the error of an estimate: normal, with a variance known only roughly.

    Attributes
    ----------
    variance
        Variance if nothing exceeded it.
    excess
        Probability that the variance is larger by ``exp(k × LOG_STEP)``, shape ``(k,)``.
    """

    variance: float
    excess: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Half width of the 68 % interval."""
        return self.half_width(P68)

    def half_width(self, confidence: float) -> float:
        """How far the truth is away at most, with this confidence.

        Few samples give wide tails, like those of Student's distribution.
        """
        if not self.variance > 0.0:
            return 0.0
        errors = np.exp(0.5 * LOG_STEP * np.arange(len(self.excess)))

        def beyond(half_width: float) -> float:
            return float(self.excess @ (2.0 * ndtr(half_width / errors) - 1.0)) - confidence

        return float(np.sqrt(self.variance)) * float(
            brentq(beyond, 0.0, 10.0 * errors[-1], xtol=PRECISE)
        )

    def exceeding(self, observed: float, dof: float, *, doubt: float) -> Spread:
        """The same after another estimate of the variance.

        Parameters
        ----------
        observed
            Variance that some scatter suggests, compared with the mean of what is believed.
        dof
            Degrees of freedom of that scatter, above 0.
        doubt
            Probability before the fact that there is an excess at all.

        Notes
        -----
        Bayes' rule for a variance that is at least the believed one: equal to it, or larger by
        a factor whose logarithm is anything. Taking the larger of two noisy estimates would be
        too large on average, and a test for significance blind just below its limit.
        """
        if not self.variance > 0.0:
            return self
        logs = np.arange(0.0, np.log(LARGEST_EXCESS), LOG_STEP)
        prior = np.full(len(logs), doubt / (len(logs) - 1))
        prior[0] = 1.0 - doubt
        likelihood = -0.5 * dof * (logs + observed / self.mean_variance * np.exp(-logs))
        posterior = prior * np.exp(likelihood - likelihood.max())
        return Spread(self.variance, np.convolve(self.excess, posterior / posterior.sum()))

    @property
    def mean_variance(self) -> float:
        """Mean of the variance."""
        factors = np.exp(LOG_STEP * np.arange(len(self.excess)))
        return self.variance * float(self.excess @ factors)

    def widened(self, variance: float) -> Spread:
        """The same with an independent error on top."""
        return Spread(self.variance + variance, self.excess)


@dataclass(frozen=True)
class Estimate:
    """A number above 0 with its uncertainty.

    Attributes
    ----------
    value
        Estimate.
    error
        Standard error.
    within68, within95
        Intervals that hold the truth with 68 and 95 % probability.
    """

    value: float
    error: float
    within68: Interval
    within95: Interval

    def scaled(self, factor: float) -> Estimate:
        """Estimate of a multiple."""
        return Estimate(
            factor * self.value,
            factor * self.error,
            self.within68.scaled(factor),
            self.within95.scaled(factor),
        )

    def over(self, other: Estimate) -> Estimate:
        """Ratio to another number, with independent errors.

        Notes
        -----
        Log half widths are added in quadrature, each end with the one that pushes the same way
        (method of variance estimates recovery, Zou and Donner, doi:10.1002/sim.3095).
        """
        ratio = self.value / other.value
        relative = float(np.hypot(self.error / self.value, other.error / other.value))
        ends = []
        for above, below in ((self.within68, other.within68), (self.within95, other.within95)):
            down = np.hypot(np.log(above.low / self.value), np.log(below.high / other.value))
            up = np.hypot(np.log(above.high / self.value), np.log(below.low / other.value))
            ends.append(Interval(float(ratio * np.exp(-down)), float(ratio * np.exp(up))))
        return Estimate(ratio, ratio * relative, *ends)


def log_normal(value: float, spread: Spread) -> Estimate:
    """Estimate of a sum of many contributions, whose logarithm has a symmetric error.

    Parameters
    ----------
    value
        Estimate, above 0.
    spread
        Its error.
    """
    factors = [
        float(np.exp(spread.half_width(confidence) / value)) for confidence in (P68, P95)
    ]
    ends = [Interval(value / factor, value * factor) for factor in factors]
    return Estimate(value, spread.error, *ends)


def chi_square(value: float, error: float) -> Estimate:
    """Estimate of a mean of few squares, such as the collective D of one run.

    Parameters
    ----------
    value
        Estimate, above 0.
    error
        Standard error, which gives the number of independent squares, ``2 (value / error)²``.
    """
    dof = 2.0 * (value / error) ** 2
    tails = [0.5 * (1.0 - confidence) for confidence in (P68, P95)]
    ends = [
        Interval(value * dof / float(chdtri(dof, p)), value * dof / float(chdtri(dof, 1 - p)))
        for p in tails
    ]
    return Estimate(value, error, *ends)
