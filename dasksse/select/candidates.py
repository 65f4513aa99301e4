"""Frames of exploration that stand for selection, and what makes one physically unsound."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dasksse.config.schema import SelectSection
    from dasksse.records import Frames


class Reason(IntEnum):
    """Why a frame was chosen or passed over; stored as integers beside :data:`REASONS`."""

    NONE = 0
    PICKED = 1
    CHECK = 2
    PROBE = 3
    NOT_NEEDED = 4
    DUPLICATE = 5
    EQUILIBRATION = 6
    TOO_CLOSE = 7
    BROKEN_FRAMEWORK = 8
    VOLUME = 9
    ABOVE_HIGH = 10
    NOT_FINITE = 11


REASONS: Mapping[int, str] = {
    Reason.NONE: "accurate, no label needed",
    Reason.PICKED: "candidate picked for labelling",
    Reason.CHECK: "accurate frame drawn to check the trust level",
    Reason.PROBE: "kept out: belongs to the probe",
    Reason.NOT_NEEDED: "candidate, but enough others were picked",
    Reason.DUPLICATE: "candidate equal to one that was picked or labelled",
    Reason.EQUILIBRATION: "within the equilibration time",
    Reason.TOO_CLOSE: "candidate with atoms closer than select.min_distance_A",
    Reason.BROKEN_FRAMEWORK: "candidate with a broken framework unit",
    Reason.VOLUME: "candidate whose volume changed by more than select.max_volume_ratio",
    Reason.ABOVE_HIGH: "deviation at or above the high trust level",
    Reason.NOT_FINITE: "deviation, coordinates, distance or volume not finite",
}
"""Meaning of each code of :class:`Reason`."""


@dataclass(frozen=True)
class CandidateSet:
    """Frames of all exploration runs of one system, joined.

    Attributes
    ----------
    frames
        The configurations.
    run
        Run each frame is from, shape ``(frame,)``.
    index
        Place of each frame within its run, shape ``(frame,)``.
    deviation
        Maximal force deviation of the ensemble [eV/Å], shape ``(frame,)``.
    min_distance_A
        Shortest distance between two atoms [Å], shape ``(frame,)``.
    framework_intact
        True where no framework unit is broken, shape ``(frame,)``.
    volume_ratio
        Volume over that of the start structure, shape ``(frame,)``.
    temperature_K
        Target temperature of the run [K], shape ``(frame,)``.
    n_planned
        Frames all runs would have written had none blown up.
    is_equilibration
        True within the equilibration time, shape ``(frame,)``; False for all when None. Such
        frames count in the shares but are never chosen.
    planned_by_temperature
        Frames planned at each temperature; equal parts of ``n_planned`` when None.

    Raises
    ------
    AnalysisError
        If an array has another length than ``frames``.
    """

    frames: Frames
    run: NDArray[np.int64]
    index: NDArray[np.int64]
    deviation: NDArray[np.float64]
    min_distance_A: NDArray[np.float64]
    framework_intact: NDArray[np.bool_]
    volume_ratio: NDArray[np.float64]
    temperature_K: NDArray[np.float64]
    n_planned: int
    is_equilibration: NDArray[np.bool_] | None = None
    planned_by_temperature: Mapping[float, int] | None = None

    def __post_init__(self) -> None:
        """Check that all arrays speak of the same frames."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.shape != (len(self.frames),):
                msg = (
                    f"candidate set: {name} has shape {value.shape} but there are "
                    f"{len(self.frames)} frames"
                )
                raise AnalysisError(msg)


def refusals(candidates: CandidateSet, section: SelectSection) -> NDArray[np.int64]:
    """Code of :class:`Reason` why each frame is physically unsound, ``NONE`` for a sound one.

    Parameters
    ----------
    candidates
        Frames of one system.
    section
        Limits on distance and volume, and whether the framework must be intact.

    Returns
    -------
    NDArray[np.int64]
        Shape ``(frame,)``. The deviation plays no part, equilibration does. A frame with
        several defects has the first one in the order of :data:`REFUSALS`.
    """
    masks = [is_refused(candidates, section) for is_refused in REFUSALS.values()]
    return np.select(masks, [int(reason) for reason in REFUSALS], default=int(Reason.NONE))


def _is_not_finite(candidates: CandidateSet, _: SelectSection) -> NDArray[np.bool_]:
    finite = np.asarray(np.isfinite(candidates.frames.positions).all(axis=(1, 2)))
    finite &= np.isfinite(candidates.frames.cells).all(axis=(1, 2))
    finite &= np.isfinite(candidates.min_distance_A) & np.isfinite(candidates.volume_ratio)
    return np.asarray(~finite)


def _is_equilibration(candidates: CandidateSet, _: SelectSection) -> NDArray[np.bool_]:
    if candidates.is_equilibration is None:
        return np.zeros(len(candidates.frames), dtype=bool)
    return np.asarray(candidates.is_equilibration, dtype=bool)


def _is_too_close(candidates: CandidateSet, section: SelectSection) -> NDArray[np.bool_]:
    return np.asarray(candidates.min_distance_A < section.min_distance_A)


def _is_broken(candidates: CandidateSet, section: SelectSection) -> NDArray[np.bool_]:
    return section.intact_framework & ~np.asarray(candidates.framework_intact, dtype=bool)


def _has_other_volume(candidates: CandidateSet, section: SelectSection) -> NDArray[np.bool_]:
    ratio, limit = candidates.volume_ratio, section.max_volume_ratio
    return np.asarray((ratio > limit) | (ratio < 1.0 / limit))


REFUSALS: Mapping[Reason, Callable[[CandidateSet, SelectSection], NDArray[np.bool_]]] = {
    Reason.NOT_FINITE: _is_not_finite,
    Reason.EQUILIBRATION: _is_equilibration,
    Reason.TOO_CLOSE: _is_too_close,
    Reason.BROKEN_FRAMEWORK: _is_broken,
    Reason.VOLUME: _has_other_volume,
}
"""Every rule that refuses a frame; a further rule is one function and one line here."""
