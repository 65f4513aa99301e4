"""What the job keeper asks of a place that runs jobs, and how fast it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dasksse.engine.queues import QueuedJob


class JobQueue(Protocol):
    """A place that runs jobs."""

    kind: str

    def submit(self, name: str, pool: str) -> str:
        """Start or queue a job; its id."""

    def poll(self) -> list[QueuedJob]:
        """All jobs, by one command."""

    def cancel(self, job_ids: Sequence[str]) -> None:
        """End jobs, by one command."""

    def log(self, name: str) -> Path:
        """What a job printed."""


@dataclass(frozen=True)
class Pace:
    """How fast things are done.

    Attributes
    ----------
    tick_s
        Between two rounds [s].
    poll_s
        Between two looks at the queue [s].
    settle_s
        A job may be missing in the listing for so long after its submission [s].
    idle_s
        A job that is not needed is kept for so long [s].
    start_timeout_s
        A job that runs for so long without a worker is replaced [s].
    back_off_s, back_off_most_s
        First and longest wait after failures [s].
    job_attempts
        Failures in a row after which a pool is given up.
    """

    tick_s: float = 1.0
    poll_s: float = 15.0
    settle_s: float = 30.0
    idle_s: float = 300.0
    start_timeout_s: float = 600.0
    back_off_s: float = 10.0
    back_off_most_s: float = 600.0
    job_attempts: int = 5
