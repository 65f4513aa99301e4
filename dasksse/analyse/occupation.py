"""How many ions are on each site on the average, with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dasksse.analyse.stays import SiteHistory

BLOCKS_PER_RUN = 32
"""Blocks of time of the finest errors; they are joined two by two to 4 a run."""
_FEWEST_BLOCKS = 4
_ROUNDING = 1e-12
"""An occupation that cannot vary, as that of a single class, has no error."""


@dataclass(frozen=True)
class Occupation:
    """Mean number of ions on sites; an ion belongs to the last site whose core it entered.

    Attributes
    ----------
    of_site, of_site_err
        Occupation of each site and its standard error, shape ``(site,)``.
    of_class, of_class_err
        Mean occupation of the sites of each class and its error, shape ``(class,)``.
    core_share
        Share of the time on the sites of a class that ions are within the core, shape
        ``(class,)``; NaN where there is none.
    core_rms_A
        RMS distance of ions in the core from its centre [Å], shape ``(class,)``; NaN where
        there are none.
    between_share
        Share of the time that ions are in no core.
    """

    of_site: NDArray[np.float64]
    of_site_err: NDArray[np.float64]
    of_class: NDArray[np.float64]
    of_class_err: NDArray[np.float64]
    core_share: NDArray[np.float64]
    core_rms_A: NDArray[np.float64]
    between_share: float


def occupations(history: SiteHistory) -> Occupation:
    """Occupation of sites and classes.

    Parameters
    ----------
    history
        Stays of ions.

    Notes
    -----
    Errors come from the scatter of blocks of time of all runs; of block lengths from a 32th to
    a quarter of a run, the largest error is taken, as blocks shorter than the residence time
    depend on each other. An error is too small where the run is not much longer than that. Time
    before an ion enters its first core counts for no site.
    """
    sites = history.sites
    blocks, weights = _block_occupations(history)
    by_class = np.zeros((len(blocks), len(sites.classes)))
    np.add.at(by_class.T, sites.class_of, blocks.T)
    by_class /= sites.multiplicities
    n_kinds = len(sites.classes)
    core = np.bincount(sites.class_of, history.core_frames, n_kinds)
    square = np.bincount(sites.class_of, history.core_square_A2, n_kinds)
    stayed = np.bincount(sites.class_of[history.site], history.duration, n_kinds)
    with np.errstate(invalid="ignore", divide="ignore"):
        core_share, core_rms_A = core / stayed, np.sqrt(square / core)
    return Occupation(
        of_site=weights @ blocks,
        of_site_err=_error(blocks, weights),
        of_class=weights @ by_class,
        of_class_err=_error(by_class, weights),
        core_share=core_share,
        core_rms_A=core_rms_A,
        between_share=1.0 - float(core.sum()) / history.ion_frames,
    )


def _block_occupations(
    history: SiteHistory,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean number of ions on each site in each block ``(block, site)``; shares of time."""
    n_sites = len(history.sites)
    blocks, weights = [], []
    run_of_stay = history.run_of_ion[history.ion]
    for run, n_frames in enumerate(history.frames_per_run.tolist()):
        here = run_of_stay == run
        site, entry = history.site[here], history.entry[here]
        duration = history.duration[here]
        edges = np.unique(np.arange(BLOCKS_PER_RUN + 1) * n_frames // BLOCKS_PER_RUN)
        before = [
            np.bincount(site, np.clip(edge - entry, 0, duration), n_sites) for edge in edges
        ]
        lengths = np.diff(edges)
        blocks.append(np.diff(before, axis=0) / lengths[:, None])
        weights.append(lengths / history.frames_per_run.sum())
    return np.concatenate(blocks), np.concatenate(weights)


def _error(blocks: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest standard error of the mean over levels of blocking, shape of a block."""
    errors = [np.zeros(blocks.shape[1])]
    values, shares = blocks, weights
    joined = BLOCKS_PER_RUN
    while joined >= _FEWEST_BLOCKS and len(values) > 1:
        mean = shares @ values
        n = len(values)
        errors.append(np.sqrt(n / (n - 1) * (shares**2 @ (values - mean) ** 2)))
        pairs = shares[: n // 2 * 2].reshape(-1, 2)
        both = values[: n // 2 * 2].reshape(-1, 2, values.shape[1])
        shares = pairs.sum(axis=1)
        values = (pairs[..., None] * both).sum(axis=1) / shares[:, None]
        shares = shares / shares.sum()
        joined //= 2
    largest = np.max(errors, axis=0)
    return np.where(largest > _ROUNDING, largest, 0.0)
