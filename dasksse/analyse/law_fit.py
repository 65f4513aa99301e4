"""Fit of a law of D(T) to points and bounds, with intervals; tests of one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, ndtr

from dasksse.analyse.censored_fit import fit_linear
from dasksse.analyse.temperature_laws import LAWS, inverse_kT
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.censored_fit import Observations
    from dasksse.analyse.temperature_laws import Form

BISECTIONS = 60


@dataclass(frozen=True)
class LawFit:
    """A law fitted to points and bounds, for every scanned temperature.

    Each scanned temperature has its best coefficients with their covariance, and a weight: the
    likelihood it reaches. Values are those of the best one; errors and intervals are those of
    all, mixed by weight, so that they hold the doubt about kink or T0. One line has nothing to
    scan, and its intervals are the usual ones.

    Attributes
    ----------
    form
        Name of the law.
    scanned_K
        Temperatures tried for kink or T0 [K], shape ``(scanned,)``; NaN for a line.
    weight
        Their weights, sum 1, shape ``(scanned,)``.
    coefficients, covariance
        Shapes ``(scanned, coefficient)`` and ``(scanned, coefficient, coefficient)``; the
        covariance is multiplied by the reduced chi² where that exceeds 1.
    best
        Place of the largest likelihood.
    chi2
        Weighted squared residuals of the points.
    freedom
        Points less parameters; chi² says nothing below 1.
    aic
        Akaike's criterion. The errors are known, so it needs no correction for few points.
    """

    form: Form
    scanned_K: NDArray[np.float64]
    weight: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    best: int
    chi2: float
    freedom: int
    aic: float

    @property
    def chi2_reduced(self) -> float | None:
        """Chi² per degree of freedom; None without any."""
        return self.chi2 / self.freedom if self.freedom > 0 else None

    @property
    def chance(self) -> float | None:
        """Probability of a chi² this large or larger if the law is true; None without any."""
        return float(chdtrc(self.freedom, self.chi2)) if self.freedom > 0 else None

    def ln_D(self, T_K: NDArray[np.float64]) -> NDArray[np.float64]:
        """Best ln(D / (m²/s)) at temperatures [K], shape ``(temperature,)``."""
        design = LAWS[self.form].design(T_K, self.scanned_K[self.best])
        return np.asarray(design @ self.coefficients[self.best])

    def ln_D_interval(
        self, T_K: NDArray[np.float64], score: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of the interval of so many standard errors at temperatures [K]."""
        rows = [LAWS[self.form].design(T_K, scanned) for scanned in self.scanned_K]
        pairs = zip(rows, self.coefficients, self.covariance, strict=True)
        parts = [(row @ line, _variance(row, spread)) for row, line, spread in pairs]
        mean = np.array([part[0] for part in parts])
        error = np.sqrt([part[1] for part in parts])
        best = self.ln_D(T_K)
        low = _mixed_quantile(mean, error, self.weight, float(ndtr(-score)))
        high = _mixed_quantile(mean, error, self.weight, float(ndtr(score)))
        return np.minimum(low, best), np.maximum(high, best)

    def activation_energy(self, T_K: float) -> tuple[float, float]:
        """Slope ``-d ln D / d(1 / kB T)`` at a temperature [K] and its error [eV]."""
        at = np.array([T_K])
        slopes = [LAWS[self.form].slope(at, scanned)[0] for scanned in self.scanned_K]
        return self._mixed(np.array(slopes))

    def parameters(self) -> dict[str, float]:
        """Parameters of the law by name, with standard errors."""
        law = LAWS[self.form]
        n_scanned, n_coefficients = self.coefficients.shape
        values: dict[str, float] = {}
        for names, row in zip(law.names, np.eye(n_coefficients), strict=True):
            values |= zip(names, self._mixed(np.tile(row, (n_scanned, 1))), strict=True)
        best = float(self.scanned_K[self.best])
        error = float(np.sqrt(self.weight @ (self.scanned_K - best) ** 2))
        return values | dict(zip(law.scanned_names, (best, error), strict=False))

    def _mixed(self, rows: NDArray[np.float64]) -> tuple[float, float]:
        """Value and standard error of one combination of coefficients for each scanned one."""
        value = np.einsum("sc,sc->s", rows, self.coefficients)
        variance = np.einsum("sc,scd,sd->s", rows, self.covariance, rows)
        best = float(value[self.best])
        return best, float(np.sqrt(self.weight @ (variance + (value - best) ** 2)))


