"""Learning schemes by name: each walks from a configuration to the units that are ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dasksse.config.schema import RunConfig
from dasksse.loop.schemes.dpgen import plan_dpgen, plan_learning
from dasksse.loop.walk import Plan, RunState

Scheme = Callable[[RunConfig, Mapping[str, str], RunState], Plan]
"""Gives the plan for a configuration, digests of the structure files, and what is done."""

SCHEMES: dict[str, Scheme] = {"dpgen": plan_dpgen, "learning": plan_learning}
"""``learning`` is ``dpgen`` without production."""

__all__ = ["SCHEMES", "Scheme", "plan_dpgen", "plan_learning"]
