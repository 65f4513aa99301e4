"""How many jobs each pool should have: pure functions of what waits and what runs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.engine.settings import PoolSettings


def wanted_jobs(
    pools: Mapping[str, PoolSettings],
    waiting: Mapping[str, int],
    running: Mapping[str, int],
) -> dict[str, int]:
    """Jobs that the work at hand needs, between each pool's minimum and maximum.

    Units go to the pools that take the fewest kinds of work first, so that a pool for all
    kinds takes what is left over.

    Parameters
    ----------
    pools
        Settings by name.
    waiting
        Units that wait for a slot, by tag.
    running
        Units that run, by pool.
    """
    load = {name: running.get(name, 0) for name in pools}
    order = sorted(pools, key=lambda name: len(pools[name].tags))
    for tag, count in waiting.items():
        left = count
        for name in (name for name in order if tag in pools[name].tags):
            room = pools[name].max_jobs * pools[name].units - load[name]
            taken = min(left, max(0, room))
            load[name] += taken
            left -= taken
    return {
        name: min(max(-(-load[name] // pool.units), pool.min_jobs), pool.max_jobs)
        for name, pool in pools.items()
    }


class SlowToShrink:
    """The largest number asked for within a time: up at once, down late.

    Parameters
    ----------
    memory_s
        How long a number is kept [s].
    """

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._asked: deque[tuple[float, int]] = deque()

    def __call__(self, now: float, wanted: int) -> int:
        """Number to have now, given the one wanted now."""
        while self._asked and self._asked[-1][1] <= wanted:
            self._asked.pop()
        self._asked.append((now, wanted))
        while self._asked[0][0] < now - self._memory_s:
            self._asked.popleft()
        return self._asked[0][1]


class BackOff:
    """Waits longer after each failure in a row.

    Parameters
    ----------
    first_s
        Wait after the first failure [s]; doubled after each further one.
    most_s
        Longest wait [s].
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._until = 0.0
        self.failures = 0
        """Failures in a row."""

    def fail(self, now: float) -> float:
        """Count a failure; give the wait [s]."""
        self.failures += 1
        wait_s = min(self._first_s * 2.0 ** (self.failures - 1), self._most_s)
        self._until = now + wait_s
        return wait_s

    def succeed(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self._until = 0.0

    def is_waiting(self, now: float) -> bool:
        """True while nothing should be tried."""
        return now < self._until
