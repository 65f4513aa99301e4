"""Choose the frames worth a label, and say of every other frame why it was not chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from dasksse.select.candidates import REASONS, CandidateSet, Reason, refusals
from dasksse.select.diversity import pick_order
from dasksse.select.trust import ACCURATE, CANDIDATE, FAILED, Shares, classify, shares

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from dasksse.config.schema import SelectSection
    from dasksse.records import Frames

__all__ = [
    "MAX_DESCRIBED",
    "REASONS",
    "CandidateSet",
    "Reason",
    "Selection",
    "draw_probe",
    "select_frames",
]

MAX_DESCRIBED = 5000
"""Candidates beyond this many are thinned at random before they are compared."""


@dataclass(frozen=True)
class Selection:
    """Verdict and reason for every frame of a candidate set, and the frames chosen.

    Attributes
    ----------
    verdict
        Codes of :class:`~dasksse.select.trust.Verdict`, shape ``(frame,)``.
    reason
        Codes of :class:`Reason`, shape ``(frame,)``.
    picks
        Candidates to label and train on, most wanted first.
    checks
        Accurate frames to label and hold out.
    shares
        Shares of the planned frames.
    shares_by_temperature
        The same for each temperature [K], in ascending order.
    n_thinned
        Candidates left out at random before comparing, because there were too many.
    """

    verdict: NDArray[np.int64]
    reason: NDArray[np.int64]
    picks: list[int]
    checks: list[int]
    shares: Shares
    shares_by_temperature: dict[float, Shares] = field(default_factory=dict)
    n_thinned: int = 0


def select_frames(
    candidates: CandidateSet,
    section: SelectSection,
    *,
    max_labels: int,
    low: float,
    high: float,
    seed: int,
    labelled: Sequence[Frames] = (),
    excluded: Collection[int] = (),
) -> Selection:
    """Choose the candidates to label and the accurate frames to check.

    Candidates are the frames between the trust levels, or all frames, by ``section.among``.

    Physically unsound candidates are refused before the diverse order is made, so that they
    neither take a place nor push their sound neighbours away.

    Parameters
    ----------
    candidates
        Frames of one system.
    section
        How many to check, by which method to choose, and what is refused.
    max_labels
        Most candidates to choose.
    low, high
        Trust levels [eV/Å].
    seed
        Seed of all random choices, at least 0.
    labelled
        Frames that have a label already, of the same atoms in any order: equal ones are
        refused, and ``farthest_point`` keeps away from them.
    excluded
        Frames that must not be chosen: those of the probe.

    Returns
    -------
    Selection
        With a verdict and a reason for every frame.

    Raises
    ------
    AnalysisError
        If fewer frames were planned than reached.
    ConfigError
        If the trust levels or the diversity method cannot be used.
    StructureError
        If labelled frames are of another set of species.
    """
    verdict = classify(candidates.deviation, low_eV_A=low, high_eV_A=high)
    refused = refusals(candidates, section)
    refused[_is_among(candidates.frames, labelled) & (refused == Reason.NONE)] = (
        Reason.DUPLICATE
    )
    refused[list(excluded)] = Reason.PROBE
    diverse_seed, thin_seed, check_seed = _seeds(seed, 3)

    reason = _reasons_before_choice(candidates.deviation, verdict, refused, section.among)
    wanted = np.flatnonzero(reason == Reason.NOT_NEEDED)
    described = _thin(wanted, max(MAX_DESCRIBED, max_labels), thin_seed)
    order = pick_order(
        candidates.frames.take(described),
        method=section.diversity,
        seed=diverse_seed,
        n=max_labels,
        labelled=labelled,
        deviation=candidates.deviation[described],
    )
    if len(order) < max_labels:  # it ended because only equal frames were left
        reason[described] = Reason.DUPLICATE
    picks = [int(i) for i in described[order]]
    reason[picks] = Reason.PICKED

    trusted = (verdict == ACCURATE) & (refused == Reason.NONE) & (reason != Reason.PICKED)
    checks = _draw(candidates.frames, trusted, section.accurate_checks, check_seed)
    reason[checks] = Reason.CHECK
    return Selection(
        verdict=verdict,
        reason=reason,
        picks=picks,
        checks=checks,
        shares=shares(verdict, candidates.n_planned),
        shares_by_temperature=_shares_by_temperature(candidates, verdict),
        n_thinned=len(wanted) - len(described),
    )


def draw_probe(
    candidates: CandidateSet,
    n: int,
    *,
    seed: int,
    section: SelectSection,
    excluded: Collection[int] = (),
) -> list[int]:
    """Draw physically sound frames in equal numbers from all temperatures.

    Parameters
    ----------
    candidates
        Frames of one system, whatever their verdict.
    n
        Frames wanted in all.
    seed
        Seed of the draw, at least 0.
    section
        What counts as unsound.
    excluded
        Frames that must not be drawn.

    Returns
    -------
    list[int]
        At most ``n`` indices, no two of equal frames. A temperature with too few sound frames
        gives what it has and the others make up for it; fewer than ``n`` come back when there
        are no more.
    """
    sound = refusals(candidates, section) == Reason.NONE
    sound[list(excluded)] = False
    temperatures = np.unique(candidates.temperature_K)
    seen: set[str] = set()  # runs at all temperatures start from the same crystal
    drawn: list[list[int]] = []
    for value, some_seed in zip(temperatures, _seeds(seed, len(temperatures)), strict=True):
        here = sound & (candidates.temperature_K == value)
        chosen = _draw(candidates.frames, here, n + len(temperatures), some_seed)
        keys = candidates.frames.take(chosen).content_keys()
        drawn.append([i for i, key in zip(chosen, keys, strict=True) if key not in seen])
        seen.update(keys)
    in_turn = chain.from_iterable(zip_longest(*drawn))
    return [i for i in in_turn if i is not None][:n]


def _reasons_before_choice(
    deviation: NDArray[np.float64],
    verdict: NDArray[np.int64],
    refused: NDArray[np.int64],
    among: str,
) -> NDArray[np.int64]:
    """Reason of each frame while nothing is picked: sound candidates are ``NOT_NEEDED``."""
    is_candidate = (verdict == CANDIDATE) | (among == "all")
    reason = np.full(len(verdict), int(Reason.NONE))
    reason[verdict == FAILED] = Reason.ABOVE_HIGH
    reason[is_candidate] = Reason.NOT_NEEDED
    unsound = is_candidate & (refused != Reason.NONE)
    reason[unsound] = refused[unsound]
    outside = np.isin(refused, [Reason.NOT_FINITE, Reason.PROBE, Reason.EQUILIBRATION])
    reason[outside] = refused[outside]
    reason[~np.isfinite(deviation)] = Reason.NOT_FINITE
    return reason


def _is_among(frames: Frames, labelled: Sequence[Frames]) -> NDArray[np.bool_]:
    """Whether each frame has a label, shape ``(frame,)``: MD begins with one that may have."""
    known = {key for part in labelled for key in part.content_keys()}
    if not known:
        return np.zeros(len(frames), dtype=bool)
    return np.array([key in known for key in frames.content_keys()], dtype=bool)


def _thin(index: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """A random part of at most ``limit``, in ascending order."""
    if len(index) <= limit:
        return index
    chosen = np.random.default_rng(seed).choice(index, size=limit, replace=False)
    return np.sort(chosen)


def _draw(frames: Frames, allowed: NDArray[np.bool_], n: int, seed: int) -> list[int]:
    """Up to ``n`` allowed frames at random, equal ones once."""
    pool = np.flatnonzero(allowed)
    order = pick_order(frames.take(pool), method="random", seed=seed, n=n)
    return [int(i) for i in pool[order]]


def _seeds(seed: int, n: int) -> list[int]:
    """Independent seeds, so that one choice does not change another."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(n)] if n else []


def _shares_by_temperature(
    candidates: CandidateSet, verdict: NDArray[np.int64]
) -> dict[float, Shares]:
    """Shares at each temperature that is planned or was reached, ascending."""
    plan = candidates.planned_by_temperature
    if plan is None:
        values = np.unique(candidates.temperature_K)
        plan = {float(value): candidates.n_planned // len(values) for value in values}
    by_temperature: dict[float, Shares] = {}
    for value in sorted({*map(float, plan), *map(float, candidates.temperature_K)}):
        here = verdict[candidates.temperature_K == value]
        by_temperature[value] = shares(here, max(plan.get(value, 0), len(here), 1))
    return by_temperature
