"""D against length as a run of known D and error would show it."""

from __future__ import annotations

import numpy as np

from dasksse.analyse.convergence import ConvergenceInTime, RunLength
from dasksse.analyse.length_verdict import TimeWindow, WindowSet, judge_length


def make_convergence(
    D: float,
    relative: float | None,
    temperature_K: float,
    *,
    length_ps: float = 990.0,
    tolerance: float = 0.1,
) -> ConvergenceInTime:
    """Made-up windows of a run: errors grow as lengths shrink, and there is noise."""
    rng = np.random.default_rng(int(temperature_K))

    def window(share: float) -> TimeWindow:
        error = None if relative is None else relative / share**0.5
        if error is None or error > 0.6:
            return TimeWindow(0.0, share * length_ps, None, None, 4 * D, "subdiffusive")
        found = D * (1 + 0.6 * error * rng.standard_normal() * (share < 1))
        return TimeWindow(0.0, share * length_ps, found, error * found, None, "diffusive")

    nested = tuple(window(share) for share in (0.25, 0.5, 1.0))
    apart = WindowSet(length_ps / 4, tuple(window(0.25) for _ in range(4)))
    return ConvergenceInTime(
        species="Li",
        temperature_K=temperature_K,
        nested=nested,
        window_sets=(apart,),
        runs=(RunLength("run 0", 10.0, length_ps + 10.0, length_ps + 10.0),),
        verdict=judge_length(nested, [apart], tolerance=tolerance, n_walkers=160),
        notes=(),
    )
