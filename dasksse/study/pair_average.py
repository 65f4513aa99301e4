"""Mean pair distribution over arrangements, and how far it is from the ordered one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.records import Json

SHELL = {
    "first_peak_A": "first_peak_err_A",
    "first_peak_g": "first_peak_err_g",
    "first_minimum_A": "first_minimum_err_A",
    "coordination": "coordination_err",
}
"""Numbers of the first shell and their standard errors."""
MEAN_OF_ABSOLUTE = float(np.sqrt(2.0 / np.pi))
"""Mean absolute value of a normal deviate over its standard deviation."""


def average(records: Sequence[Mapping[str, Json]], pair: str) -> dict[str, Any]:
    """One pair averaged over crystals.

    Parameters
    ----------
    records
        Of :func:`dasksse.study.pair_reduction.distributions`, all with this pair and the same
        bins.
    pair
        Such as ``Li-S``.

    Returns
    -------
    dict
        ``g`` and ``g_err`` by bin, and position, height, minimum and coordination number of the
        first shell with errors; None where not known.

    Notes
    -----
    With several crystals errors come from their scatter, which holds that of the runs already;
    with one they are those of its runs.
    """
    entries = [record["pairs"][pair] for record in records]
    g = np.array([entry["g"] for entry in entries])
    own = np.array([entry["g_err"] for entry in entries], dtype=float)
    count = len(entries)
    g_err = own[0] if count == 1 else g.std(axis=0, ddof=1) / np.sqrt(count)
    result: dict[str, Any] = {
        "g": g.mean(axis=0).tolist(),
        "g_err": np.nan_to_num(g_err).tolist(),
        "n_crystals": count,
    }
    for name, error_name in SHELL.items():
        known = [entry[name] for entry in entries if entry[name] is not None]
        result[name] = float(np.mean(known)) if known else None
        result[error_name] = (
            entries[0][error_name]
            if count == 1
            else float(np.std(known, ddof=1) / np.sqrt(len(known)))
            if len(known) > 1
            else None
        )
    return result


def difference(
    ordered: Mapping[str, Json], disordered: Mapping[str, Json], r_A: Sequence[float]
) -> dict[str, float]:
    """How far two distributions are apart.

    Parameters
    ----------
    ordered, disordered
        From :func:`average`.
    r_A
        Centres of the bins [Å], shape ``(bin,)``.

    Returns
    -------
    dict
        ``share``: share of the pairs within the range that are at other distances, half the
        integral of ``|Δg| r²`` over that of ``g r²``; ``noise``: what this would be by
        chance if nothing differed.
    """
    weights = np.asarray(r_A) ** 2

    def share(values: NDArray[np.float64]) -> float:
        whole = weights @ np.asarray(ordered["g"])
        return 0.5 * float(weights @ values / whole) if whole > 0.0 else 0.0

    gap = np.abs(np.asarray(disordered["g"]) - np.asarray(ordered["g"]))
    error = np.hypot(ordered["g_err"], disordered["g_err"])
    return {"share": share(gap), "noise": MEAN_OF_ABSOLUTE * share(np.asarray(error))}
