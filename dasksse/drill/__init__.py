"""The crash drill: kills at random everything that can die, and proves that nothing is lost."""

from __future__ import annotations

from dasksse.drill.kinds import KINDS
from dasksse.drill.outcome import Outcome
from dasksse.drill.program import Drill, DrillSettings

__all__ = ["KINDS", "Drill", "DrillSettings", "Outcome"]
