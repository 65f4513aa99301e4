"""How long ions stay on sites, from waits of which some are cut off by the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.ratios import ratio_of_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.stays import SiteHistory
    from dasksse.records import Json

NO_EVENT_95 = float(-np.log(0.05))
"""With no event in a time T, the rate is below this over T with 95 % confidence."""
_CURVE_POINTS = 60


@dataclass(frozen=True)
class Residence:
    """Residence time on the sites of one class.

    Attributes
    ----------
    site_class
        Name of the class.
    mean_ps, err_ps
        Mean residence time and its standard error [ps]; None where no ion ever left.
    lower_bound_ps
        The mean is above this with 95 % confidence [ps], where no ion ever left; else None.
    half_ps
        Time after which half of the ions that came have left [ps]; None if fewer have.
    n_left
        Stays that ended with a jump.
    n_censored
        Stays that the end of the run cut off.
    time_ps, survival
        Share of ions that are still there at a time after they came, shape ``(point,)``.
    """

    site_class: str
    mean_ps: float | None
    err_ps: float | None
    lower_bound_ps: float | None
    half_ps: float | None
    n_left: int
    n_censored: int
    time_ps: NDArray[np.float64]
    survival: NDArray[np.float64]

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {
            "class": self.site_class,
            "mean_ps": self.mean_ps,
            "err_ps": self.err_ps,
            "lower_bound_ps": self.lower_bound_ps,
            "half_ps": self.half_ps,
            "n_left": self.n_left,
            "n_censored": self.n_censored,
            "time_ps": self.time_ps.tolist(),
            "survival": self.survival.tolist(),
        }


def residences(history: SiteHistory) -> list[Residence]:
    """Residence times on the sites of each class.

    Parameters
    ----------
    history
        Stays of ions.

    Notes
    -----
    The mean is that of an exponential distribution with the greatest likelihood, given waits of
    which some are cut off: all time on the sites over the number of jumps away. For other
    distributions that is still one over the rate of leaving. Its error is the larger one of
    Poisson's and that of the scatter between ions. The survival curve assumes no distribution
    (Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452) and leaves out the first stay of
    each ion, as it began before the run.
    """
    kinds = history.sites.class_of[history.site]
    has_left = np.zeros(len(history.site), dtype=bool)
    has_left[history.leaves] = True
    dt_ps = history.frame_interval_ps
    found = []
    for kind, name in enumerate(history.sites.classes):
        here = kinds == kind
        stays = np.flatnonzero(here)
        samples = history.sample_of(stays)
        time_ps = np.bincount(samples, history.duration[stays] * dt_ps, history.n_samples)
        left = np.bincount(samples, has_left[stays], history.n_samples)
        n_left, total_ps = int(left.sum()), float(time_ps.sum())
        mean_ps, scatter = ratio_of_sums(time_ps, left)
        seen = here & ~history.is_first
        times, survival = survival_curve(history.duration[seen], ~has_left[seen])
        below = np.flatnonzero(survival <= 0.5)  # noqa: PLR2004 - half
        chosen = _spread(survival)
        found.append(
            Residence(
                site_class=name,
                mean_ps=float(mean_ps) if n_left else None,
                err_ps=max(float(scatter), float(mean_ps) / n_left**0.5) if n_left else None,
                lower_bound_ps=total_ps / NO_EVENT_95 if total_ps and not n_left else None,
                half_ps=float(times[below[0]] * dt_ps) if len(below) else None,
                n_left=n_left,
                n_censored=len(stays) - n_left,
                time_ps=np.asarray(times[chosen] * dt_ps, dtype=float),
                survival=survival[chosen],
            )
        )
    return found


def survival_curve(
    durations: NDArray[np.int64], is_censored: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Share of stays that are longer than a time, by the estimator of Kaplan and Meier.

    Parameters
    ----------
    durations
        Length of each stay, shape ``(stay,)``.
    is_censored
        Stays that were cut off, shape ``(stay,)``.

    Returns
    -------
    tuple
        Times at which stays ended, from 0 on, and the share that is left after each, both of
        shape ``(time,)``.
    """
    times, inverse, counts = np.unique(durations, return_inverse=True, return_counts=True)
    ended = np.bincount(inverse, ~is_censored, len(times))
    at_risk = np.cumsum(counts[::-1])[::-1]
    survival = np.cumprod(1.0 - ended / at_risk)
    kept = ended > 0
    return np.append(0, times[kept]), np.append(1.0, survival[kept])


def _spread(survival: NDArray[np.float64]) -> NDArray[np.int64]:
    """Some of the points of a curve, evenly spaced in its logarithm, its end among them."""
    if len(survival) <= _CURVE_POINTS:
        return np.arange(len(survival))
    levels = np.geomspace(1.0, survival[survival > 0.0][-1], _CURVE_POINTS - 1)
    spread = np.searchsorted(-survival, -levels)
    return np.unique(np.append(spread, len(survival) - 1))
