"""Where the MSD is a straight line: the window in which D may be read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from dasksse.analyse.random_walk import slope_weights
from dasksse.analyse.slope import FEWEST_LAGS, JUMP_LENGTH_A, spread_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.gls import Line
    from dasksse.analyse.slope import Reach

Regime = Literal["diffusive", "subdiffusive", "not_diffusive"]

GRID_RATIO = 1.15
USUAL_LAG = 1 / 10
"""Share of the run where the window ends if it may: longer lags add next to nothing."""
WINDOW_RATIO = 4.0
"""A window ends at this multiple of its start at least, or a line could hide any curve."""
LATEST_NEED = 1 / 20
"""Share of the run beyond which the window need not start later for ions to have jumped."""
SHORTEST_LAG = 1 / 1000
"""Share of the run below which lags are not needed, nor well sampled for single ions."""
CAGE_EXPONENT = 0.5
"""An MSD that grows more slowly than this between two lags sits on a cage plateau."""
FLATTEST = 0.1
"""Exponents this close to the smallest one count as equally flat."""
JUMPED_TWICE = 0.3
"""Non-Gaussian parameter of ions that have jumped twice on average."""
LATER_RATIO = 2.0
"""Windows that must agree start later by powers of this."""
CHANGE_TOLERANCE = 0.1
"""Relative change of the slope that is always let pass."""
CHANGE_ERRORS = 2.75
"""Standard errors up to which a change of the slope is noise."""
SETTLING = 4.0
"""A window starts so many times later than the last one whose slope was seen to change: by then
what relaxes exponentially is gone, and what does not has been found out."""


@dataclass(frozen=True)
class Window:
    """A range of lags and how straight the MSD is in it.

    Attributes
    ----------
    start, stop
        First and last lag [frames].
    line
        Straight line fitted to it.
    plateau
        MSD that ions in their cages have [Å²].
    slope_change
        How far the slope may be off because it still changes at longer lags beyond what noise
        explains, or was thought to change at shorter ones, relative to the slope.
    is_linear
        True where the MSD is a straight line within errors from here on, and ions have left
        their sites.
    """

    start: int
    stop: int
    line: Line
    plateau: float
    slope_change: float
    is_linear: bool


class Bend(NamedTuple):
    """Last start from which the MSD was seen not to be straight.

    Attributes
    ----------
    start
        Lag [frames].
    slope
        Slope from there on [Å²/frame].
    errors
        Standard errors of the clearest change of the slope so far.
    """

    start: float
    slope: float
    errors: float

    def chance_change(self, line: Line) -> float:
        """Relative error of a later line because the bend may have been chance.

        Then it is the line from before the bend that is right.
        """
        if not line.slope > 0.0:
            return 0.0
        likelihood = np.exp(0.5 * (CHANGE_ERRORS**2 - self.errors**2))
        return float(np.sqrt(likelihood) * abs(self.slope / line.slope - 1.0))


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


def find_window(reach: Reach) -> Window:
    """Earliest window of lags in which the MSD grows linearly, or the last one tried.

    Parameters
    ----------
    reach
        MSDs of all runs.

    Returns
    -------
    Window
        ``is_linear`` tells whether a linear stretch was found.

    Notes
    -----
    Lines fitted from a lag on, from twice it on and so on must have the same slope, or the
    window starts several times later than the last one for which they had not. Where ions jump,
    it starts when they have done so once if the run is long enough, and there is no diffusion
    unless they have within the longest lag: one hop forth and back would pass for it.
    """
    lags, msd, n_frames = reach.lags, reach.msd, reach.sample.n_frames
    early = lags <= max(n_frames * USUAL_LAG / 2, FEWEST_LAGS)
    settled, plateau = cage_plateau(lags[early], np.maximum(msd[early], np.finfo(float).tiny))
    left = _have_left(reach, plateau) & (lags > settled)
    leaving = float(lags[np.argmax(left)]) if left.any() else np.inf
    earliest = max(n_frames * SHORTEST_LAG, min(leaving, n_frames * LATEST_NEED))
    bend: Bend | None = None
    for start in _starts(lags, max(settled, earliest / SETTLING)):
        stop = _stop(reach, start)
        line = reach.fit(start, stop)
        change, errors = _slope_change(reach, line, start)
        if bend is not None:
            change = float(np.hypot(change, bend.chance_change(line)))
        if errors > CHANGE_ERRORS:
            bend = Bend(start, line.slope, max(errors, bend.errors if bend else 0.0))
        since = SETTLING * bend.start if bend else 0.0
        is_linear = start >= max(earliest, since) and bool(left.any())
        window = Window(int(start), int(stop), line, plateau, change, is_linear)
        if is_linear:
            break
    return window


def log_slope(reach: Reach, window: Window) -> float:
    """Log-log slope of the MSD above its cage plateau: 1 is diffusive, 2 ballistic.

    Parameters
    ----------
    reach
        MSDs of all runs.
    window
        Lags to look at.
    """
    inside = (reach.lags >= window.start) & (reach.lags <= window.stop)
    above = reach.msd[inside] - window.plateau
    if above.min() <= 0.0:
        return 0.0
    return float(slope_weights(np.log(reach.lags[inside])) @ np.log(above))


def _have_left(reach: Reach, plateau: float) -> NDArray[np.bool_]:
    """Lags after which ions are on other sites than before, shape ``(lag,)``.

    Either they moved by the distance of sites, or so many jumped that their displacements are
    close to Gaussian: jumps may be shorter than usual, and a random walk in small steps has
    none.
    """
    share = 1.0 - plateau / np.maximum(reach.msd, np.finfo(float).tiny)
    non_gaussian = reach.sample.non_gaussian[: len(reach.lags)]
    mixed = (share > 0.0) & (non_gaussian <= JUMPED_TWICE * share**2)
    return mixed | (share * reach.msd >= JUMP_LENGTH_A**2)


def _starts(lags: NDArray[np.int64], after: float) -> NDArray[np.int64]:
    """Lags at which a window may start, at least one and every second one of the grid."""
    possible = (lags > after) & (lags * WINDOW_RATIO <= lags[-1])
    return lags[possible][::2] if possible.any() else lags[: -FEWEST_LAGS + 1][-1:]


def _stop(reach: Reach, start: float) -> float:
    """Lag at which a window ends [frames]."""
    usual = max(reach.sample.n_frames * USUAL_LAG, start * WINDOW_RATIO)
    return float(min(reach.lags[-1], usual))


def _slope_change(reach: Reach, line: Line, start: float) -> tuple[float, float]:
    """Relative change of the slope at longer lags beyond noise, and how clear it is.

    The second number is that of the standard errors of the clearest change that matters.
    """
    if not line.slope > 0.0:
        return 0.0, np.inf
    excess, clearest = 0.0, 0.0
    first = LATER_RATIO * start
    while (
        np.count_nonzero(reach.lags >= first) >= FEWEST_LAGS and 2.0 * first <= reach.lags[-1]
    ):
        later = reach.fit(first, _stop(reach, first))
        change = later.slope / line.slope - 1.0
        spread = spread_of(reach, later.weights - line.weights, line, start=first)
        error = spread.error / line.slope
        if abs(change) > CHANGE_TOLERANCE:
            clearest = max(clearest, abs(change) / error if error > 0.0 else np.inf)
        excess = max(excess, change**2 - (CHANGE_ERRORS * error) ** 2)
        first *= LATER_RATIO
    return float(np.sqrt(excess)), clearest
