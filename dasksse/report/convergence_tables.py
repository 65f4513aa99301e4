"""Tables on whether D is converged, as rows of text: by length of runs, by size of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.analyse.length_verdict import format_length
from dasksse.report.converged_d import (
    half_window,
    need_in_words,
    rows_by_length,
    size_comparisons,
)
from dasksse.report.evidence import is_framework_broken
from dasksse.report.formats import UNKNOWN, format_upper_bound, format_value_error

if TYPE_CHECKING:
    from dasksse.analyse.length_verdict import LengthVerdict, TimeWindow
    from dasksse.analyse.size_convergence import CellD, SizeState
    from dasksse.report.arrhenius_text import Row
    from dasksse.report.data import ProductionRow, RunReport

SIZE_WORDS: dict[SizeState, str] = {
    "agree": "agree",
    "differ": "differ: larger cells are needed",
    "undecided": "undecided",
}


def length_rows(report: RunReport) -> list[Row]:
    """D of half the length and of the whole, with a verdict, per system and temperature."""
    return [
        {
            "system": row.system,
            "T [K]": f"{row.temperature_K:g}",
            "length": format_length(found.whole.length_ps),
            "D of half the length [m²/s]": _window_text(half_window(found)),
            "D of the whole [m²/s]": _window_text(found.whole),
            "verdict": _verdict_text(row, found.verdict),
        }
        for row, found in rows_by_length(report)
    ]


def _verdict_text(row: ProductionRow, verdict: LengthVerdict) -> str:
    if is_framework_broken(row):
        return "framework broken: no D to converge"
    if verdict.is_converged:
        return f"converged within {100 * verdict.tolerance:g} %"
    need = need_in_words(verdict)
    return need if verdict.state == "too_short" else f"not diffusive: {need}"


def _window_text(window: TimeWindow | CellD | None) -> str:
    """D with its error, its bound, or a dash."""
    if window is None:
        return UNKNOWN
    if window.D_m2_s is None:
        return format_upper_bound(window.upper_bound_m2_s)
    return format_value_error(window.D_m2_s, window.D_err_m2_s)


def size_rows(report: RunReport) -> list[Row]:
    """D of each cell of a substance with several sizes, by temperature, the smallest first."""
    return [
        {
            "T [K]": f"{found.temperature_K:g}",
            "system": cell.name,
            "atoms": str(cell.n_atoms),
            "L [Å]": f"{cell.length_A:.1f}",
            "D [m²/s]": _window_text(cell),
            "largest two": SIZE_WORDS[found.state] if cell.name == found.compared[1] else "",
        }
        for found in (comparison.found for comparison in size_comparisons(report))
        for cell in found.cells
    ]


def size_sentences(report: RunReport) -> list[str]:
    """What each comparison of sizes says."""
    return [
        f"{one.formula} at {one.found.temperature_K:g} K, {one.found.text}."
        for one in size_comparisons(report)
    ]
