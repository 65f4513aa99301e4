"""Runs units one after the other in this process: the reference the Dask runner must equal."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from dasksse.explore import close_clients
from dasksse.loop.execute import execute_unit
from dasksse.records import Workplace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dasksse.records import Outcome, PoolState, Unit


class SerialRunner:
    """One slot, no cluster."""

    def __init__(
        self, run_dir: Path, *, workplace: Workplace | None = None, reproducible: bool = False
    ) -> None:
        self._run_dir = run_dir
        self._workplace = workplace or Workplace()
        self._reproducible = reproducible
        self._queue: deque[Unit] = deque()

    def describe(self) -> list[str]:
        """Lines for the user."""
        return ["serial: one unit after the other in this process"]

    def free_slots(self, tag: str, kind: str = "") -> int:  # noqa: ARG002 - it takes all
        """One unit at a time."""
        return 1 - len(self._queue)

    def submit(self, unit: Unit) -> None:
        """Queue a unit; it runs in :meth:`wait`."""
        self._queue.append(unit)

    def wait(self, timeout_s: float) -> list[Outcome]:  # noqa: ARG002 - the unit runs here
        """Run the next unit to its end."""
        if not self._queue:
            return []
        unit = self._queue.popleft()
        return [
            execute_unit(
                unit, self._run_dir, workplace=self._workplace, reproducible=self._reproducible
            )
        ]

    def demand(self, waiting: Mapping[str, int]) -> None:
        """Nothing to scale."""

    def news(self) -> list[str]:
        """Nothing ever happens to the one process."""
        return []

    def pools(self) -> list[PoolState]:
        """No pools."""
        return []

    def close(self) -> None:
        """End the resident engines of this process."""
        self._queue.clear()
        close_clients()
