"""Pair distributions of the mobile ion in the runs of one crystal, on a worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.analyse.rdf import PairDistribution
    from dasksse.records import Json, Trajectory, UnitContext

BIN_A = 0.05
ROUNDING = 1e-9
NUMBERS = (
    "first_peak_A",
    "first_peak_err_A",
    "first_peak_g",
    "first_minimum_A",
    "first_minimum_err_A",
    "coordination",
    "coordination_err",
)


def distributions(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """g(r) of the mobile ion with every element.

    Parameters
    ----------
    payload
        Keys of :meth:`dasksse.study.bench.Bench.frames`, ``mobile_species`` and ``r_max_A``,
        the largest distance [Å], which a small cell makes smaller.
    context
        Of the unit.

    Returns
    -------
    dict
        ``r_A``, ``pairs`` (by name, each with ``g``, ``g_err`` and the first shell),
        ``n_runs``, ``n_frames`` and ``damaged``; no pairs where no run can be used.
    """
    from dasksse.analyse.rdf import radial_distributions
    from dasksse.errors import AnalysisError
    from dasksse.loop.stages.diffusion import read_runs

    runs, damaged = read_runs(payload, context)
    nothing = {"r_A": [], "pairs": {}, "n_runs": 0, "n_frames": 0}
    try:
        result = radial_distributions(
            runs,
            _pairs(runs, payload["mobile_species"]),
            r_max_A=_largest_distance(runs, payload["r_max_A"]),
            bin_A=BIN_A,
        )
    except AnalysisError as error:
        return {**nothing, "damaged": [*damaged, f"{payload['group']}: {error}"]}
    return {
        "r_A": result.r_A.tolist(),
        "pairs": {
            entry.pair: {
                "g": entry.g.tolist(),
                "g_err": [_known(value) for value in entry.g_err.tolist()],
                "first_peak_err_g": _known(_error_at_peak(result.r_A, entry)),
                **{name: _known(getattr(entry, name)) for name in NUMBERS},
            }
            for entry in result.pairs
        },
        "n_runs": result.n_runs,
        "n_frames": result.n_frames,
        "damaged": damaged,
    }


def _pairs(runs: Sequence[Trajectory], mobile: str) -> list[str]:
    """The mobile ion with itself first, then with every other element."""
    from ase.data import atomic_numbers, chemical_symbols

    if not runs:
        return []
    numbers = runs[0].numbers.tolist()
    is_alone = numbers.count(atomic_numbers[mobile]) == 1
    own = [] if is_alone else [f"{mobile}-{mobile}"]
    others = [s for s in dict.fromkeys(chemical_symbols[n] for n in numbers) if s != mobile]
    return [*own, *(f"{mobile}-{symbol}" for symbol in others)]


def _largest_distance(runs: Sequence[Trajectory], r_max_A: float) -> float:
    """Whole number of bins within what is asked for and what the cell allows [Å]."""
    from dasksse.analyse.pair_counts import largest_radius

    limits = [largest_radius(run.cells()) for run in runs]
    return BIN_A * int(min([r_max_A, *limits]) / BIN_A + ROUNDING)


def _error_at_peak(r_A: NDArray[np.float64], entry: PairDistribution) -> float:
    """Error of the height of the first peak; NaN without one."""
    import numpy as np

    if math.isnan(entry.first_peak_A):
        return math.nan
    return float(entry.g_err[np.argmin(np.abs(r_A - entry.first_peak_A))])


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
