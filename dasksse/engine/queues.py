"""Placeholder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dasksse.errors import ClusterError


class QueueError(ClusterError):
    """x."""


@dataclass(frozen=True)
class QueuedJob:
    """x."""

    job_id: str
    name: str
    state: Literal["queued", "running", "ending"]
    reason: str = ""


def batch_queue(kind: str) -> Any:
    raise NotImplementedError
