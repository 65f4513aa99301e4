"""Plain sentences on what can be trusted in a run, made from its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.report.judge_convergence import judge_lengths, judge_sizes
from dasksse.report.judge_diffusion import judge_arrhenius, judge_cell_size, judge_rows
from dasksse.report.judge_learning import (
    judge_accuracy,
    judge_exploration,
    judge_failures,
    judge_labels,
    judge_noise,
    judge_probe,
    judge_status,
    judge_trust_level,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dasksse.report.data import RunReport, Verdict

JUDGES: tuple[Callable[[RunReport], Iterable[Verdict]], ...] = (
    judge_status,
    judge_labels,
    judge_rows,
    judge_lengths,
    judge_arrhenius,
    judge_cell_size,
    judge_sizes,
    judge_exploration,
    judge_probe,
    judge_trust_level,
    judge_noise,
    judge_accuracy,
    judge_failures,
)
"""Every judge in the order its verdicts are read."""

LEVEL_TITLES: Mapping[str, str] = {
    "trust": "Can be trusted",
    "care": "Use with care",
    "doubt": "Do not rely on",
}
"""Levels in the order they are shown."""


def judge(report: RunReport) -> tuple[Verdict, ...]:
    """Give all verdicts on a run, in the order of :data:`JUDGES`."""
    return tuple(verdict for judge_one in JUDGES for verdict in judge_one(report))


def by_level(verdicts: Iterable[Verdict]) -> dict[str, tuple[Verdict, ...]]:
    """Verdicts by level, in the order of :data:`LEVEL_TITLES`; empty levels are left out."""
    listed = tuple(verdicts)
    groups = {
        level: tuple(verdict for verdict in listed if verdict.level == level)
        for level in LEVEL_TITLES
    }
    return {level: group for level, group in groups.items() if group}
