"""Frozen records and protocols that every layer shares."""

from __future__ import annotations

from dasksse.records.data import (
    KEY_LENGTH,
    Frames,
    Json,
    Labels,
    content_key,
    file_digest,
)
from dasksse.records.trajectory import MemoryTrajectory, Trajectory
from dasksse.records.work import (
    Done,
    Failed,
    FailureClass,
    Outcome,
    PoolState,
    Progress,
    Runner,
    Unit,
    UnitContext,
    Workplace,
)

__all__ = [
    "KEY_LENGTH",
    "Done",
    "Failed",
    "FailureClass",
    "Frames",
    "Json",
    "Labels",
    "MemoryTrajectory",
    "Outcome",
    "PoolState",
    "Progress",
    "Runner",
    "Trajectory",
    "Unit",
    "UnitContext",
    "Workplace",
    "content_key",
    "file_digest",
]
