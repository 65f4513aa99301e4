"""Which ion is on which site, from when to when: all that jumps and occupations are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.alignment import framework_offset
from dasksse.analyse.block_sums import plan_runs
from dasksse.analyse.paths import MEMORY_BYTES, follow
from dasksse.analyse.sites import NearestPoint
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.sites import Sites
    from dasksse.records import Trajectory

LEAST_SAMPLES = 8
"""With fewer ions than this, runs are cut into stretches that count as samples of their own."""
_PIECE_FRAMES = 65_536


@dataclass(frozen=True)
class SiteHistory:
    """Stays of ions on sites. A stay lasts until the ion enters the core of another site.

    Stays are ordered by ion, then by time; the next stay of an ion begins where one ends.

    Attributes
    ----------
    sites
        Sites.
    radius_A
        Radius of a site's core [Å].
    frame_interval_ps
        Time between frames [ps].
    frames_per_run
        Frames of each run, shape ``(run,)``.
    first_frames
        First frame of each run that is used, shape ``(run,)``.
    run_of_ion, atom_of_ion
        Run and atom of each ion of each run, shape ``(ion,)``.
    ion
        Ion of each stay, shape ``(stay,)``.
    site
        Its site, shape ``(stay,)``.
    place
        Position of the site's image that the ion is on [Å], unwrapped, shape ``(stay, xyz)``.
    entry
        Frame in which the ion is in the core for the first time, shape ``(stay,)``.
    end
        Frame in which it enters another core, or the number of frames, shape ``(stay,)``.
    core_frames
        Frames that ions were in the core of each site, shape ``(site,)``.
    core_square_A2
        Sum of their squared distances from the centre [Å²], shape ``(site,)``.
    sample_lags
        Lags of the next field [frames], shape ``(lag,)``.
    sample_msd_A2
        MSD of the paths of sites [Å²], shape ``(sample, lag)``.
    n_stretches
        Stretches of a run that count as samples: sample ``ion * n_stretches + stretch``.
    """

    sites: Sites
    radius_A: float
    frame_interval_ps: float
    frames_per_run: NDArray[np.int64]
    first_frames: NDArray[np.int64]
    run_of_ion: NDArray[np.int64]
    atom_of_ion: NDArray[np.int64]
    ion: NDArray[np.int64]
    site: NDArray[np.int64]
    place: NDArray[np.float64]
    entry: NDArray[np.int64]
    end: NDArray[np.int64]
    core_frames: NDArray[np.int64]
    core_square_A2: NDArray[np.float64]
    sample_lags: NDArray[np.int64]
    sample_msd_A2: NDArray[np.float64]
    n_stretches: int

    @property
    def n_samples(self) -> int:
        """Independent samples for errors: ions, or stretches of the runs of few ions."""
        return len(self.run_of_ion) * self.n_stretches

    @property
    def ion_frames(self) -> int:
        """Frames times ions, of all runs."""
        return int(self.frames_per_run[self.run_of_ion].sum())

    @cached_property
    def leaves(self) -> NDArray[np.int64]:
        """Stays that end with a jump: the next stay is of the same ion, shape ``(jump,)``."""
        return np.flatnonzero(self.ion[1:] == self.ion[:-1])

    @cached_property
    def jump_A(self) -> NDArray[np.float64]:
        """Vectors of the jumps [Å], shape ``(jump, xyz)``."""
        return np.asarray(self.place[self.leaves + 1] - self.place[self.leaves])

    @cached_property
    def length_A(self) -> NDArray[np.float64]:
        """Lengths of the jumps [Å], shape ``(jump,)``."""
        return np.linalg.norm(self.jump_A, axis=1)

    @property
    def is_first(self) -> NDArray[np.bool_]:
        """Stays that began before the run, shape ``(stay,)``."""
        return np.append(True, self.ion[1:] != self.ion[:-1])

    @property
    def duration(self) -> NDArray[np.int64]:
        """Length of the stays [frames], shape ``(stay,)``."""
        return self.end - self.entry

    def sample_of(self, stays: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sample that the ends of some stays belong to."""
        ion = self.ion[stays]
        length = self.frames_per_run[self.run_of_ion[ion]]
        stretch = self.end[stays] * self.n_stretches // length
        return ion * self.n_stretches + np.minimum(stretch, self.n_stretches - 1)