def fit_law(form: Form, data: Observations) -> LawFit:
    """Fit a law, scanning its kink or T0.

    Parameters
    ----------
    form
        ``line``, ``two-segment`` or ``vtf``.
    data
        What was measured.

    Raises
    ------
    AnalysisError
        If there are fewer temperatures with a D than the form needs.
    """
    law = LAWS[form]
    if data.n_temperatures < law.n_temperatures:
        msg = (
            f"a {form} fit needs {law.n_temperatures} temperatures that have a D with an "
            f"error, found {data.n_temperatures}"
        )
        raise AnalysisError(msg)
    scanned = law.scan(data.temperature_K)
    fits = [
        fit_linear(law.design(data.temperature_K, at), law.design(data.bound_K, at), data)
        for at in scanned
    ]
    deviance = np.array([fit.deviance for fit in fits])
    best = int(deviance.argmin())
    freedom = len(data.ln_D) - law.n_parameters
    widening = max(1.0, fits[best].chi2 / freedom) if freedom > 0 else 1.0
    weight = np.exp((deviance[best] - deviance) / (2.0 * widening))
    return LawFit(
        form=form,
        scanned_K=scanned,
        weight=weight / weight.sum(),
        coefficients=np.array([fit.coefficients for fit in fits]),
        covariance=widening * np.array([fit.covariance for fit in fits]),
        best=best,
        chi2=fits[best].chi2,
        freedom=freedom,
        aic=float(deviance[best]) + 2.0 * law.n_parameters,
    )


def curvature_chance(data: Observations) -> float | None:
    """Probability of a curvature of ln D against 1/T this large or larger if one line is true.

    Parameters
    ----------
    data
        What was measured.

    Returns
    -------
    float or None
        None with fewer than three temperatures.

    Notes
    -----
    Likelihood ratio of a parabola and a line, with one degree of freedom. Chi² asks whether
    points scatter more than their errors allow, whatever the order; this asks for a bend.
    """
    n_least = 3
    if data.n_temperatures < n_least:
        return None
    middle = inverse_kT(data.temperature_K).mean()
    points, bounds = (
        np.vander(inverse_kT(T_K) - middle, n_least, increasing=True)
        for T_K in (data.temperature_K, data.bound_K)
    )
    line = fit_linear(points[:, :2], bounds[:, :2], data)
    parabola = fit_linear(points, bounds, data)
    return float(chdtrc(1, max(line.deviance - parabola.deviance, 0.0)))


def broken_bounds(fit: LawFit, data: Observations) -> NDArray[np.float64]:
    """Temperatures of the bounds that the law exceeds [K]."""
    return data.bound_K[fit.ln_D(data.bound_K) > data.ln_bound]


def _variance(
    rows: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.einsum("tc,cd,td->t", rows, covariance, rows)


def _mixed_quantile(
    mean: NDArray[np.float64],
    error: NDArray[np.float64],
    weight: NDArray[np.float64],
    probability: float,
) -> NDArray[np.float64]:
    """Quantile of a mixture of normal laws by bisection, ``(temperature,)``.

    ``mean`` and ``error`` have the shape ``(scanned, temperature)``.
    """
    far = 10.0
    low, high = (mean - far * error).min(axis=0), (mean + far * error).max(axis=0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        is_below = weight @ ndtr((middle - mean) / error) < probability
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.asarray((low + high) / 2.0)
