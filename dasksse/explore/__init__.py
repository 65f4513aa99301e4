"""Exploration: molecular dynamics with an ensemble of models."""

from __future__ import annotations

from dasksse.explore.deviation import deviation_scalars
from dasksse.explore.integrity import Framework, FrameworkState
from dasksse.explore.lammps_client import close_clients
from dasksse.explore.md import MdFrames, MdResult, MdSpec, read_md, read_md_segments, run_md
from dasksse.explore.md_run import keep_end_state

__all__ = [
    "Framework",
    "FrameworkState",
    "MdFrames",
    "MdResult",
    "MdSpec",
    "close_clients",
    "deviation_scalars",
    "keep_end_state",
    "read_md",
    "read_md_segments",
    "run_md",
]
