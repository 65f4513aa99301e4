"""Correlation factor: what the memory of jumps leaves of the diffusion of a random walk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.ratios import ratio_of_sums
from dasksse.units import M2_S_PER_A2_PS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.stays import SiteHistory
    from dasksse.records import Json

FEWEST_JUMPS = 3.0
"""Jumps of an ion within the lag that f is read at: fewer show no memory."""
AGREEMENT = 2.0
"""f must agree with f at longer lags within so many standard errors of their difference."""


@dataclass(frozen=True)
class Correlation:
    """Tracer diffusion of the paths from site to site against a walk without memory.

    Attributes
    ----------
    D_random_m2_s, D_random_err_m2_s
        Sum of squared jump lengths over 6 t, for one ion [m²/s], and its standard error.
    D_path_m2_s, D_path_err_m2_s
        Tracer D of the paths of sites [m²/s]; None where f is not known.
    factor, factor_err
        D_path over D_random; None where ions jump too rarely to tell.
    lag_ps
        Lag from which on the slope of the MSD was taken [ps]; None likewise.
    curve_lag_ps, curve, curve_err
        Factor by lag, from the slope between this lag and its double, shape ``(lag,)``.
    """

    D_random_m2_s: float
    D_random_err_m2_s: float
    D_path_m2_s: float | None
    D_path_err_m2_s: float | None
    factor: float | None
    factor_err: float | None
    lag_ps: float | None
    curve_lag_ps: list[float]
    curve: list[float]
    curve_err: list[float]

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def correlation(history: SiteHistory) -> Correlation | None:
    """Correlation factor with its error; None where there is no jump.

    Parameters
    ----------
    history
        Stays of ions.

    Notes
    -----
    ``f(t) = (MSD(2t) - MSD(t)) / (t S)`` with the sum S of squared jump lengths of an ion per
    time. At short t it is 1; once the memory of jumps is gone it is the correlation factor. It
    is read at the first lag of 1, 2, 4, ... frames in which an ion jumps three times on the
    average and from which on all values agree within two standard errors. Its error is the
    larger one of the scatter between ions and that of independent random walks as long as the
    runs; motion of all ions together is not seen in either.
    """
    if not len(history.leaves):
        return None
    squares = np.zeros(history.n_samples)
    np.add.at(squares, history.sample_of(history.leaves), history.length_A**2)
    frames = np.repeat(history.frames_per_run[history.run_of_ion], history.n_stretches)
    weights = frames / history.n_stretches
    steps = weights[:, None] * np.diff(history.sample_msd_A2) / np.diff(history.sample_lags)
    lags = history.sample_lags[:-1].astype(float)
    walk_errors = _walk_error(history, lags)
    values, errors = ratio_of_sums(steps, squares[:, None])
    errors = np.maximum(errors, np.abs(values) * walk_errors)
    unit = M2_S_PER_A2_PS / 6.0 / history.frame_interval_ps
    d_random, d_random_err = (unit * value for value in ratio_of_sums(squares, weights))
    d_path, d_path_err = (unit * value for value in ratio_of_sums(steps, weights[:, None]))
    d_path_err = np.maximum(d_path_err, np.abs(d_path) * walk_errors)
    lag_ps = lags * history.frame_interval_ps
    place = _first_lasting(steps, squares, lags * len(history.leaves) / history.ion_frames)

    def at_place(curve: NDArray[np.floating]) -> float | None:
        return None if place is None else float(curve[place])

    return Correlation(
        D_random_m2_s=float(d_random),
        D_random_err_m2_s=float(d_random_err),
        D_path_m2_s=at_place(d_path),
        D_path_err_m2_s=at_place(d_path_err),
        factor=at_place(values),
        factor_err=at_place(errors),
        lag_ps=at_place(lag_ps),
        curve_lag_ps=lag_ps.tolist(),
        curve=values.tolist(),
        curve_err=errors.tolist(),
    )


def _walk_error(history: SiteHistory, lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative error of the slope of the MSD between lags and their doubles, for random walks.

    Overlaps of windows of lengths m <= n, squared and summed over shifts, give the covariance
    ``2 (2 D)² (m² n - m³/3)`` over the time for an axis: 16/3 lag / time for the slope.
    """
    spread = np.linalg.eigvalsh(history.jump_A.T @ history.jump_A)
    axes = float(np.sum((spread / spread.sum()) ** 2))
    return np.asarray(np.sqrt(16.0 / 3.0 * axes * lags / history.ion_frames))


def _first_lasting(
    steps: NDArray[np.float64], squares: NDArray[np.float64], jumps: NDArray[np.floating]
) -> int | None:
    """First lag with enough jumps whose f agrees with those at all longer lags."""
    for place in np.flatnonzero(jumps >= FEWEST_JUMPS).tolist():
        rest, error = ratio_of_sums(steps[:, place + 1 :] - steps[:, [place]], squares[:, None])
        if np.all(np.abs(rest) <= AGREEMENT * error):
            return int(place)
    return None
