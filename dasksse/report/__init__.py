"""The report of a run: page, figures, tables, numbers and plain verdicts."""

from __future__ import annotations

from dasksse.report.collect import collect_report
from dasksse.report.data import (
    FailureRow,
    GenerationRow,
    LabelRow,
    LearningCurveData,
    ParityData,
    ProductionRow,
    RunReport,
    SystemRow,
    TemperatureShare,
    TrustCheckData,
    Verdict,
)
from dasksse.report.formats import format_value_error
from dasksse.report.html import write_report
from dasksse.report.summary import summarise
from dasksse.report.tables import rich_tables
from dasksse.report.verdicts import judge

__all__ = [
    "FailureRow",
    "GenerationRow",
    "LabelRow",
    "LearningCurveData",
    "ParityData",
    "ProductionRow",
    "RunReport",
    "SystemRow",
    "TemperatureShare",
    "TrustCheckData",
    "Verdict",
    "collect_report",
    "format_value_error",
    "judge",
    "rich_tables",
    "summarise",
    "write_report",
]
