"""Tables of D by generation, and of the parts of the error of D, as rows of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dasksse.report.converged_d import size_comparisons
from dasksse.report.error_budget import (
    ErrorBudget,
    Term,
    budget_row,
    cell_size_term,
    model_term,
    sampling_term,
)
from dasksse.report.evidence import is_diffusive
from dasksse.report.formats import UNKNOWN, format_value_error

if TYPE_CHECKING:
    from dasksse.analyse.stability import DiffusionOfGeneration, TemperatureD
    from dasksse.report.arrhenius_text import Row
    from dasksse.report.data import ProductionRow, RunReport

_NO_STABILITY = "no generation had runs driven by each model at this temperature"
_NO_SIZES = "one cell size at this temperature"


def stability_rows(report: RunReport) -> list[Row]:
    """D of each generation and temperature: mean, change and spread of the models."""
    rows = []
    before: dict[float, TemperatureD] = {}
    for found in report.stability:
        for one in found.temperatures:
            rows.append(
                {
                    "generation": str(found.generation),
                    "T [K]": f"{one.temperature_K:g}",
                    "D [m²/s]": _mean_text(one),
                    "models with D": f"{len(one.D_m2_s)} of {one.n_models}",
                    "change": _change_text(before.get(one.temperature_K), one),
                    "spread of the models": _spread_text(one),
                    "Ea": _Ea_text(found),
                }
            )
            before[one.temperature_K] = one
    return rows


def _mean_text(one: TemperatureD) -> str:
    spread = one.spread
    if spread is None:
        return UNKNOWN
    mean = math.exp(spread.mean)
    return format_value_error(mean, mean * spread.mean_err)


def _change_text(before: TemperatureD | None, now: TemperatureD) -> str:
    old, new = None if before is None else before.spread, now.spread
    if old is None or new is None:
        return UNKNOWN
    change = 100.0 * math.expm1(new.mean - old.mean)
    return f"{change:+.0f} ± {100.0 * math.hypot(old.mean_err, new.mean_err):.0f} %"


def _spread_text(one: TemperatureD) -> str:
    spread = one.spread
    return UNKNOWN if spread is None else model_term(spread.to_json()).text()


def _Ea_text(found: DiffusionOfGeneration) -> str:
    Ea = found.Ea_eV
    return UNKNOWN if Ea is None else format_value_error(*Ea, "eV")


def budget_rows(report: RunReport) -> list[Row]:
    """Parts of the error of each resolved D; what is not known is not taken for nothing."""
    rows = sorted(report.production, key=lambda row: (row.system, row.temperature_K))
    return [_budget(report, row) for row in rows if is_diffusive(row)]


def _budget(report: RunReport, row: ProductionRow) -> Row:
    budget = ErrorBudget(
        temperature_K=row.temperature_K,
        sampling=sampling_term(row.diffusion["D_m2_s"], row.diffusion.get("D_err_m2_s")),
        models=_models(report, row.temperature_K),
        cell_size=_cell_size(report, row),
    )
    shown = budget_row({"branch": row.system, **budget.to_json()})
    return {("system" if name == "crystal" else name): text for name, text in shown.items()}


def _models(report: RunReport, temperature_K: float) -> Term:
    """Spread across the models of the last generation that was looked at."""
    last = report.stability[-1].temperatures if report.stability else ()
    for one in last:
        if one.temperature_K == temperature_K and one.spread is not None:
            return model_term(one.spread.to_json())
    return Term(None, why=_NO_STABILITY)


def _cell_size(report: RunReport, row: ProductionRow) -> Term:
    for one in size_comparisons(report):
        cells = [cell for cell in one.found.cells if cell.name == row.system]
        if one.found.temperature_K == row.temperature_K and cells:
            ladder = one.found.to_json()["cells"]
            return cell_size_term(ladder, row.n_atoms)
    return Term(None, why=_NO_SIZES)
