"""D against the length of runs: nested windows, windows side by side, and a verdict."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.frame_window import FrameWindow
from dasksse.analyse.length_verdict import TimeWindow, WindowSet, judge_length
from dasksse.analyse.paths import MEMORY_BYTES, atoms_of
from dasksse.analyse.transport import Usage, choose_frames, diffuse
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dasksse.analyse.block_sums import Starmap
    from dasksse.analyse.diffusion_result import DiffusionResult
    from dasksse.analyse.length_verdict import LengthVerdict
    from dasksse.records import Json, Trajectory

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Nested windows, as shares of the whole length."""
BRIEF_SHARES = (1 / 4, 1 / 2, 1.0)
"""The fewest that still give a drift, and a scatter of windows, of a single run."""
LEAST_FRAMES = 50
"""Shorter windows are left out."""
MOST_WINDOWS = 32
"""Windows of one length side by side; more say little more."""


@dataclass(frozen=True)
class RunLength:
    """Present and wanted length of a run, both with its equilibration [ps].

    Attributes
    ----------
    name
        Where the run comes from.
    equilibration_ps
        Time that is left out at its start [ps].
    present_ps, wanted_ps
        Equal where the run is long enough.
    """

    name: str
    equilibration_ps: float
    present_ps: float
    wanted_ps: float


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
    runs
        Lengths of the runs that were used.
    verdict
        Whether the runs are long enough.
    notes
        What was left out and why, a sentence each.
    """

    species: str
    temperature_K: float | None
    nested: tuple[TimeWindow, ...]
    window_sets: tuple[WindowSet, ...]
    runs: tuple[RunLength, ...]
    verdict: LengthVerdict
    notes: tuple[str, ...]

    @property
    def whole(self) -> TimeWindow:
        """D of the runs in full."""
        return self.nested[-1]

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {
            "species": self.species,
            "temperature_K": self.temperature_K,
            "nested": [asdict(window) for window in self.nested],
            "side_by_side": [one.to_json() for one in self.window_sets],
            "runs": [asdict(run) for run in self.runs],
            "verdict": self.verdict.to_json(),
            "notes": list(self.notes),
        }


def convergence_in_time(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    tolerance: float = 0.1,
    lengths_ps: Sequence[float] = (),
    equilibration_ps: float | None = None,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
    on_window: Callable[[int, int], None] = lambda _done, _total: None,
) -> ConvergenceInTime:
    """D of nested windows and of windows side by side, with a verdict on the length.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature; see
        :func:`dasksse.analyse.transport.choose_frames` for those that are left out.
    mobile
        Symbol of the mobile element.
    tolerance
        Relative error of D that is asked for, above 0.
    lengths_ps
        Lengths to look at besides 1/16, 1/8, 1/4, 1/2 and all of the runs [ps]; longer ones
        are passed over.
    equilibration_ps
        Time to leave out at the start of each run [ps]; planned or found if None.
    memory_bytes, starmap
        As for :func:`dasksse.analyse.sample.sample_trajectories`.
    on_window
        Told the windows that are done and their number.

    Raises
    ------
    AnalysisError
        If the tolerance is not above 0, no run has 50 frames after equilibration, or as from
        :func:`~dasksse.analyse.transport.choose_frames`.
    """
    _check(tolerance)
    usage = choose_frames(runs, mobile, equilibration_ps=equilibration_ps)
    interval_ps = usage.runs[0].frame_interval_ps
    counts = _frame_counts(usage, SHARES, [length / interval_ps for length in lengths_ps])
    nested = [_nested(usage, n) for n in counts]
    apart = [_side_by_side(usage, n) for n in counts]
    apart = [windows for windows in apart if len(windows) > 1]
    tasks = [*nested, *([window] for windows in apart for window in windows)]
    found = []
    for task in tasks:
        found.append(_estimate(usage, task, mobile, memory_bytes, starmap))
        on_window(len(found), len(tasks))
    results = iter(found)
    whole = tuple(itertools.islice(results, len(nested)))
    window_sets = tuple(
        WindowSet(
            (windows[0].n_frames - 1) * interval_ps,
            tuple(itertools.islice(results, len(windows))),
        )
        for windows in apart
    )
    return _judged(usage, mobile, whole, window_sets, tolerance)


def brief_convergence(
    usage: Usage,
    result: DiffusionResult,
    *,
    tolerance: float = 0.1,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
) -> ConvergenceInTime:
    """The same for runs whose D is known already, from their first quarter and half alone.

    It takes about as long as D itself, a fifth of :func:`convergence_in_time`, and knows the
    scatter of windows from the quarters side by side alone.

    Parameters
    ----------
    usage
        Runs and frames.
    result
        Diffusion of the mobile element in all of them.
    tolerance
        Relative error of D that is asked for, above 0.
    memory_bytes, starmap
        As for :func:`convergence_in_time`.

    Raises
    ------
    AnalysisError
        If the tolerance is not above 0 or no run has 50 frames.
    """
    _check(tolerance)
    mobile = result.species
    *counts, longest = _frame_counts(usage, BRIEF_SHARES)

    def estimate(windows: Sequence[FrameWindow]) -> TimeWindow:
        return _estimate(usage, windows, mobile, memory_bytes, starmap)

    interval_ps = usage.runs[0].frame_interval_ps
    apart = {n: tuple(estimate([w]) for w in _side_by_side(usage, n)) for n in counts[:1]}
    is_single = len(usage.runs) == 1
    nested = [
        # the first quarter of a single run is one of those side by side
        apart[n][0] if is_single and n in apart else estimate(_nested(usage, n))
        for n in counts
    ]
    nested.append(_time_window(usage, _nested(usage, longest), result))
    window_sets = tuple(WindowSet((n - 1) * interval_ps, apart[n]) for n in apart)
    return _judged(usage, mobile, tuple(nested), window_sets, tolerance)


def _check(tolerance: float) -> None:
    if not tolerance > 0.0:
        msg = f"tolerance is {tolerance:g}, must be above 0"
        raise AnalysisError(msg)


def _judged(
    usage: Usage,
    mobile: str,
    nested: tuple[TimeWindow, ...],
    window_sets: tuple[WindowSet, ...],
    tolerance: float,
) -> ConvergenceInTime:
    """Windows with the verdict on them."""
    n_walkers = len(usage.runs) * len(atoms_of(usage.runs[0], mobile))
    verdict = judge_length(nested, window_sets, tolerance=tolerance, n_walkers=n_walkers)
    return ConvergenceInTime(
        species=mobile,
        temperature_K=usage.runs[0].temperature_K,
        nested=nested,
        window_sets=window_sets,
        runs=_lengths(usage, verdict),
        verdict=verdict,
        notes=usage.notes,
    )


def _frame_counts(
    usage: Usage, shares: Sequence[float], asked_intervals: Sequence[float] = ()
) -> list[int]:
    """Frames of the windows to look at, ascending, the longest run last."""
    longest = max(run.n_frames - first for run, first in _pairs(usage))
    if longest < LEAST_FRAMES:
        msg = (
            f"{usage.runs[0].name}: the longest run has {longest} frames after equilibration, "
            f"windows need {LEAST_FRAMES}: run longer, write frames more often or discard less"
        )
        raise AnalysisError(msg)
    # rounded down, so that four quarters fit side by side
    wanted = [*(int(share * (longest - 1)) for share in shares), *asked_intervals]
    counts = {round(intervals) + 1 for intervals in wanted}
    return sorted(n for n in counts if LEAST_FRAMES <= n <= longest)


def _nested(usage: Usage, n_frames: int) -> list[FrameWindow]:
    """First frames of all runs."""
    return [
        FrameWindow(run, first, min(first + n_frames, run.n_frames))
        for run, first in _pairs(usage)
    ]


def _side_by_side(usage: Usage, n_frames: int) -> list[FrameWindow]:
    """Windows that share no more than a frame, as many of each run as of the others."""
    most = max(MOST_WINDOWS // len(usage.runs), 1)
    return [
        FrameWindow(run, start, start + n_frames)
        for run, first in _pairs(usage)
        for start in range(first, run.n_frames - n_frames + 1, n_frames - 1)[:most]
    ]


def _estimate(
    usage: Usage,
    windows: Sequence[FrameWindow],
    mobile: str,
    memory_bytes: int,
    starmap: Starmap,
) -> TimeWindow:
    """D of one window of one or more runs."""
    part = Usage(tuple(windows), (0,) * len(windows), ())
    result = diffuse(part, mobile, memory_bytes=memory_bytes, starmap=starmap)
    return _time_window(usage, windows, result)


def _time_window(
    usage: Usage, windows: Sequence[FrameWindow], result: DiffusionResult
) -> TimeWindow:
    """Place, length and D of a window."""
    interval_ps = windows[0].frame_interval_ps
    first_frame = dict(zip(map(id, usage.runs), usage.first_frames, strict=True))
    return TimeWindow(
        start_ps=(windows[0].start - first_frame[id(windows[0].run)]) * interval_ps,
        length_ps=float(np.mean([window.n_frames - 1 for window in windows])) * interval_ps,
        D_m2_s=result.D_m2_s,
        D_err_m2_s=result.D_err_m2_s,
        upper_bound_m2_s=result.upper_bound_m2_s,
        regime=result.regime,
    )


def _lengths(usage: Usage, verdict: LengthVerdict) -> tuple[RunLength, ...]:
    lengths = []
    for run, first in _pairs(usage):
        present_ps = (run.n_frames - 1) * run.frame_interval_ps
        left_out_ps = first * run.frame_interval_ps
        wanted_ps = verdict.wanted_ps + left_out_ps
        if verdict.is_converged:
            wanted_ps = present_ps
        lengths.append(RunLength(run.name, left_out_ps, present_ps, wanted_ps))
    return tuple(lengths)


def _pairs(usage: Usage) -> list[tuple[Trajectory, int]]:
    """Runs with their first frames."""
    return list(zip(usage.runs, usage.first_frames, strict=True))
