"""Learning schemes by name: each walks from a configuration to the units that are ready."""

from __future__ import annotations

from dasksse.loop.schemes.dpgen import plan_dpgen

SCHEMES = {"dpgen": plan_dpgen}

__all__ = ["SCHEMES", "plan_dpgen"]
