"""Jumps between sites: rates, lengths, directions, memory, and all of it as one result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.concerted import DISTANCE_A, WINDOW_PS, concerted_jumps
from dasksse.analyse.correlation import correlation
from dasksse.analyse.occupation import occupations
from dasksse.analyse.rates import class_rates
from dasksse.analyse.ratios import ratio_of_sums
from dasksse.analyse.residence import residences
from dasksse.structures.periodic import neighbour_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.concerted import Concerted
    from dasksse.analyse.correlation import Correlation
    from dasksse.analyse.occupation import Occupation
    from dasksse.analyse.rates import Rate
    from dasksse.analyse.residence import Residence
    from dasksse.analyse.stays import SiteHistory
    from dasksse.records import Json

BIN_A = 0.1
DETOUR = 0.8
"""A jump passes over a site that is closer to both of its ends than this part of its length."""
MANY_SKIPPED = 0.1
MUCH_BETWEEN = 0.5


@dataclass(frozen=True)
class JumpResult:
    """What a set of runs says about sites and jumps. Errors are one standard error.

    Attributes
    ----------
    history
        Stays of ions.
    temperature_K
        Temperature [K]; None if not known.
    occupation
        Occupation of sites and classes.
    rates
        Rates for each pair of classes.
    residence
        Residence times of each class.
    along_c, along_c_err
        Share of the summed squared jump lengths that is along the third cell vector, and its
        error; a third where all directions are alike. None without jumps.
    back_share, back_share_err
        Share of jumps that are followed by the jump back. None without successive jumps.
    correlation
        Correlation factor; None without jumps.
    concerted
        Concerted jumps; None with fewer than two jumps.
    skipped_share
        Share of jumps that pass over a site. None without jumps.
    warnings
        What makes the numbers doubtful.
    """

    history: SiteHistory
    temperature_K: float | None
    occupation: Occupation
    rates: list[Rate]
    residence: list[Residence]
    along_c: float | None
    along_c_err: float | None
    back_share: float | None
    back_share_err: float | None
    correlation: Correlation | None
    concerted: Concerted | None
    skipped_share: float | None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`; what is not known is null."""
        history, sites = self.history, self.history.sites
        edges, counts = length_histogram(history)
        return {
            "species": sites.species,
            "temperature_K": self.temperature_K,
            "n_runs": len(history.frames_per_run),
            "n_ions": len(history.run_of_ion),
            "n_frames": int(history.frames_per_run.sum()),
            "frame_interval_ps": history.frame_interval_ps,
            "site_source": sites.source,
            "radius_A": history.radius_A,
            "n_jumps": len(history.leaves),
            "between_share": self.occupation.between_share,
            "sites": self._sites_json(),
            "occupation": self._occupation_json(),
            "rates": [rate.to_json() for rate in self.rates],
            "residence_ps": [residence.to_json() for residence in self.residence],
            "jump_lengths": {"edges_A": edges.tolist(), "counts": counts.tolist()},
            "along_c": self.along_c,
            "along_c_err": self.along_c_err,
            "back_share": self.back_share,
            "back_share_err": self.back_share_err,
            "correlation": self.correlation.to_json() if self.correlation else None,
            "concerted": self.concerted.to_json() if self.concerted else None,
            "skipped_share": self.skipped_share,
            "notes": list(sites.notes),
            "warnings": list(self.warnings),
        }

    def _sites_json(self) -> list[Json]:
        sites, occupation = self.history.sites, self.occupation
        rows = zip(
            sites.labels,
            sites.class_of,
            sites.fractions.tolist(),
            occupation.of_site.tolist(),
            occupation.of_site_err.tolist(),
            strict=True,
        )
        return [
            {
                "label": label,
                "class": sites.classes[kind],
                "fraction": fraction,
                "occupation": value,
                "occupation_err": error,
            }
            for label, kind, fraction, value, error in rows
        ]

    def _occupation_json(self) -> list[Json]:
        sites, occupation = self.history.sites, self.occupation
        return [
            {
                "class": name,
                "n_sites": int(sites.multiplicities[kind]),
                "occupation": float(occupation.of_class[kind]),
                "occupation_err": float(occupation.of_class_err[kind]),
                "core_share": _known(occupation.core_share[kind]),
                "core_rms_A": _known(occupation.core_rms_A[kind]),
            }
            for kind, name in enumerate(sites.classes)
        ]


