"""Trust levels: part frames into accurate, candidate and failed by their force deviation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import AnalysisError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dasksse.config.schema import TrustSection


class Verdict(IntEnum):
    """What the ensemble's disagreement says about a frame."""

    ACCURATE = 0
    CANDIDATE = 1
    FAILED = 2


ACCURATE, CANDIDATE, FAILED = Verdict


@dataclass(frozen=True)
class Shares:
    """Parts of the planned frames that are accurate, candidate and failed; they sum to 1.

    Attributes
    ----------
    accurate, candidate, failed
        Fractions of ``n_planned``; frames that were never reached count as failed.
    n_frames
        Frames that were reached.
    n_planned
        Frames that the runs would have written had none blown up.
    """

    accurate: float
    candidate: float
    failed: float
    n_frames: int
    n_planned: int


def classify(
    deviation: NDArray[np.float64], *, low_eV_A: float, high_eV_A: float
) -> NDArray[np.int64]:
    """Verdict on each frame from its maximal force deviation.

    Parameters
    ----------
    deviation
        Maximal force deviation of the ensemble [eV/Å], shape ``(frame,)``.
    low_eV_A
        Accurate below this level [eV/Å], above 0.
    high_eV_A
        Failed from this level on [eV/Å], above ``low_eV_A``.

    Returns
    -------
    NDArray[np.int64]
        :class:`Verdict` of each frame, shape ``(frame,)``; a deviation that is not finite
        counts as failed.

    Raises
    ------
    ConfigError
        If the levels are not ``0 < low < high``.

    Notes
    -----
    ``s < low`` accurate, ``low <= s < high`` candidate, else failed: Zhang et al. 2019,
    doi:10.1103/PhysRevMaterials.3.023804, and Huang et al. 2021, doi:10.1063/5.0041849.
    """
    if not 0.0 < low_eV_A < high_eV_A < np.inf:
        msg = (
            f"trust levels must be 0 < low < high, found low {low_eV_A:g} and high "
            f"{high_eV_A:g} eV/Å; set select.trust.low_eV_A and high_eV_A"
        )
        raise ConfigError(msg)
    sigma = np.nan_to_num(np.asarray(deviation, dtype=float), nan=np.inf, neginf=np.inf)
    return np.digitize(sigma, [low_eV_A, high_eV_A]).astype(np.int64)


def shares(verdicts: NDArray[np.int64], n_planned: int) -> Shares:
    """Fractions of the planned frames with each verdict.

    Parameters
    ----------
    verdicts
        :class:`Verdict` of each frame that was reached, shape ``(frame,)``.
    n_planned
        Frames planned, at least 1 and at least as many as were reached.

    Raises
    ------
    AnalysisError
        If fewer frames were planned than reached, or none.
    """
    n_frames = int(np.size(verdicts))
    if n_planned < max(1, n_frames):
        msg = (
            f"{n_frames} frames were reached but {n_planned} planned: the plan must hold at "
            "least one frame and every frame that was reached"
        )
        raise AnalysisError(msg)
    accurate = int(np.count_nonzero(np.equal(verdicts, ACCURATE)))
    candidate = int(np.count_nonzero(np.equal(verdicts, CANDIDATE)))
    return Shares(
        accurate=accurate / n_planned,
        candidate=candidate / n_planned,
        failed=(n_planned - accurate - candidate) / n_planned,
        n_frames=n_frames,
        n_planned=n_planned,
    )


def weighted_mean(records: Iterable[Mapping[str, Any]], name: str, *, weight: str) -> float:
    """Mean of one entry of the records of several units, weighted by another; 0 of none.

    Parameters
    ----------
    records
        What the units returned.
    name, weight
        Keys of the value and of its weight.
    """
    rows = list(records)
    total = sum(row[weight] for row in rows)
    return float(sum(row[name] * row[weight] for row in rows) / total) if total else 0.0


def pooled_shares(selections: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Shares of the planned frames of several selections together, by name of the verdict.

    Parameters
    ----------
    selections
        Each with ``accurate``, ``candidate``, ``failed`` and ``n_planned``, as in
        :class:`Shares`.
    """
    rows = list(selections)
    return {
        verdict.name.lower(): weighted_mean(rows, verdict.name.lower(), weight="n_planned")
        for verdict in Verdict
    }


def auto_levels(training_force_rmse_eV_A: float, section: TrustSection) -> tuple[float, float]:
    """Low and high trust level [eV/Å] from the force error on the training set.

    Parameters
    ----------
    training_force_rmse_eV_A
        Root-mean-square error of forces on the training set [eV/Å], above 0.
    section
        Gives the factor of the low level and the width between the levels.

    Raises
    ------
    ConfigError
        If the training error is not a finite number above 0.

    Notes
    -----
    ``low = factor * rmse`` and ``high = low + width``: low slightly above the training error
    and high 0.1-0.3 eV/Å above low, as Huang et al. 2021, doi:10.1063/5.0041849, advise.
    """
    if not 0.0 < training_force_rmse_eV_A < np.inf:
        msg = (
            "select.trust.mode 'auto' needs a finite training force error above 0, found "
            f"{training_force_rmse_eV_A:g} eV/Å; look at the training, or set mode 'fixed'"
        )
        raise ConfigError(msg)
    low = section.auto_factor * training_force_rmse_eV_A
    return low, low + section.auto_width_eV_A
