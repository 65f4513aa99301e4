"""Whether D of a run is converged: with the length of its runs, and with the size of cells."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ase.formula import Formula

from dasksse.analyse.convergence import ConvergenceInTime, RunLength
from dasksse.analyse.length_verdict import (
    LengthVerdict,
    TimeWindow,
    WindowSet,
    format_length,
)
from dasksse.analyse.size_convergence import CellD, convergence_in_size
from dasksse.report.evidence import is_diffusive, is_framework_broken
from dasksse.report.formats import is_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dasksse.analyse.size_convergence import ConvergenceInSize
    from dasksse.report.data import ProductionRow, RunReport

TOLERANCE = 0.1
"""Relative difference of D between sizes where no other was asked for."""


@dataclass(frozen=True)
class SizeComparison:
    """D of several cells of one substance at one temperature.

    Attributes
    ----------
    formula
        Smallest formula of the substance.
    found
        What the comparison says.
    """

    formula: str
    found: ConvergenceInSize


def read_convergence(values: Mapping[str, Any]) -> ConvergenceInTime:
    """What :meth:`~dasksse.analyse.convergence.ConvergenceInTime.to_json` wrote."""
    verdict = dict(values["verdict"])
    if verdict["wanted_range_ps"] is not None:
        verdict["wanted_range_ps"] = tuple(verdict["wanted_range_ps"])
    return ConvergenceInTime(
        species=values["species"],
        temperature_K=values["temperature_K"],
        nested=_windows(values["nested"]),
        window_sets=tuple(
            WindowSet(one["length_ps"], _windows(one["windows"]))
            for one in values["side_by_side"]
        ),
        runs=tuple(RunLength(**run) for run in values["runs"]),
        verdict=LengthVerdict(**verdict),
        notes=tuple(values["notes"]),
    )


def _windows(values: Iterable[Mapping[str, Any]]) -> tuple[TimeWindow, ...]:
    return tuple(TimeWindow(**window) for window in values)


def rows_by_length(report: RunReport) -> list[tuple[ProductionRow, ConvergenceInTime]]:
    """Rows whose D is known at several lengths, by system and temperature."""
    judged = [
        (row, row.convergence) for row in report.production if row.convergence is not None
    ]
    return sorted(judged, key=lambda pair: (pair[0].system, pair[0].temperature_K))


def half_window(found: ConvergenceInTime) -> TimeWindow | None:
    """D of the first half; None where there is no shorter window than the whole."""
    half_ps = found.whole.length_ps / 2.0
    return min(found.nested[:-1], key=lambda w: abs(w.length_ps - half_ps), default=None)


def need_in_words(verdict: LengthVerdict) -> str:
    """How much longer the runs should be, such as ``needs about 3 ns more (2 ns to 5 ns)``."""
    lengths_ps = (verdict.wanted_ps, *(verdict.wanted_range_ps or ()))
    more, *limits = (_two_digits(length_ps - verdict.length_ps) for length_ps in lengths_ps)
    if not limits:
        return f"needs at least {more} more"
    return f"needs about {more} more ({' to '.join(limits)})"


def _two_digits(length_ps: float) -> str:
    return format_length(float(f"{length_ps:.2g}"))


def size_comparisons(report: RunReport) -> list[SizeComparison]:
    """Comparison of sizes for each substance and temperature with more than one.

    Rows with a broken framework are left out.
    """
    formulas = {row.name: Formula(row.formula).reduce()[0] for row in report.systems}
    groups: dict[Any, list[ProductionRow]] = defaultdict(list)
    for row in report.production:
        has_volume = is_known(row.diffusion.get("volume_A3"))
        if row.system in formulas and has_volume and not is_framework_broken(row):
            substance = frozenset(formulas[row.system].count().items())
            groups[substance, row.temperature_K].append(row)
    return [
        SizeComparison(
            str(formulas[rows[0].system]),
            convergence_in_size(
                [_cell(row) for row in rows],
                temperature_K=temperature_K,
                tolerance=_tolerance(rows),
            ),
        )
        for (_, temperature_K), rows in sorted(groups.items(), key=lambda item: item[0][1])
        if len({row.n_atoms for row in rows}) > 1
    ]


def _cell(row: ProductionRow) -> CellD:
    diffusion = row.diffusion
    has_D = is_diffusive(row)
    return CellD(
        row.system,
        row.n_atoms,
        diffusion["volume_A3"] ** (1.0 / 3.0),
        diffusion["D_m2_s"] if has_D else None,
        diffusion.get("D_err_m2_s") if has_D else None,
        diffusion.get("upper_bound_m2_s"),
    )


def _tolerance(rows: Iterable[ProductionRow]) -> float:
    asked = [row.convergence.verdict.tolerance for row in rows if row.convergence is not None]
    return min(asked, default=TOLERANCE)
