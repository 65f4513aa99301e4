"""Labels: energies, forces and virials of frames from a calculator chosen by name.

Importing this package loads no machine-learning library; :func:`load_calculator` does.
"""

from __future__ import annotations

from dasksse.label.calculators import (
    CALCULATOR_KINDS,
    CalculatorKind,
    LabelCalculator,
    LabelCosts,
    calculator_commands,
    calculator_files,
    calculator_schema,
    check_calculator,
    convergence_ladders,
    label_costs,
    load_calculator,
    located_calculator,
    missing_for_labels,
    resolved_calculator,
    with_files,
)
from dasksse.label.contract import Answer, AseCalculator, Place
from dasksse.label.filter_rules import Reference
from dasksse.label.filters import Filtered, LabelPart, Rejected, filter_labels
from dasksse.label.known import KnownLabels
from dasksse.label.mixing import unmixed
from dasksse.label.reasons import FINAL, NOT_CONVERGED, REFUSALS, reason_kind
from dasksse.label.relax import OPTIMISERS, Relaxed, relax
from dasksse.label.single_point import ABOVE_CAP, LabelLimits, label_frames, without_label

__all__ = [
    "ABOVE_CAP",
    "CALCULATOR_KINDS",
    "FINAL",
    "NOT_CONVERGED",
    "OPTIMISERS",
    "REFUSALS",
    "Answer",
    "AseCalculator",
    "CalculatorKind",
    "Filtered",
    "KnownLabels",
    "LabelCalculator",
    "LabelCosts",
    "LabelLimits",
    "LabelPart",
    "Place",
    "Reference",
    "Rejected",
    "Relaxed",
    "calculator_commands",
    "calculator_files",
    "calculator_schema",
    "check_calculator",
    "convergence_ladders",
    "filter_labels",
    "label_costs",
    "label_frames",
    "load_calculator",
    "located_calculator",
    "missing_for_labels",
    "reason_kind",
    "relax",
    "resolved_calculator",
    "unmixed",
    "with_files",
    "without_label",
]
