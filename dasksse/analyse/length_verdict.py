"""Whether D of a set of runs is converged with their length, and how long they should be."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import chdtrc, chdtri

from dasksse.analyse.slope import JUMP_LENGTH_A, LONGEST_LAG
from dasksse.units import M2_S_PER_A2_PS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.analyse.regime import Regime
    from dasksse.records import Json

State = Literal["converged", "too_short", "not_diffusive"]

LEAST_WINDOWS = 4
"""Fewer windows than this say nothing about their scatter."""
ASSUMED_FREEDOM = 4
"""Degrees of freedom of an error that no scatter of windows could test."""
LEAST_PROBABILITY = 0.05
SIGNIFICANT = 2.0
"""Standard errors by which D must change with length before that is a trend."""
ONE_SIGMA = 0.1587
"""Probability of each tail outside 68 %."""
LEAST_FACTOR = 2.0
"""Where no law tells the length, the next run is to be longer by this factor at least."""


@dataclass(frozen=True)
class TimeWindow:
    """D of one stretch of time, in one run or in all of them together.

    Attributes
    ----------
    start_ps, length_ps
        Where it begins after equilibration, and its length [ps].
    D_m2_s, D_err_m2_s
        Diffusion coefficient and its standard error [m²/s]; None where it is not diffusive.
    upper_bound_m2_s
        D is below this with 95 % confidence [m²/s], where D is unknown and it is bounded.
    regime
        Regime of motion.
    """

    start_ps: float
    length_ps: float
    D_m2_s: float | None
    D_err_m2_s: float | None
    upper_bound_m2_s: float | None
    regime: Regime

    @property
    def relative_error(self) -> float | None:
        """Standard error over D."""
        if self.D_m2_s is None or self.D_err_m2_s is None:
            return None
        return self.D_err_m2_s / self.D_m2_s


@dataclass(frozen=True)
class WindowSet:
    """Windows of one length that do not overlap, each in one run.

    Attributes
    ----------
    length_ps
        Length of each [ps].
    windows
        The windows.
    """

    length_ps: float
    windows: tuple[TimeWindow, ...]

    @property
    def known(self) -> list[tuple[float, float]]:
        """D and its error [m²/s] in the diffusive windows."""
        pairs = [(w.D_m2_s, w.D_err_m2_s) for w in self.windows]
        return [(D, error) for D, error in pairs if D is not None and error is not None]

    @property
    def mean_m2_s(self) -> float | None:
        """Mean of the known D [m²/s]; it leans to high values where others are unknown."""
        return float(np.mean([D for D, _ in self.known])) if self.known else None

    @property
    def stated_m2_s(self) -> float | None:
        """Root mean square of the stated errors [m²/s]."""
        if not self.known:
            return None
        return float(np.sqrt(np.mean([error**2 for _, error in self.known])))

    @property
    def scatter_m2_s(self) -> float | None:
        """Standard deviation of D over the windows [m²/s], where all are diffusive."""
        if not self.tests_errors:
            return None
        return float(np.std([D for D, _ in self.known], ddof=1))

    @property
    def tests_errors(self) -> bool:
        """Whether there are enough windows, all diffusive, to compare scatter and errors."""
        return len(self.windows) == len(self.known) >= LEAST_WINDOWS

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {
            "length_ps": self.length_ps,
            "n_windows": len(self.windows),
            "n_diffusive": len(self.known),
            "D_mean_m2_s": self.mean_m2_s,
            "D_scatter_m2_s": self.scatter_m2_s,
            "D_err_m2_s": self.stated_m2_s,
            "windows": [asdict(window) for window in self.windows],
        }


@dataclass(frozen=True)
class LengthVerdict:
    """What the windows say about the length of the runs. Lengths leave equilibration out.

    Attributes
    ----------
    state
        ``converged``: error and drift are within the tolerance; ``too_short``: one of them is
        not; ``not_diffusive``: there is no D yet.
    tolerance
        Relative error of D that is asked for.
    length_ps
        Present length of a run [ps].
    relative_error
        Standard error over D, raised to what the scatter of windows shows.
    drift, drift_err
        Change of D from the first half to the whole length, relative to D, and its error.
    scatter_ratio
        Scatter of D over windows side by side over their stated errors; 1 if these are right.
    wanted_ps
        Length at which D should be converged [ps], to two digits; the present one where it is.
    wanted_range_ps
        Its 68 % interval [ps]; None where it is a lower bound.
    is_lower_bound
        True when more than `wanted_ps` may be needed.
    text
        One sentence.
    """

    state: State
    tolerance: float
    length_ps: float
    relative_error: float | None
    drift: float | None
    drift_err: float | None
    scatter_ratio: float | None
    wanted_ps: float
    wanted_range_ps: tuple[float, float] | None
    is_lower_bound: bool
    text: str

    @property
    def is_converged(self) -> bool:
        """True when the runs are long enough."""
        return self.state == "converged"

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        limits = self.wanted_range_ps
        return {**asdict(self), "wanted_range_ps": None if limits is None else list(limits)}


def judge_length(
    nested: Sequence[TimeWindow],
    window_sets: Sequence[WindowSet],
    *,
    tolerance: float,
    n_walkers: int,
) -> LengthVerdict:
    """Judge runs by D of growing parts of them.

    Parameters
    ----------
    nested
        Windows of all runs from their start on, the whole length last.
    window_sets
        Windows side by side, by length.
    tolerance
        Relative error of D that is asked for, such as 0.1.
    n_walkers
        Mobile ions of all runs together.

    Notes
    -----
    The error falls with the root of the length, so that the wanted length is the present one
    times ``(error / tolerance)²``. An error from f degrees of freedom is itself uncertain: the
    interval of its square, and so of the length, is that of f / chi². f is one less than the
    number of windows side by side where these are diffusive, else a guess of 4. Where the first
    half alone gives a D that is off by more than the tolerance, or none, no law tells the
    length: at least twice the present one is asked for.
    """
    whole = nested[-1]
    error = whole.relative_error
    if whole.D_m2_s is None or error is None:
        return _not_diffusive(whole, tolerance, n_walkers)
    ratio, freedom, is_noisier = _test_errors(window_sets)
    if is_noisier:
        error *= ratio or 1.0
    drift, drift_err = _drift(nested, whole)
    by_error = whole.length_ps * (error / tolerance) ** 2
    drifts = drift is None or abs(drift) > tolerance
    by_drift = LEAST_FACTOR * whole.length_ps if drifts else 0.0
    is_converged = by_error <= whole.length_ps and not drifts
    wanted = whole.length_ps if is_converged else max(by_error, by_drift)
    is_lower_bound = not is_converged and by_drift >= by_error
    limits = None
    if not is_converged and not is_lower_bound:
        low, high = (freedom / chdtri(freedom, p) for p in (ONE_SIGMA, 1.0 - ONE_SIGMA))
        limits = (
            _rounded_up(max(by_error * low, whole.length_ps)),
            _rounded_up(by_error * high),
        )
    verdict = LengthVerdict(
        state="converged" if is_converged else "too_short",
        tolerance=tolerance,
        length_ps=whole.length_ps,
        relative_error=error,
        drift=drift,
        drift_err=drift_err,
        scatter_ratio=ratio,
        wanted_ps=wanted if is_converged else _rounded_up(wanted),
        wanted_range_ps=limits,
        is_lower_bound=is_lower_bound,
        text="",
    )
    notes = _notes(verdict, is_noisier=is_noisier)
    return replace(verdict, text=f"{_headline(verdict)}: {'; '.join(notes)}")


def format_length(length_ps: float) -> str:
    """Length in ps or ns, to three digits."""
    return f"{length_ps / 1e3:.3g} ns" if length_ps >= 1e3 else f"{length_ps:.3g} ps"  # noqa: PLR2004


def _not_diffusive(whole: TimeWindow, tolerance: float, n_walkers: int) -> LengthVerdict:
    """An ion must leave its site well within the longest lag, and jumps must suffice."""
    wanted = LEAST_FACTOR * whole.length_ps
    if whole.upper_bound_m2_s:
        to_leave_ps = JUMP_LENGTH_A**2 * M2_S_PER_A2_PS / 6.0 / whole.upper_bound_m2_s
        to_count_ps = to_leave_ps / n_walkers / tolerance**2
        wanted = max(wanted, to_leave_ps / LONGEST_LAG, to_count_ps)
    wanted = _rounded_up(wanted)
    text = (
        f"{whole.regime.replace('_', ' ')} within {format_length(whole.length_ps)}: needs "
        f"longer, at least {format_length(wanted)}"
    )
    return LengthVerdict(
        "not_diffusive",
        tolerance,
        whole.length_ps,
        None,
        None,
        None,
        None,
        wanted,
        None,
        is_lower_bound=True,
        text=text,
    )


def _test_errors(window_sets: Sequence[WindowSet]) -> tuple[float | None, int, bool]:
    """Scatter over stated errors where most windows are, its freedom, is it significant."""
    tested = [one for one in window_sets if one.tests_errors]
    if not tested:
        return None, ASSUMED_FREEDOM, False
    best = max(tested, key=lambda one: len(one.windows))
    ratio = (best.scatter_m2_s or 0.0) / (best.stated_m2_s or math.inf)
    freedom = len(best.windows) - 1
    return ratio, freedom, bool(chdtrc(freedom, freedom * ratio**2) < LEAST_PROBABILITY)


def _drift(
    nested: Sequence[TimeWindow], whole: TimeWindow
) -> tuple[float | None, float | None]:
    """Change of D from the half to the whole, and what noise alone would make of it."""
    half = min(
        nested[:-1], key=lambda w: abs(w.length_ps - whole.length_ps / 2.0), default=None
    )
    if half is None or half.D_m2_s is None or half.D_err_m2_s is None:
        return None, None
    D, error = whole.D_m2_s or math.nan, whole.D_err_m2_s or math.nan
    # what the whole shares with the half does not differ; twice the length, half the variance
    noise = math.sqrt(max(half.D_err_m2_s**2 - error**2, error**2))
    return (D - half.D_m2_s) / D, noise / D


def _headline(verdict: LengthVerdict) -> str:
    percent = f"{100 * verdict.tolerance:g} %"
    if verdict.is_converged:
        return f"converged within {percent} at {format_length(verdict.length_ps)}"
    more = format_length(verdict.wanted_ps - verdict.length_ps)
    if verdict.wanted_range_ps is None:
        return f"not converged within {percent}: needs at least {more} more"
    low, high = (limit - verdict.length_ps for limit in verdict.wanted_range_ps)
    interval = f"{format_length(low)} to {format_length(high)}"
    return f"not converged within {percent}: needs about {more} more ({interval})"


def _notes(verdict: LengthVerdict, *, is_noisier: bool) -> list[str]:
    """What the verdict rests on."""
    notes = [f"error {100 * (verdict.relative_error or 0.0):.0f} %"]
    if is_noisier:
        ratio = verdict.scatter_ratio or 0.0
        notes[0] += f", as windows scatter by {ratio:.1f} times their stated errors"
    if verdict.drift is None or verdict.drift_err is None:
        return [*notes, "the first half alone is not diffusive"]
    change = f"the first half alone gives {100 * abs(verdict.drift):.0f} % "
    change += "less" if verdict.drift > 0 else "more"
    if abs(verdict.drift) > verdict.tolerance:
        is_trend = abs(verdict.drift) > SIGNIFICANT * verdict.drift_err
        change += ", a trend beyond its error" if is_trend else ", which its error explains"
    return [*notes, change]


def _rounded_up(length_ps: float) -> float:
    """The next number of two digits."""
    unit = 10.0 ** (math.floor(math.log10(length_ps)) - 1)
    return float(f"{math.ceil(length_ps / unit - 1e-9) * unit:.2g}")
