"""How many frames at the start of a run are not yet in equilibrium."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LARGEST_SHARE = 0.5
"""At most this share of a run is cut: the rule is unreliable beyond."""
FEWEST_VALUES = 20
"""Shorter series say nothing."""
N_BATCHES = 10
"""Batches of what is left, whose scatter gives the error of its mean."""
SIGNIFICANT = 4.0
"""The start must differ from the rest by so many standard errors, or it is chance."""
N_STRETCHES = 64


class Equilibration(NamedTuple):
    """Frames to leave out at the start of a run, and why.

    Attributes
    ----------
    n_frames
        Number of frames.
    reason
        What was found, for a report.
    """

    n_frames: int
    reason: str


def find_equilibration(
    n_frames: int, series: Mapping[str, NDArray[np.floating]]
) -> Equilibration:
    """Cut the start of a run where some number of it still drifts.

    Parameters
    ----------
    n_frames
        Length of the run [frames].
    series
        By name, numbers that are steady in equilibrium, such as the energy of each frame or
        :func:`stretch_mobility`, evenly spaced over the run, each of shape ``(value,)``.

    Notes
    -----
    The cut is where the standard error of the mean of the rest is least (marginal standard
    error rule, White, doi:10.1177/003754979706900601), if the part before it really differs
    from the rest. The latest cut of all series counts.
    """
    latest = Equilibration(0, f"no drift in {', '.join(series) or 'any number'}")
    for name, values in series.items():
        cut = _cut(np.asarray(values, dtype=np.float64))
        frames = int(np.ceil(cut / len(values) * n_frames)) if cut else 0
        if frames > latest.n_frames:
            early, late = np.mean(values[:cut]), np.mean(values[cut:])
            reason = (
                f"{name} is {early:.6g} on average in the first {frames} of {n_frames} frames, "
                f"{late:.6g} after"
            )
            latest = Equilibration(frames, reason)
    return latest


def stretch_mobility(
    columns: NDArray[np.floating], *, n_stretches: int = N_STRETCHES
) -> NDArray[np.float64]:
    """Mean squared displacement of the ions over each stretch of a run.

    Parameters
    ----------
    columns
        Paths of ions free of drift [Å], shape ``(xyz, ion, frame)``.
    n_stretches
        About how many stretches of equal length.

    Returns
    -------
    NDArray[np.float64]
        Squared displacements [Å²], shape ``(stretch,)``.
    """
    length = max((columns.shape[-1] - 1) // n_stretches, 1)
    steps = np.diff(columns[..., ::length].astype(np.float64), axis=-1)
    return np.asarray(np.square(steps).sum(axis=0).mean(axis=0))


def _cut(values: NDArray[np.float64]) -> int:
    """Values to leave out at the start; 0 where the start is like the rest."""
    count = len(values)
    if count < FEWEST_VALUES or not np.isfinite(values).all():
        return 0
    left = np.arange(count, 0, -1)
    sums = np.cumsum(values[::-1])[::-1]
    squares = np.cumsum((values[::-1] - values.mean()) ** 2)[::-1]
    variance = squares / left - (sums / left - values.mean()) ** 2
    candidates = np.arange(int(count * LARGEST_SHARE) + 1)
    cut = int(np.argmin((variance / left)[candidates]))
    if cut == 0:
        return 0
    rest = values[cut:]
    batches = [batch.mean() for batch in np.array_split(rest, N_BATCHES)]
    error_of_batch = float(np.std(batches, ddof=1))
    length = len(rest) / N_BATCHES
    error = error_of_batch * np.sqrt(max(length / cut, 1.0) + 1.0 / N_BATCHES)
    return cut if abs(values[:cut].mean() - rest.mean()) > SIGNIFICANT * error else 0
