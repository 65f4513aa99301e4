"""First peak and first minimum of a pair distribution that has noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMOOTHING_A = 0.07
"""Width [Å] of the Gaussian that g(r) is smoothed with to find its peaks."""
LEAST_RISE = 0.05
"""A peak rises by at least this part of its height, or of an ideal gas, above its foot."""
NOISE_FACTOR = 4.0
"""A peak rises by at least so many standard errors of g(r)."""
FLATNESS = 0.01
"""The minimum is the middle of where g(r) is within this part of the peak's height above it."""


class Shell(NamedTuple):
    """Place and height of the first peak, place of the minimum behind it; NaN if none."""

    peak_A: float
    peak_g: float
    minimum_A: float


NO_SHELL = Shell(np.nan, np.nan, np.nan)


def first_shell(
    r_A: NDArray[np.float64], g: NDArray[np.float64], g_err: NDArray[np.float64]
) -> Shell:
    """Find the first shell of neighbours.

    Parameters
    ----------
    r_A
        Centres of bins of one width [Å], shape ``(bin,)``.
    g, g_err
        Pair distribution and its standard error, shape ``(bin,)``.

    Notes
    -----
    Places are those of g(r) smoothed; the height is that of g(r) as it is. A minimum needs a
    rise behind it: at the end of the range there is none.
    """
    width = r_A[1] - r_A[0]
    smooth = gaussian_filter1d(g, SMOOTHING_A / width)
    peaks = _peaks(smooth, g_err)
    if not len(peaks):
        return NO_SHELL
    peak = int(peaks[0])
    near = slice(max(peak - 2, 0), peak + 3)
    height = float(g[near].max())
    end = int(peaks[1]) if len(peaks) > 1 else len(smooth) - 1
    lowest = peak + int(np.argmin(smooth[peak : end + 1]))
    rise = smooth[end] - smooth[lowest]
    if rise <= _least_rise(smooth[end], g_err[lowest : end + 1].mean()):
        return Shell(_vertex(r_A, smooth, peak), height, np.nan)
    level = smooth[lowest] + min(FLATNESS * (smooth[peak] - smooth[lowest]), 0.5 * rise)
    falls = smooth[peak : lowest + 1][::-1]
    rises = smooth[lowest : end + 1]
    middle = lowest + 0.5 * (_crossing(rises, level) - _crossing(falls, level))
    return Shell(_vertex(r_A, smooth, peak), height, float(r_A[0] + middle * width))


def _crossing(values: NDArray[np.float64], level: float) -> float:
    """Place where values first rise above a level, between bins."""
    above = int(np.argmax(values > level))
    before, after = values[above - 1 : above + 1]
    return float(above - (after - level) / (after - before))


def _peaks(smooth: NDArray[np.float64], g_err: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of peaks that are no noise."""
    from scipy.signal import find_peaks  # takes most of a second to load

    places, facts = find_peaks(smooth, prominence=0.0)
    needed = _least_rise(smooth[places], g_err[places])
    return np.asarray(places[facts["prominences"] > needed])


def _least_rise(top: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(LEAST_RISE * np.maximum(top, 1.0), NOISE_FACTOR * error)


def _vertex(r_A: NDArray[np.float64], values: NDArray[np.float64], top: int) -> float:
    """Top of the parabola through a maximum and its neighbours [Å]."""
    before, here, after = values[top - 1 : top + 2]
    shift = 0.5 * (before - after) / (before - 2.0 * here + after)
    return float(r_A[top] + shift * (r_A[1] - r_A[0]))
