"""Keeps what is done again and again to a small share of the driver's time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Pace:
    """Measures how long something takes and says when it may be done again.

    Used as a context around it.

    Parameters
    ----------
    share
        Share of the time that it may take.
    least_s
        Shortest time from one start to the next [s].
    """

    def __init__(self, *, share: float, least_s: float = 0.0) -> None:
        self._share = share
        self._least_s = least_s
        self._started = -float("inf")
        self._duration_s = 0.0

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._started = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Note how long it took."""
        self._duration_s = time.monotonic() - self._started

    def due_in_s(self, share: float | None = None) -> float:
        """Time until it may be done again [s], 0 when it may; for another share if given."""
        interval_s = max(self._least_s, self._duration_s / (share or self._share))
        return max(0.0, self._started + interval_s - time.monotonic())