def follow_sites(
    runs: Sequence[Trajectory],
    sites: Sites,
    *,
    radius_A: float | None = None,
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    on_block: Callable[[int, int], None] | None = None,
) -> SiteHistory:
    """Follow the ions of runs from site to site. Positions are read once, block by block.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature, with the same time between frames.
    sites
        Sites of the mobile element.
    radius_A
        Radius of a site's core [Å]; see :meth:`dasksse.analyse.sites.Sites.core_radius_A`.
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes
        Memory for the work on one block of ions.
    on_block
        Called with the blocks done and the blocks in all.

    Raises
    ------
    AnalysisError
        If runs differ in ions or frame interval, do not fit the sites, or no ion is ever on a
        site.
    """
    radius_A = sites.core_radius_A(radius_A)
    plans = plan_runs(runs, sites.species, first_frames, memory_bytes)
    _check_intervals(runs)
    n_stretches = -(-LEAST_SAMPLES // sum(plan.n_atoms for plan in plans))
    lags = _doubling_lags(min(plan.n_frames for plan in plans) // n_stretches)
    parts: list[_IonStays] = []
    finders: list[_StayFinder] = []
    n_done, n_blocks = 0, sum(len(plan.blocks) for plan in plans)
    for plan in plans:
        paths = follow(plan.run, sites.species, first_frame=plan.first_frame)
        offset = framework_offset(paths, sites, memory_bytes=memory_bytes)
        finder = _StayFinder(sites, paths.mean_cell, radius_A, offset)
        finders.append(finder)
        for block in plan.blocks:
            columns = paths.columns(block, memory_bytes=memory_bytes)
            parts += [
                finder.stays_of(columns[:, row], lags, n_stretches) for row in range(len(block))
            ]
            n_done += 1
            if on_block is not None:
                on_block(n_done, n_blocks)
    if not any(len(part.site) for part in parts):
        raise AnalysisError(
            f"{runs[0].name}: no {sites.species} is ever within {radius_A:.2f} Å of one of the "
            f"{len(sites)} sites of {sites.source}; give other sites or a larger radius"
        )
    return SiteHistory(
        sites=sites,
        radius_A=radius_A,
        frame_interval_ps=runs[0].frame_interval_ps,
        frames_per_run=np.array([plan.n_frames for plan in plans]),
        first_frames=np.array([plan.first_frame for plan in plans]),
        run_of_ion=np.repeat(np.arange(len(plans)), [plan.n_atoms for plan in plans]),
        atom_of_ion=np.concatenate([block for plan in plans for block in plan.blocks]),
        ion=np.repeat(np.arange(len(parts)), [len(part.site) for part in parts]),
        core_frames=np.sum([finder.core_frames for finder in finders], axis=0),
        core_square_A2=np.sum([finder.core_square_A2 for finder in finders], axis=0),
        sample_lags=lags,
        n_stretches=n_stretches,
        **_joined(parts),
    )


@dataclass(frozen=True)
class _IonStays:
    """Stays of one ion in one run, as in :class:`SiteHistory`."""

    site: NDArray[np.int64]
    place: NDArray[np.float64]
    entry: NDArray[np.int64]
    end: NDArray[np.int64]
    sample_msd_A2: NDArray[np.float64]


def _joined(parts: Sequence[_IonStays]) -> dict[str, NDArray[Any]]:
    """Stays of all ions, one after the other."""
    return {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(_IonStays)
    }


class _StayFinder:
    """Finds the stays of ions of one run; sums up how they spread over the cores."""

    def __init__(
        self,
        sites: Sites,
        cell: NDArray[np.float64],
        radius_A: float,
        offset: NDArray[np.float64],
    ) -> None:
        self.n_sites = len(sites)
        self.core_frames = np.zeros(len(sites), dtype=np.int64)
        self.core_square_A2 = np.zeros(len(sites))
        self.cell, self.inverse, self.offset = cell, np.linalg.inv(cell), offset
        self.places = sites.fractions @ cell
        self.nearest = NearestPoint(sites.fractions, cell, radius_A)

    def stays_of(
        self,
        column: NDArray[np.float64],
        lags: NDArray[np.int64],
        n_stretches: int,
    ) -> _IonStays:
        """Stays of an ion with the path ``(xyz, frame)`` [Å]."""
        n_frames = column.shape[1]
        found = [np.empty((0, 5), dtype=np.int64)]
        for start in range(0, n_frames, _PIECE_FRAMES):
            positions = column[:, start : start + _PIECE_FRAMES].T - self.offset
            site, distances, vectors = self.nearest(positions @ self.inverse)
            inside = np.flatnonzero(site >= 0)
            site = site[inside]
            centres = positions[inside] - vectors[inside]
            images = np.rint((centres - self.places[site]) @ self.inverse).astype(np.int64)
            self.core_frames += np.bincount(site, minlength=self.n_sites)
            self.core_square_A2 += np.bincount(site, distances[inside] ** 2, self.n_sites)
            found.append(_changes(np.column_stack([start + inside, site, images])))
        rows = _changes(np.concatenate(found))
        entry, site = rows[:, 0], rows[:, 1]
        place = self.places[site] + rows[:, 2:] @ self.cell
        end = np.append(entry[1:], n_frames)[: len(entry)]
        msd_A2 = _path_msd(place, entry, n_frames, lags, n_stretches)
        return _IonStays(site, place, entry, end, msd_A2)


def _changes(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows ``(frame, site, image)`` whose site or image differs from that of the row before."""
    differs = np.any(rows[1:, 1:] != rows[:-1, 1:], axis=1)
    return rows[np.append(True, differs)[: len(rows)]]


def _path_msd(
    place: NDArray[np.float64],
    entry: NDArray[np.int64],
    n_frames: int,
    lags: NDArray[np.int64],
    n_stretches: int,
) -> NDArray[np.float64]:
    """MSD of the path from site to site in each stretch [Å²], shape ``(stretch, lag)``."""
    msd = np.zeros((n_stretches, len(lags)))
    if len(entry) < 2:  # noqa: PLR2004 - one site, or none: no step
        return msd
    durations = np.diff(np.concatenate([[0], entry[1:], [n_frames]]))
    path = np.repeat(place.T, durations, axis=1)
    edges = np.arange(n_stretches + 1) * n_frames // n_stretches
    for stretch, (start, stop) in enumerate(pairwise(edges)):
        part = path[:, start:stop]
        for column, lag in enumerate(lags):
            steps = part[:, lag:] - part[:, :-lag]
            msd[stretch, column] = np.vdot(steps, steps) / steps.shape[1]
    return msd


def _doubling_lags(n_frames: int) -> NDArray[np.int64]:
    """1, 2, 4, ... frames up to a quarter of a stretch."""
    return 2 ** np.arange(max(int(np.log2(max(n_frames, 2) / 4)) + 1, 0))


def _check_intervals(runs: Sequence[Trajectory]) -> None:
    intervals = [run.frame_interval_ps for run in runs]
    if not np.allclose(intervals, intervals[0], rtol=1e-6):
        msg = (
            "runs of a jump analysis must have one time between frames; found "
            + ", ".join(f"{run.name}: {run.frame_interval_ps:g} ps" for run in runs)
            + ": import them with --every so that they agree"
        )
        raise AnalysisError(msg)
