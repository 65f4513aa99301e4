"""Mean D over random arrangements of cations, and how it compares with the ordered crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json

SCORE_95 = 2.0
"""Standard errors above a value that stand for its upper bound."""
_MARK_KEYS = (
    "temperature_K",
    "D_m2_s",
    "D_err_m2_s",
    "upper_bound_m2_s",
    "framework_broken",
    "framework_melted",
)


def usable(points: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Points with D or a bound and a whole framework."""
    marks = leave_out([DiffusionPoint(**{k: p[k] for k in _MARK_KEYS}) for p in points])
    return [point for point, mark in zip(points, marks, strict=True) if not mark.left_out]


def mean_of_arrangements(
    points: Sequence[Mapping[str, Json]], temperature_K: float
) -> dict[str, Any]:
    """Mean over arrangements at one temperature.

    Parameters
    ----------
    points
        Of single arrangements at this temperature, all usable.
    temperature_K
        Temperature [K].

    Returns
    -------
    dict
        ``D_m2_s`` and ``D_err_m2_s`` (None where fewer than two or less than half of the
        arrangements are resolved, ``upper_bound_m2_s`` says what is known then), ``sem_m2_s``
        from the scatter of arrangements, ``sampling_err_m2_s`` from the errors of the runs,
        ``spread_m2_s``, the standard deviation between arrangements with the errors of the runs
        taken off, ``n_arrangements`` and ``n_resolved``.

    Notes
    -----
    The scatter of arrangements holds the sampling error of each run already; the two are not
    added. As few arrangements may agree by chance, the error is the larger of both. An
    arrangement whose D is not resolved lies evenly between 0 and its upper bound, and all such
    may be off to the same side: to leave them out would make the mean too high.
    """
    known = [p for p in points if p["D_m2_s"] is not None and p["D_err_m2_s"] is not None]
    bounds = np.array([p["upper_bound_m2_s"] for p in points if p not in known], dtype=float)
    values = np.array([p["D_m2_s"] for p in known], dtype=float)
    errors = np.array([p["D_err_m2_s"] for p in known], dtype=float)
    count = len(values) + len(bounds)
    mean: dict[str, Any] = {
        "temperature_K": temperature_K,
        "D_m2_s": None,
        "D_err_m2_s": None,
        "upper_bound_m2_s": None,
        "sem_m2_s": None,
        "sampling_err_m2_s": None,
        "spread_m2_s": None,
        "framework_broken": None,
        "framework_melted": None,
        "n_arrangements": count,
        "n_resolved": len(values),
    }
    if not count:
        return mean
    if len(values) < max(2, len(bounds)):
        highest = np.concatenate([values + SCORE_95 * errors, bounds])
        return {**mean, "upper_bound_m2_s": float(highest.mean())}
    taken = np.concatenate([values, 0.5 * bounds])
    variance = float(taken.var(ddof=1))
    sem = np.sqrt(variance / count)
    sampling = np.sqrt(np.sum(errors**2)) / count
    unresolved = bounds.sum() / count / np.sqrt(12.0)
    return {
        **mean,
        "D_m2_s": float(taken.mean()),
        "D_err_m2_s": float(np.hypot(max(sem, sampling), unresolved)),
        "sem_m2_s": float(sem),
        "sampling_err_m2_s": float(sampling),
        "spread_m2_s": float(np.sqrt(max(variance - np.mean(errors**2), 0.0))),
    }


def ratio_of(
    ordered: Mapping[str, Json], disordered: Mapping[str, Json]
) -> dict[str, float | None]:
    """D of the mean arrangement over that of the ordered crystal.

    Returns
    -------
    dict
        ``ratio``, ``ln_err`` (standard error of its logarithm), and where only one D is known
        ``below`` or ``above``, what the ratio is below or above.
    """
    result: dict[str, float | None] = dict.fromkeys(("ratio", "ln_err", "below", "above"))
    over, under = disordered["D_m2_s"], ordered["D_m2_s"]
    if over is not None and under is not None:
        result["ratio"] = over / under
        errors = (
            (disordered["D_err_m2_s"] or 0.0) / over,
            (ordered["D_err_m2_s"] or 0.0) / under,
        )
        result["ln_err"] = float(np.hypot(*errors))
    elif over is not None and ordered["upper_bound_m2_s"]:
        result["above"] = over / ordered["upper_bound_m2_s"]
    elif under is not None and disordered["upper_bound_m2_s"] is not None:
        result["below"] = disordered["upper_bound_m2_s"] / under
    return result
