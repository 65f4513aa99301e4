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
    "Outcome",
    "PoolState",
    "Progress",
    "Runner",
    "Unit",
    "UnitContext",
    "Workplace",
    "content_key",
    "file_digest",
]
