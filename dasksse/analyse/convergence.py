"""D against the length of runs: nested windows, windows side by side, and a verdict."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.diffusion import diffusion_of
from dasksse.analyse.frame_window import FrameWindow
from dasksse.analyse.length_verdict import TimeWindow, WindowSet, judge_length
from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, start_of
from dasksse.analyse.sample import sample_trajectories
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.analyse.block_sums import Starmap
    from dasksse.analyse.diffusion_result import DiffusionResult
    from dasksse.analyse.length_verdict import LengthVerdict
    from dasksse.records import Json, Trajectory

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Nested windows, as shares of the whole length."""
LEAST_FRAMES = 50
"""Shorter windows are left out."""


@dataclass(frozen=True)
class ConvergenceInTime:
    """D of growing parts of a set of runs, and of parts side by side.

    Attributes
    ----------
    species
        Symbol of the mobile element.
    temperature_K
        Temperature [K]; None where it is not known.
    nested
        Windows of all runs together from their start on, the whole length last.
    window_sets
        Windows side by side, the longest last.
    present_ps
        Length of each run with its equilibration [ps], shape ``(run,)``.
    equilibration_ps
        What is left out of each run [ps], shape ``(run,)``.
    verdict
        Whether the runs are long enough.
    """

    species: str
    temperature_K: float | None
    nested: tuple[TimeWindow, ...]
    window_sets: tuple[WindowSet, ...]
    present_ps: tuple[float, ...]
    equilibration_ps: tuple[float, ...]
    verdict: LengthVerdict

    @property
    def wanted_ps(self) -> tuple[float, ...]:
        """Length that each run should have, with its equilibration [ps]."""
        if self.verdict.is_converged:
            return self.present_ps
        wanted = self.verdict.wanted_ps
        return tuple(wanted + equilibration for equilibration in self.equilibration_ps)

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {
            "species": self.species,
            "temperature_K": self.temperature_K,
            "nested": [asdict(window) for window in self.nested],
            "side_by_side": [one.to_json() for one in self.window_sets],
            "present_ps": list(self.present_ps),
            "equilibration_ps": list(self.equilibration_ps),
            "verdict": self.verdict.to_json(),
        }


def convergence_in_time(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    tolerance: float = 0.1,
    lengths_ps: Sequence[float] = (),
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
) -> ConvergenceInTime:
    """D of nested windows and of windows side by side, with a verdict on the length.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature. One shorter than half of the longest
        is left out of the windows, as it is from D.
    mobile
        Symbol of the mobile element.
    tolerance
        Relative error of D that is asked for, above 0.
    lengths_ps
        Lengths to look at besides 1/16, 1/8, 1/4, 1/2 and all of the runs [ps].
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes, starmap
        As for :func:`dasksse.analyse.sample.sample_trajectories`.

    Raises
    ------
    AnalysisError
        If the tolerance is not above 0, no run has 50 frames after equilibration, or as from
        :func:`~dasksse.analyse.sample.sample_trajectories`.
    """
    if not tolerance > 0.0:
        msg = f"tolerance is {tolerance:g}, must be above 0"
        raise AnalysisError(msg)
    firsts = [None] * len(runs) if first_frames is None else first_frames
    starts = [start_of(run, first) for run, first in zip(runs, firsts, strict=True)]
    interval_ps = runs[0].frame_interval_ps
    used = _used(runs, starts)
    counts = _frame_counts(used, [length / interval_ps for length in lengths_ps])

    def estimate(windows: Sequence[FrameWindow], start: int) -> TimeWindow:
        result = _diffusion(windows, mobile, memory_bytes=memory_bytes, starmap=starmap)
        return TimeWindow(
            (windows[0].start - start) * interval_ps,
            float(np.mean([window.n_frames - 1 for window in windows])) * interval_ps,
            result.D_m2_s,
            result.D_err_m2_s,
            result.upper_bound_m2_s,
            result.regime,
        )

    nested = [
        estimate([FrameWindow(run, s, min(s + n, run.n_frames)) for run, s in used], used[0][1])
        for n in counts
    ]
    window_sets = []
    for n in counts:
        apart = [(run, s, first) for run, s in used for first in _firsts(run, s, n)]
        if len(apart) > 1:
            found = [estimate([FrameWindow(run, f, f + n)], s) for run, s, f in apart]
            window_sets.append(WindowSet((n - 1) * interval_ps, tuple(found)))
    n_walkers = len(used) * len(atoms_of(runs[0], mobile))
    return ConvergenceInTime(
        species=mobile,
        temperature_K=runs[0].temperature_K,
        nested=tuple(nested),
        window_sets=tuple(window_sets),
        present_ps=tuple((run.n_frames - 1) * interval_ps for run in runs),
        equilibration_ps=tuple(start * interval_ps for start in starts),
        verdict=judge_length(nested, window_sets, tolerance=tolerance, n_walkers=n_walkers),
    )


def _used(runs: Sequence[Trajectory], starts: Sequence[int]) -> list[tuple[Trajectory, int]]:
    """Runs of useful length with their first frame after equilibration."""
    longest = max(run.n_frames - start for run, start in zip(runs, starts, strict=True))
    if longest < LEAST_FRAMES:
        msg = (
            f"{runs[0].name}: the longest run has {longest} frames after equilibration, "
            f"windows need {LEAST_FRAMES}: run longer, write frames more often or discard less"
        )
        raise AnalysisError(msg)
    pairs = zip(runs, starts, strict=True)
    return [(run, start) for run, start in pairs if 2 * (run.n_frames - start) >= longest]


def _frame_counts(
    used: Sequence[tuple[Trajectory, int]], asked_intervals: Sequence[float]
) -> list[int]:
    """Frames of the windows to look at, ascending, the longest run last."""
    longest = max(run.n_frames - start for run, start in used)
    wanted = [*(share * (longest - 1) for share in SHARES), *asked_intervals]
    counts = {round(intervals) + 1 for intervals in wanted}
    return sorted(n for n in counts if LEAST_FRAMES <= n <= longest)


def _firsts(run: Trajectory, start: int, n_frames: int) -> range:
    """First frames of the windows side by side in one run."""
    return range(start, run.n_frames - n_frames + 1, n_frames - 1)


def _diffusion(
    runs: Sequence[Trajectory], mobile: str, *, memory_bytes: int, starmap: Starmap
) -> DiffusionResult:
    sample = sample_trajectories(runs, mobile, memory_bytes=memory_bytes, starmap=starmap)
    return diffusion_of(
        sample,
        species=mobile,
        frame_interval_ps=runs[0].frame_interval_ps,
        volume_A3=float(np.abs(np.linalg.det(runs[0].cells())).mean()),
    )
