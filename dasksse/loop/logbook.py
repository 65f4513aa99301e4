"""What the driver writes down: events line by line, the journal in batches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dasksse.loop.pace import Pace
from dasksse.store.run_log import RunLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.records import Json
    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal, UnitRow

FLUSH_INTERVAL_S = 1.0
BUSY_PAUSE_S = 30.0
"""Until the next try to write a journal that another process holds [s]."""


class Logbook:
    """Journal and ``run.log`` of one driver.

    The journal is an index: what is missing in it when the driver dies is found in the unit
    folders by the next one. So it is written about once a second, and it can wait for a reader
    that holds it.
    """

    def __init__(self, folder: RunFolder, journal: Journal) -> None:
        self._journal = journal
        self._log = RunLog(folder.log)
        self._pace = Pace(share=0.05, least_s=FLUSH_INTERVAL_S)
        self._busy_until = 0.0
        self._units: dict[tuple[str, str], UnitRow] = {}
        self._forgotten: set[tuple[str, str]] = set()
        self._events: list[tuple[float, str]] = []
        self._facts: dict[str, Json] = {}

    def event(self, text: str) -> None:
        """Something happened: one line in ``run.log`` at once."""
        self._log.write(text)
        self._events.append((time.time(), text))

    def unit(self, row: UnitRow) -> None:
        """A unit ended, for good or bad."""
        self._units[row.kind, row.key] = row
        self._forgotten.discard((row.kind, row.key))

    def forget(self, kind: str, key: str) -> None:
        """A unit's folder is gone."""
        self._units.pop((kind, key), None)
        self._forgotten.add((kind, key))

    def note(self, facts: Mapping[str, Json]) -> None:
        """Facts about the run, for the next batch."""
        self._facts.update(facts)

    @property
    def is_due(self) -> bool:
        """True when the last batch is long enough ago."""
        return self._pace.due_in_s() <= 0.0 and time.monotonic() >= self._busy_until

    def flush(self) -> None:
        """Write all that is new into the journal."""
        with self._pace:
            is_written = self._journal.write(
                units=self._units.values(),
                forgotten=self._forgotten,
                events=self._events,
                facts=self._facts,
            )
        if is_written:
            self._units.clear()
            self._forgotten.clear()
            self._events.clear()
            self._facts.clear()
        else:
            self._busy_until = time.monotonic() + BUSY_PAUSE_S
            self._log.write(f"{self._journal.path} is held by another process; tried later")