def analyse_jumps(
    history: SiteHistory,
    *,
    temperature_K: float | None = None,
    attempt_THz: float | None = None,
    window_ps: float = WINDOW_PS,
    distance_A: float = DISTANCE_A,
) -> JumpResult:
    """Occupations, rates, residence times and the memory of jumps.

    Parameters
    ----------
    history
        Stays of ions from :func:`dasksse.analyse.stays.follow_sites`.
    temperature_K
        Temperature [K].
    attempt_THz
        Attempt frequency for effective barriers [THz].
    window_ps, distance_A
        Largest time [ps] and distance [Å] between concerted jumps.

    Raises
    ------
    AnalysisError
        If the attempt frequency is not above 0.
    """
    occupation = occupations(history)
    along_c, along_c_err = _share_along_c(history)
    back, back_err = _back_share(history)
    skipped = passes_over(history)
    skipped_share = float(skipped.mean()) if len(skipped) else None
    return JumpResult(
        history=history,
        temperature_K=temperature_K,
        occupation=occupation,
        rates=class_rates(history, temperature_K=temperature_K, attempt_THz=attempt_THz),
        residence=residences(history),
        along_c=along_c,
        along_c_err=along_c_err,
        back_share=back,
        back_share_err=back_err,
        correlation=correlation(history),
        concerted=concerted_jumps(history, window_ps=window_ps, distance_A=distance_A),
        skipped_share=skipped_share,
        warnings=_warnings(history, occupation, skipped_share),
    )


def length_histogram(
    history: SiteHistory,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges [Å] and counts of a histogram of jump lengths, in bins around 0, 0.1, 0.2 ... Å."""
    lengths = history.length_A
    last = int(np.rint(lengths.max() / BIN_A)) if len(lengths) else 0
    edges = np.asarray((np.arange(last + 2) - 0.5) * BIN_A, dtype=np.float64)
    return edges, np.histogram(lengths, edges)[0].astype(np.int64)


def passes_over(history: SiteHistory) -> NDArray[np.bool_]:
    """Jumps that pass over a site: one much closer to both ends than these are to each other.

    Returns
    -------
    NDArray[np.bool_]
        Shape ``(jump,)``. Many of them mean that frames are too far apart, or cores too small,
        to see each jump.
    """
    leaves, sites = history.leaves, history.sites
    if not len(leaves):
        return np.zeros(0, dtype=bool)
    origin, target = history.site[leaves], history.site[leaves + 1]
    millis = np.rint(1000.0 * history.jump_A).astype(np.int64)
    kinds, first, inverse = np.unique(
        np.column_stack([origin, target, millis]),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    lengths = history.length_A[first]
    cell = sites.cell
    starts, _, vectors = neighbour_pairs(
        sites.fractions @ cell, cell, DETOUR * lengths.max() + 1e-6
    )
    edges = np.searchsorted(starts, np.arange(len(sites) + 1))
    is_over = np.zeros(len(kinds), dtype=bool)
    for kind, (site, jump, length) in enumerate(
        zip(kinds[:, 0], history.jump_A[first], lengths, strict=True)
    ):
        near = vectors[edges[site] : edges[site + 1]]
        farther = np.maximum(np.linalg.norm(near, axis=1), np.linalg.norm(near - jump, axis=1))
        is_over[kind] = bool((farther < DETOUR * length).any())
    return is_over[inverse.ravel()]


def _share_along_c(history: SiteHistory) -> tuple[float | None, float | None]:
    c = history.sites.cell[2] / np.linalg.norm(history.sites.cell[2])
    return _sample_ratio(
        history, history.leaves, (history.jump_A @ c) ** 2, history.length_A**2
    )


def _back_share(history: SiteHistory) -> tuple[float | None, float | None]:
    """Share of jumps that the next jump of the ion undoes, of those that have a next one."""
    leaves = history.leaves
    followed = np.flatnonzero(history.ion[leaves[1:]] == history.ion[leaves[:-1]])
    back = np.linalg.norm(history.jump_A[followed] + history.jump_A[followed + 1], axis=1)
    undone = (back < history.radius_A).astype(float)
    return _sample_ratio(history, leaves[followed], undone, np.ones(len(undone)))


def _sample_ratio(
    history: SiteHistory,
    stays: NDArray[np.int64],
    above: NDArray[np.float64],
    below: NDArray[np.float64],
) -> tuple[float | None, float | None]:
    """Ratio of sums over stays with its error from the scatter of samples."""
    samples = history.sample_of(stays)
    sums = [np.bincount(samples, values, history.n_samples) for values in (above, below)]
    ratio, error = ratio_of_sums(*sums)
    return _known(ratio), _known(error)


def _warnings(
    history: SiteHistory, occupation: Occupation, skipped_share: float | None
) -> list[str]:
    """What makes the numbers doubtful, and what helps."""
    found = []
    if skipped_share is not None and skipped_share > MANY_SKIPPED:
        found.append(
            f"{100 * skipped_share:.0f} % of the jumps pass over a nearer site: frames every "
            f"{history.frame_interval_ps:g} ps are too far apart, or the radius of "
            f"{history.radius_A:.2f} Å is too small, to see each jump; "
            "rates are too low, write frames more often"
        )
    if occupation.between_share > MUCH_BETWEEN:
        found.append(
            f"ions are within {history.radius_A:.2f} Å of a site only "
            f"{100 * (1 - occupation.between_share):.0f} % of the time: sites may be missing, "
            "or the radius is too small"
        )
    return found


def _known(value: Any) -> float | None:  # noqa: ANN401 - any number of numpy
    """A number, or None for NaN."""
    return None if np.isnan(value) else float(value)
