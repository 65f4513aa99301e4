"""Where the MSD is a straight line: the window in which D may be read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dasksse.analyse.random_walk import slope_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

Regime = Literal["diffusive", "subdiffusive", "not_diffusive"]

GRID_RATIO = 1.15
LONGEST_LAG = 1 / 3
"""Share of the run beyond which too few independent time origins are left."""
USUAL_LAG = 1 / 10
"""Share of the run where the window ends if it may: longer lags add only noise."""
WINDOW_RATIO = 4.0
"""A window ends at least at this multiple of its start, or a line could hide any curve."""
MIN_POINTS = 4
JUMP_LENGTH_A = 2.5
"""Distance between neighbouring sites of a typical lithium or sodium conductor [Å]."""
CAGE_EXPONENT = 0.5
"""An MSD that grows more slowly than this between two lags sits on a cage plateau."""
FLATTEST = 0.1
"""Exponents this close to the smallest one count as equally flat."""
EXPONENT_TOLERANCE = (0.15, 0.2)
"""Distance of the exponent from 1 that always passes, and that never passes for noise."""
CHANGE_TOLERANCE = (0.1, 0.5)
"""The same for the relative change of the slope."""
NOISE_ERRORS, CHANGE_ERRORS = 1.5, 2.5
"""Standard errors up to which a change of the slope is noise, and beyond which it is a curve;
in between, the error of D grows."""


@dataclass(frozen=True)
class Window:
    """A range of lags and the exponent of the MSD in it.

    Attributes
    ----------
    start, stop
        First and last lag [frames].
    exponent
        Log-log slope of the MSD above its cage plateau: 1 is diffusive, 2 ballistic.
    slope_change
        By how much the slope still changes at longer lags beyond what noise explains,
        relative to the slope.
    is_linear
        True where the MSD is a straight line within errors.
    """

    start: int
    stop: int
    exponent: float
    slope_change: float
    is_linear: bool


def lag_grid(n_frames: int) -> NDArray[np.int64]:
    """Lags ``1 .. n_frames - 1`` in steps that grow geometrically, shape ``(lag,)``."""
    count = max(2, round(np.log(n_frames - 1) / np.log(GRID_RATIO)) + 1)
    return np.unique(np.geomspace(1, n_frames - 1, count).round().astype(np.int64))


def cage_plateau(lags: NDArray[np.int64], msd: NDArray[np.float64]) -> tuple[int, float]:
    """Lag at which the cage plateau is reached [frames], and its MSD [Å²].

    Where ``MSD = plateau + slope × t``, the plateau is ``MSD × (1 - log-log slope)`` at any
    lag. The earliest lag about as flat as the flattest one is taken, so that an MSD that is a
    power law throughout loses next to nothing. Without a plateau both numbers are 0.

    Parameters
    ----------
    lags
        Lags [frames], at least 2, shape ``(lag,)``.
    msd
        MSD above 0 at these lags [Å²], shape ``(lag,)``.
    """
    exponent = np.gradient(np.log(msd), np.log(lags))
    if exponent.min() > CAGE_EXPONENT:
        return 0, 0.0
    first = int(np.argmax(exponent <= exponent.min() + FLATTEST))
    return int(lags[first]), float(msd[first] * min(1.0, 1.0 - exponent[first]))


def find_window(
    lags: NDArray[np.int64], by_walker: NDArray[np.float64], n_frames: int
) -> Window:
    """Earliest window of lags in which the MSD grows linearly, or the last one tried.

    Parameters
    ----------
    lags
        Lags [frames] as from :func:`lag_grid`, shape ``(lag,)``.
    by_walker
        MSD of each independent walker at these lags [Å²], shape ``(walker, lag)``.
    n_frames
        Length of a run [frames].

    Returns
    -------
    Window
        ``is_linear`` tells whether a linear stretch was found.

    Notes
    -----
    Two things are asked of a window. The log-log slope of the MSD above its cage plateau is 1,
    and the slope of the MSD is the same in the first and the second half (in ln lag) of all
    lags from its start to the longest. Errors follow from the scatter of the walkers. The
    window ends where ions have left their sites on average, or one hop forth and back would
    pass for diffusion.
    """
    msd = by_walker.mean(axis=0)
    early = lags <= max(n_frames * USUAL_LAG / 2, MIN_POINTS)
    settled, plateau = cage_plateau(lags[early], np.maximum(msd[early], np.finfo(float).tiny))
    longest = n_frames * LONGEST_LAG
    has_left = msd - plateau >= JUMP_LENGTH_A**2
    leaving = float(lags[np.argmax(has_left)]) if has_left.any() else longest
    window = Window(1, int(longest), 0.0, 0.0, is_linear=False)
    for start in lags[(lags > settled) & (lags * WINDOW_RATIO <= longest)]:
        stop = min(longest, max(n_frames * USUAL_LAG, start * WINDOW_RATIO, leaving))
        inside = (lags >= start) & (lags <= stop)
        if np.count_nonzero(inside) < MIN_POINTS or msd[inside].min() <= plateau:
            continue
        exponent, exponent_error = _exponent(lags[inside], by_walker[:, inside], plateau)
        change, change_error = _slope_change(lags, by_walker, float(start), longest)
        is_linear = _is_noise(exponent - 1.0, exponent_error, EXPONENT_TOLERANCE) and _is_noise(
            change, CHANGE_ERRORS * change_error, CHANGE_TOLERANCE
        )
        excess = float(np.sqrt(max(change**2 - (NOISE_ERRORS * change_error) ** 2, 0.0)))
        window = Window(int(start), int(stop), exponent, excess, is_linear)
        if is_linear:
            break
    return window


def _is_noise(value: float, error: float, tolerance: tuple[float, float]) -> bool:
    """Whether a value counts as 0, given its error and what always and never passes."""
    least, most = tolerance
    return abs(value) <= min(max(error, least), most)


def _exponent(
    lags: NDArray[np.int64], by_walker: NDArray[np.float64], plateau: float
) -> tuple[float, float]:
    """Log-log slope of the MSD above the plateau, and its standard error."""
    msd = by_walker.mean(axis=0)
    weights = slope_weights(np.log(lags))
    scatter = (by_walker - msd) / (msd - plateau) @ weights
    error = np.sqrt(np.mean(scatter**2) / max(len(scatter) - 1, 1))
    return float(weights @ np.log(msd - plateau)), float(error)


def _slope_change(
    lags: NDArray[np.int64], by_walker: NDArray[np.float64], start: float, longest: float
) -> tuple[float, float]:
    """Relative change of the slope from the first to the second half, and its error."""
    middle = np.sqrt(start * longest)
    halves = (lags >= start) & (lags <= middle), (lags >= middle) & (lags <= longest)
    first, last = (by_walker[:, half] @ slope_weights(lags[half]) for half in halves)
    if not first.mean() > 0.0:
        return -1.0, 0.0
    ratio = last.mean() / first.mean()
    error = np.sqrt(np.mean((last - ratio * first) ** 2) / max(len(first) - 1, 1))
    return float(ratio - 1.0), float(error / first.mean())
