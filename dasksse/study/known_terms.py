"""Error budgets of the points of D(T), from what the other studies have found so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.report.error_budget import (
    ErrorBudget,
    Term,
    cell_size_term,
    model_term,
    sampling_term,
)
from dasksse.study.cell_size import CellSize
from dasksse.study.members import Members
from dasksse.study.other_studies import known_outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json
    from dasksse.study.bench import Bench

NOT_RUN = "the study {} has not been done at this temperature"


def budgets_of(bench: Bench, points: Sequence[Mapping[str, Json]]) -> list[dict[str, Any]]:
    """Error budget of each point, with its ``branch``.

    Parameters
    ----------
    bench
        Tells what the studies members and cell-size have found.
    points
        With ``branch`` and ``n_atoms``.
    """
    models = _model_terms(bench)
    ladders = _ladders(bench)
    budgets = []
    for point in points:
        temperature_K = point["temperature_K"]
        cells = ladders.get(temperature_K)
        budget = ErrorBudget(
            temperature_K=temperature_K,
            sampling=sampling_term(point["D_m2_s"], point["D_err_m2_s"]),
            models=models.get(temperature_K, Term(None, why=NOT_RUN.format("members"))),
            cell_size=Term(None, why=NOT_RUN.format("cell-size"))
            if cells is None
            else cell_size_term(cells, point["n_atoms"]),
        )
        budgets.append({"branch": point["branch"], **budget.to_json()})
    return budgets


def _ladders(bench: Bench) -> dict[float, list[Mapping[str, Json]]]:
    """Cells that were compared, by temperature [K]."""
    outcome = known_outcome(CellSize(), bench)
    if outcome is None:
        return {}
    return {one["temperature_K"]: one["cells"] for one in outcome.values["sizes"]}


def _model_terms(bench: Bench) -> dict[float, Term]:
    """Spread of D across the ensemble, by temperature [K]."""
    outcome = known_outcome(Members(), bench)
    if outcome is None:
        return {}
    return {
        one["temperature_K"]: model_term(one["spread_of_ln_D"])
        for one in outcome.values["temperatures"]
        if one["spread_of_ln_D"] is not None
    }
