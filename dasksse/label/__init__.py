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
    calculator_schema,
    check_calculator,
    label_costs,
    load_calculator,
    missing_for_labels,
)
from dasksse.label.contract import Answer, AseCalculator, Place
from dasksse.label.relax import Relaxed, relax
from dasksse.label.single_point import ABOVE_CAP, LabelLimits, label_frames

__all__ = [
    "ABOVE_CAP",
    "CALCULATOR_KINDS",
    "Answer",
    "AseCalculator",
    "CalculatorKind",
    "LabelCalculator",
    "LabelCosts",
    "LabelLimits",
    "Place",
    "Relaxed",
    "calculator_commands",
    "calculator_schema",
    "check_calculator",
    "label_costs",
    "label_frames",
    "load_calculator",
    "missing_for_labels",
    "relax",
]
