"""The units of a plan on their way: waiting for a slot, for another try, or in flight."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dasksse.records import Unit

FIRST = -1
"""Rank of a unit that is tried again: before those of the plan."""


class Agenda:
    """Ready units of the present plan, most urgent first, and those in flight.

    Units queue by tag and kind: those of one tag and kind need the same worker. Nothing but
    :meth:`refill` takes longer with more units.
    """

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], deque[tuple[int, Unit]]] = {}
        self._due: dict[str, float] = {}
        self._delayed: list[tuple[float, int, Unit]] = []
        self._serial = itertools.count()
        self._unsettled: set[str] = set()
        self.in_flight: dict[str, Unit] = {}
        """Units that were handed out, by key."""
        self.open: dict[str, dict[str, float]] = {}
        """``units`` and their ``amount`` that are neither done nor given up, by kind."""

    @property
    def is_empty(self) -> bool:
        """True when nothing is in flight and nothing can ever start."""
        return not self._unsettled and not self.in_flight

    @property
    def is_short(self) -> bool:
        """True when no more units wait than are in flight: slots may soon stay free."""
        return sum(len(lane) for lane in self._lanes.values()) <= len(self.in_flight)

    def refill(self, ready: Sequence[Unit]) -> None:
        """Take the units of a new plan instead; a delay of one of them goes on."""
        now = time.monotonic()
        self._due = {key: due for key, due in self._due.items() if due > now}
        self._lanes.clear()
        self._delayed.clear()
        self._unsettled = {unit.key for unit in ready}
        self.open = {}
        for rank, unit in enumerate(ready):
            entry = self.open.setdefault(unit.kind, {"units": 0, "amount": 0.0})
            entry["units"] += 1
            entry["amount"] += unit.amount
            if unit.key in self._due:
                self._delay(unit)
            elif unit.key not in self.in_flight:
                self._lane(unit).append((rank, unit))

    def take(self, has_slot: Callable[[Unit], bool]) -> Iterator[Unit]:
        """Units to start, one after the other, as long as there are slots for them."""
        self._wake()
        lanes = {name: lane for name, lane in self._lanes.items() if lane}
        while lanes:
            name = min(lanes, key=lambda lane: lanes[lane][0][0])
            lane = lanes[name]
            if has_slot(lane[0][1]):
                _, unit = lane.popleft()
                self.in_flight[unit.key] = unit
                yield unit
                if lane:
                    continue
            del lanes[name]

    def land(self, unit: Unit) -> bool:
        """A unit came back; False when it was not in flight."""
        return self.in_flight.pop(unit.key, None) is not None

    def put_back(self, unit: Unit, delay_s: float) -> None:
        """Try a unit again, before all others, when a time [s] is over."""
        self._due[unit.key] = time.monotonic() + delay_s
        self._delay(unit)

    def settle(self, unit: Unit) -> None:
        """A unit is done or given up."""
        if unit.key in self._unsettled:
            self._unsettled.remove(unit.key)
            self.open[unit.kind]["units"] -= 1
            self.open[unit.kind]["amount"] -= unit.amount

    def waiting(self) -> dict[str, int]:
        """Number of units that could start now, were there slots, by tag."""
        self._wake()
        counts: dict[str, int] = {}
        for (tag, _), lane in self._lanes.items():
            counts[tag] = counts.get(tag, 0) + len(lane)
        return counts

    def next_due_s(self) -> float:
        """Time until a delay is over [s]; infinite when there is none."""
        if not self._delayed:
            return math.inf
        return max(0.0, self._delayed[0][0] - time.monotonic())

    def _lane(self, unit: Unit) -> deque[tuple[int, Unit]]:
        return self._lanes.setdefault((unit.tag, unit.kind), deque())

    def _delay(self, unit: Unit) -> None:
        heapq.heappush(self._delayed, (self._due[unit.key], next(self._serial), unit))

    def _wake(self) -> None:
        """Let those wait for a slot whose delay is over."""
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            unit = heapq.heappop(self._delayed)[2]
            self._lane(unit).appendleft((FIRST, unit))
