"""Ratios of sums over ions, with errors from the scatter between ions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ratio_of_sums(
    numerators: NDArray[np.floating] | NDArray[np.integer],
    denominators: NDArray[np.floating] | NDArray[np.integer],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum over samples divided by another one, and its standard error.

    Parameters
    ----------
    numerators, denominators
        Values of independent samples, shapes ``(sample, ...)``.

    Returns
    -------
    tuple
        Ratio and error, shape ``(...)``; NaN where the denominators sum to nothing.

    Notes
    -----
    Error of the ratio estimator, ``sqrt(n/(n-1) sum (x - r y)²) / sum y``: that of the
    jackknife to first order.
    """
    n_samples = len(numerators)
    total = denominators.sum(axis=0).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(numerators.sum(axis=0) / total)
        rest = np.asarray((numerators - ratio * denominators) ** 2).sum(axis=0)
        error = np.sqrt(n_samples / (n_samples - 1) * rest) / np.abs(total)
        return np.where(total == 0, np.nan, ratio), np.where(total == 0, np.nan, error)
