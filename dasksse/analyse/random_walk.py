"""How well a random walk of finite length fixes its own diffusion coefficient."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def msd_covariance(
    lags: NDArray[np.int64],
    n_frames: int,
    *,
    step_variance: float | NDArray[np.float64],
    noise_variance: float | NDArray[np.float64],
    n_stretches: int = 1,
) -> NDArray[np.float64]:
    """Exact covariance of the time-averaged MSD of one walker along one axis.

    The walker takes independent Gaussian steps and rattles about its path like an ion in its
    cage: ``x(k) = sum of steps + noise(k)``.

    Parameters
    ----------
    lags
        Lags [frames] in ascending order, each in ``1 .. n_frames - 1``, shape ``(lag,)``.
    n_frames
        Length of the walk [frames].
    step_variance
        Variance of a step between two frames [Å²], ``2 D dt``, at least 0; a number, or one for
        each of several walks.
    noise_variance
        Variance of the rattling [Å²], at least 0; uncorrelated between frames.
    n_stretches
        Average only over the time origins of one of so many equal stretches of the walk.

    Returns
    -------
    NDArray[np.float64]
        Covariance [Å⁴], shape ``(lag, lag)``, or ``(walk, lag, lag)`` for several walks.

    Notes
    -----
    Two displacements over ``[k, k+m]`` and ``[l, l+n]`` have the covariance ``c = step_variance
    × overlap + noise_variance × (coincident ends - opposite ends)``, and for Gaussian motion
    their squares have ``2 c²`` (Michalet, doi:10.1103/PhysRevE.82.041914). ``c`` depends on
    ``k - l`` only, so the double sum over origins is a single one: O(lags² × longest lag).
    """
    step, noise = np.asarray(step_variance), np.asarray(noise_variance)
    powers = np.stack([step**2, step * noise, noise**2], axis=-1)
    terms = _covariance_terms(tuple(lags.tolist()), n_frames, n_stretches)
    return np.asarray(np.tensordot(powers, terms, axes=1))


@lru_cache(maxsize=8)
def _covariance_terms(
    lags: tuple[int, ...], n_frames: int, n_stretches: int
) -> NDArray[np.float64]:
    """Factors of step², step × noise and noise² in the covariance, ``(term, lag, lag)``."""
    terms = np.empty((3, len(lags), len(lags)))
    for row, short in enumerate(lags):
        for column, long in enumerate(lags[row:], start=row):
            shift = np.arange(-short, long + 1)
            overlap = np.minimum(np.minimum(shift + short, long) - np.maximum(shift, 0), short)
            ends = np.zeros(len(shift))
            np.add.at(ends, [short, long], 1.0)  # starts coincide; ends coincide
            ends[[0, -1]] -= 1.0  # the end of one is the start of the other
            n_short, n_long = (n_frames - short) / n_stretches, (n_frames - long) / n_stretches
            pairs = np.maximum(np.minimum(n_short, n_long + shift) - np.maximum(0, shift), 0)
            products = np.stack([overlap**2, 2.0 * overlap * ends, ends**2])
            total = 2.0 * products @ pairs / (n_short * n_long)
            terms[:, row, column] = terms[:, column, row] = total
    return terms


def slope_weights(lags: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Weights ``w`` for which ``w · y`` is the least-squares slope of ``y`` against the lags.

    Parameters
    ----------
    lags
        Two or more different lags, shape ``(lag,)``.

    Returns
    -------
    NDArray[np.float64]
        Weights in one over the unit of the lags, shape ``(lag,)``.
    """
    centred = lags - np.mean(lags)
    return np.asarray(centred / np.sum(centred**2))
