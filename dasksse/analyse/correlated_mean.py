"""Mean of numbers that remember the ones before them, with an honest error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 5.0
"""Correlations are summed up to so many correlation times: a compromise of noise and bias."""
FEWEST_VALUES = 10
"""Fewer numbers say nothing of their correlation."""


class CorrelatedMean(NamedTuple):
    """Mean of a series.

    Attributes
    ----------
    mean, error
        Mean and its standard error; NaN where the series is too short for it.
    inefficiency
        Values of the series that count as one independent value, at least 1.
    n_independent
        Independent values that the series is worth.
    """

    mean: float
    error: float
    inefficiency: float
    n_independent: float


def correlated_mean(values: NDArray[np.floating]) -> CorrelatedMean:
    """Mean of a stationary series and its standard error.

    Parameters
    ----------
    values
        Evenly spaced numbers, shape ``(value,)``, at least one.

    Notes
    -----
    The statistical inefficiency ``g = 1 + 2 sum rho(t)`` is summed up to the first lag that
    exceeds five times ``g / 2`` (Sokal's window), the bias of a finite series is taken off as
    in Wolff, doi:10.1016/S0010-4655(03)00467-3, and the error is ``sqrt(variance g / n)``. A
    memory as long as the series is not seen in it: the error is then too small, which
    ``n_independent`` below ten gives away.
    """
    series = np.asarray(values, dtype=np.float64)
    count, mean = len(series), float(np.mean(series))
    if count < FEWEST_VALUES:
        return CorrelatedMean(mean, np.nan, np.nan, np.nan)
    centred = series - mean
    power = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    covariance = np.fft.irfft(power)[: count // 2] / np.arange(count, count - count // 2, -1)
    if not covariance[0] > 0.0:
        return CorrelatedMean(mean, 0.0, 1.0, float(count))
    sums = 2.0 * np.cumsum(covariance / covariance[0]) - 1.0
    lags = np.arange(len(sums))
    window = int(np.argmax(lags >= 0.5 * WINDOW * sums)) or len(sums) - 1
    inefficiency = max(float(sums[window]) * (1.0 + (2.0 * window + 1.0) / count), 1.0)
    error = float(np.sqrt(covariance[0] * inefficiency / count))
    return CorrelatedMean(mean, error, inefficiency, count / inefficiency)
