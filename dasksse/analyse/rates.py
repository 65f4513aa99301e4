"""How often ions jump from the sites of one class to those of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.ratios import ratio_of_sums
from dasksse.analyse.residence import NO_EVENT_95
from dasksse.errors import AnalysisError
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from dasksse.analyse.stays import SiteHistory
    from dasksse.records import Json


@dataclass(frozen=True)
class Rate:
    """Jumps from the sites of one class to those of another.

    Attributes
    ----------
    origin, target
        Names of the classes.
    n_jumps
        Jumps seen.
    rate_per_ps, err_per_ps
        Jumps per time that an ion is on a site of the first class [1/ps] and standard error;
        None where no ion is ever on one.
    upper_bound_per_ps
        The rate is below this with 95 % confidence [1/ps], where no jump was seen; else None.
    mean_length_A
        Mean length of the jumps [Å]; None without jumps.
    barrier_eV
        Effective barrier [eV]: ``-kT ln(rate / attempt frequency)``; None where temperature,
        attempt frequency or rate are not known.
    """

    origin: str
    target: str
    n_jumps: int
    rate_per_ps: float | None
    err_per_ps: float | None
    upper_bound_per_ps: float | None
    mean_length_A: float | None
    barrier_eV: float | None

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        values = dict(vars(self))
        return {"from": values.pop("origin"), "to": values.pop("target"), **values}


def class_rates(
    history: SiteHistory,
    *,
    temperature_K: float | None = None,
    attempt_THz: float | None = None,
) -> list[Rate]:
    """Rates of jumps between all pairs of classes of sites.

    Parameters
    ----------
    history
        Stays of ions.
    temperature_K
        Temperature for barriers [K].
    attempt_THz
        Attempt frequency for barriers [THz].

    Raises
    ------
    AnalysisError
        If the attempt frequency is not above 0.

    Notes
    -----
    The error is the larger one of Poisson's and that of the scatter between ions.
    """
    if attempt_THz is not None and not attempt_THz > 0.0:
        msg = f"attempt frequency {attempt_THz:g} THz, must be above 0"
        raise AnalysisError(msg)
    sites, leaves = history.sites, history.leaves
    n_kinds, n_samples = len(sites.classes), history.n_samples
    kinds = sites.class_of[history.site]
    stays = np.arange(len(kinds))
    time_ps = np.zeros((n_samples, n_kinds))
    np.add.at(
        time_ps,
        (history.sample_of(stays), kinds),
        history.duration * history.frame_interval_ps,
    )
    counts = np.zeros((n_samples, n_kinds, n_kinds))
    lengths = np.zeros((n_kinds, n_kinds))
    np.add.at(counts, (history.sample_of(leaves), kinds[leaves], kinds[leaves + 1]), 1.0)
    np.add.at(lengths, (kinds[leaves], kinds[leaves + 1]), history.length_A)
    values, scatters = ratio_of_sums(counts, np.broadcast_to(time_ps[..., None], counts.shape))
    rates = []
    for origin, target in np.ndindex(n_kinds, n_kinds):
        n_jumps = int(counts[:, origin, target].sum())
        total_ps = float(time_ps[:, origin].sum())
        rate = float(values[origin, target]) if total_ps else None
        error = (
            max(float(scatters[origin, target]), n_jumps**0.5 / total_ps) if n_jumps else None
        )
        barrier = None
        if temperature_K and attempt_THz and rate:
            barrier = -BOLTZMANN_EV_K * temperature_K * float(np.log(rate / attempt_THz))
        rates.append(
            Rate(
                origin=sites.classes[origin],
                target=sites.classes[target],
                n_jumps=n_jumps,
                rate_per_ps=rate,
                err_per_ps=error,
                upper_bound_per_ps=NO_EVENT_95 / total_ps if total_ps and not n_jumps else None,
                mean_length_A=float(lengths[origin, target]) / n_jumps if n_jumps else None,
                barrier_eV=barrier,
            )
        )
    return rates
