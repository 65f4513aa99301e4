"""Which value of a setting to take: the cheapest that is as good as the finest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasksse.report.convergence import Errors, Ladder, Rung

REASON_LINES = 3
TIMING_NOISE = 0.1
"""Times that differ by this share are the same; the coarser value is taken then."""


def short_reason(error: str) -> str:
    """The first lines of an error on one line: what failed, where, and why."""
    return "; ".join(error.strip().splitlines()[:REASON_LINES])


def with_pick(ladder: Ladder, asked: Errors) -> Ladder:
    """Choose the cheapest value within the asked errors, or say why there is none.

    A value is within them when it and every finer one is: a coarse value that is right by
    accident is not. If the finest value and the one before it differ by more than is asked, the
    finest is not converged itself and nothing is chosen.

    Parameters
    ----------
    ladder
        A setting with the errors of its values.
    asked
        Errors that are allowed.
    """
    good = _good_places(ladder.rungs, asked)
    if len(good) < 2:  # noqa: PLR2004 - the finest and the one before it
        return replace(ladder, pick=None, why=_why_not(ladder, asked))
    seconds = {place: ladder.rungs[place].seconds or 0.0 for place in good}
    affordable = min(seconds.values()) * (1.0 + TIMING_NOISE)
    pick = min(place for place in good if seconds[place] <= affordable)
    why = f"{seconds[pick]:.3g} s a frame, with the finest {seconds[good[-1]]:.3g} s"
    return replace(ladder, pick=pick, why=why)


def _good_places(rungs: tuple[Rung, ...], asked: Errors) -> list[int]:
    """Places of the values within the asked errors, from the first below which none is not."""
    good: list[int] = []
    for place in reversed(range(len(rungs))):
        errors = rungs[place].errors
        if errors is None or errors.excess(asked):
            break
        good.insert(0, place)
    return good


def _why_not(ladder: Ladder, asked: Errors) -> str:
    if len(ladder.rungs) == 1:
        return f"only {ladder.finest} was computed; one value shows nothing"
    before, finest = ladder.rungs[-2:]
    for rung in (finest, before):
        if rung.reason:
            return f"{rung.value} failed: {short_reason(rung.reason)}"
    excess = ", ".join(before.errors.excess(asked)) if before.errors else "nothing known"
    return f"not converged: {before.value} and {finest.value} still differ by {excess}"
