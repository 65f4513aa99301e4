"""Verdicts on the length of runs and the size of cells, as far as D itself shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.report.converged_d import need_in_words, rows_by_length, size_comparisons
from dasksse.report.data import Verdict
from dasksse.report.evidence import is_framework_broken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dasksse.report.data import Level, RunReport


def judge_lengths(report: RunReport) -> Iterator[Verdict]:
    """At which temperatures of a system the runs are long enough, and what others need."""
    rows = [(row, one) for row, one in rows_by_length(report) if not is_framework_broken(row)]
    for system in dict.fromkeys(row.system for row, _ in rows):
        verdicts = [(r.temperature_K, one.verdict) for r, one in rows if r.system == system]
        subject = f"Length of the runs of {system}"
        percent = f"{100 * verdicts[0][1].tolerance:g} %"
        long = [f"{T:g}" for T, verdict in verdicts if verdict.is_converged]
        short = [
            f"{T:g} K {need_in_words(verdict)}"
            for T, verdict in verdicts
            if not verdict.is_converged
        ]
        if long:
            yield Verdict(
                "trust",
                subject,
                f"D at {', '.join(long)} K is converged within {percent}, by its error and by "
                "its change from half the length to the whole.",
            )
        if short:
            yield Verdict(
                "care",
                subject,
                f"D is not converged within {percent}: {'; '.join(short)}. "
                "`production.extend` continues such runs, up to its `max_length_ps`.",
            )


def judge_sizes(report: RunReport) -> Iterator[Verdict]:
    """Whether D of the largest two cells of a substance agrees."""
    groups: dict[tuple[str, Level], list[str]] = {}
    for one in size_comparisons(report):
        level: Level = "trust" if one.found.state == "agree" else "care"
        text = f"At {one.found.temperature_K:g} K, {one.found.text}."
        groups.setdefault((one.formula, level), []).append(text)
    for (formula, level), texts in groups.items():
        yield Verdict(level, f"Size of the cells of {formula}", " ".join(texts))
