"""The numbers of a run as JSON values: unknown is null, never NaN."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.report.converged_d import size_comparisons
from dasksse.report.verdicts import judge

if TYPE_CHECKING:
    from dasksse.records import Json
    from dasksse.report.data import GenerationRow, ProductionRow, RunReport

_ARRAYS = {
    "deviations",
    "learning_curves",
    "trust_check",
    "lag_ps",
    "msd_A2",
    "msd_err_A2",
    "species_msd",
    "generations",
    "production",
    "parity",
    "convergence",
}
"""Fields drawn in figures; the arrays themselves are in the run's store."""


def plain(value: Any) -> Json:  # noqa: ANN401 - any JSON-like value
    """Turn mappings, tuples, arrays and NumPy scalars to JSON values, NaN and inf to None."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _scalars(record: RunReport | GenerationRow | ProductionRow) -> dict[str, Any]:
    """Fields of a record that are not drawn arrays."""
    return {
        item.name: getattr(record, item.name)
        for item in fields(record)
        if item.name not in _ARRAYS
    }


def summarise(report: RunReport) -> dict[str, Json]:
    """Everything a script may want from a run, without arrays.

    Returns
    -------
    dict
        Field names of :class:`~dasksse.report.data.RunReport`, ``generations`` and
        ``production`` as lists of objects, the latter with the verdict on their length under
        ``convergence``; ``sizes`` with the comparisons of cell sizes, and ``verdicts`` with
        level, subject and text.
    """
    scalars = _scalars(report)
    scalars["stability"] = [asdict(one) for one in report.stability]
    scalars["systems"] = [asdict(row) for row in report.systems]
    scalars["labels"] = [asdict(row) for row in report.labels]
    scalars["failures"] = [asdict(row) for row in report.failures]
    scalars["generations"] = [
        _scalars(row) | {"by_temperature": [asdict(share) for share in row.by_temperature]}
        for row in report.generations
    ]
    scalars["production"] = [
        _scalars(row) | {"convergence": row.convergence and row.convergence.verdict.to_json()}
        for row in report.production
    ]
    scalars["sizes"] = [
        {"formula": one.formula, **one.found.to_json()} for one in size_comparisons(report)
    ]
    scalars["verdicts"] = [asdict(verdict) for verdict in judge(report)]
    summary: dict[str, Json] = plain(scalars)
    return summary
