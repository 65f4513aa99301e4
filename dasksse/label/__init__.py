"""Labels: energies, forces and virials of frames from a calculator chosen by name.

Importing this package loads no machine-learning library; :func:`load_calculator` does.
"""

from __future__ import annotations

from dasksse.label.calculators import (
    CALCULATOR_KINDS,
    CalculatorKind,
    LabelCalculator,
    calculator_schema,
    check_calculator,
    load_calculator,
    seconds_per_frame,
)
from dasksse.label.relax import Relaxed, relax
from dasksse.label.single_point import ABOVE_CAP, label_atoms, label_frames

__all__ = [
    "ABOVE_CAP",
    "CALCULATOR_KINDS",
    "CalculatorKind",
    "LabelCalculator",
    "Relaxed",
    "calculator_schema",
    "check_calculator",
    "label_atoms",
    "label_frames",
    "load_calculator",
    "relax",
    "seconds_per_frame",
]
