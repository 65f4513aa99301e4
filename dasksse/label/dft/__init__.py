"""Labels from density-functional theory: one file per engine, everything common beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasksse.label.contract import CalculatorKind

ENGINES: dict[str, CalculatorKind] = {}
"""The DFT engines: adding one is adding its entry here."""
