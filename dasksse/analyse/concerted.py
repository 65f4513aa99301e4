"""Jumps that happen together, against what chance would give."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.structures.periodic import neighbour_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.stays import SiteHistory
    from dasksse.records import Json

WINDOW_PS, DISTANCE_A = 1.0, 4.5
N_SHUFFLES = 8


@dataclass(frozen=True)
class Concerted:
    """How many jumps have another one next to them in space and time.

    Attributes
    ----------
    share
        Share of jumps with a jump of another ion within the window and distance.
    by_chance, by_chance_err
        Mean and standard deviation of this share when the jumps of each ion are moved in time
        at random, all of an ion by the same time.
    window_ps
        Largest time between jumps that count as concerted [ps].
    distance_A
        Largest distance between the sites they start from [Å].
    """

    share: float
    by_chance: float
    by_chance_err: float
    window_ps: float
    distance_A: float

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def concerted_jumps(
    history: SiteHistory,
    *,
    window_ps: float = WINDOW_PS,
    distance_A: float = DISTANCE_A,
    seed: int = 0,
) -> Concerted | None:
    """Share of concerted jumps; None where there are fewer than two jumps.

    Parameters
    ----------
    history
        Stays of ions.
    window_ps
        Largest time between the arrivals of two ions [ps]; one frame if that is longer.
    distance_A
        Largest distance between the sites they start from [Å].
    seed
        Seed of the random times.

    Notes
    -----
    Chance keeps the sites and the order of the jumps of each ion, but not that two ions are
    never on one site: a share somewhat above it is no proof of concerted motion.
    """
    leaves = history.leaves
    if len(leaves) < 2:  # noqa: PLR2004 - a pair
        return None
    window = max(round(window_ps / history.frame_interval_ps), 1)
    ion, site, frame = history.ion[leaves], history.site[leaves], history.end[leaves]
    near = _near_sites(history, distance_A)
    run = history.run_of_ion[ion]
    n_frames = history.frames_per_run[run]
    # Runs one after the other, too far apart for a pair of two runs.
    starts = np.append(0, np.cumsum(history.frames_per_run + window + 1))[run]
    share = _share(ion, site, starts + frame, near, window)
    rng = np.random.default_rng(seed)
    shuffled = []
    for _ in range(N_SHUFFLES):
        shift = rng.integers(0, n_frames.max(), len(history.run_of_ion))[ion]
        moved = starts + (frame + shift) % n_frames
        shuffled.append(_share(ion, site, moved, near, window))
    return Concerted(
        share=share,
        by_chance=float(np.mean(shuffled)),
        by_chance_err=float(np.std(shuffled, ddof=1)),
        window_ps=window * history.frame_interval_ps,
        distance_A=distance_A,
    )


def _near_sites(history: SiteHistory, distance_A: float) -> NDArray[np.bool_]:
    """Pairs of sites within a distance, images included, ``(site, site)``."""
    sites = history.sites
    first, second, _ = neighbour_pairs(sites.fractions @ sites.cell, sites.cell, distance_A)
    near = np.eye(len(sites), dtype=bool)
    near[first, second] = True
    return near


def _share(
    ion: NDArray[np.int64],
    site: NDArray[np.int64],
    frame: NDArray[np.int64],
    near: NDArray[np.bool_],
    window: int,
) -> float:
    """Share of jumps with one of another ion within window frames from a near site."""
    order = np.argsort(frame, kind="stable")
    ion, site, frame = ion[order], site[order], frame[order]
    is_concerted = np.zeros(len(frame), dtype=bool)
    for step in range(1, len(frame)):
        earlier = np.flatnonzero(frame[step:] - frame[:-step] <= window)
        if not len(earlier):
            break
        later = earlier + step
        both = (ion[earlier] != ion[later]) & near[site[earlier], site[later]]
        is_concerted[earlier[both]] = True
        is_concerted[later[both]] = True
    return float(is_concerted.mean())
