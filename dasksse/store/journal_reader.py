"""The journal for those who only look: sums made by SQLite, each with a short read lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.store.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

READ_TIMEOUT_S = 2.0
"""Wait for the driver, which holds the file for milliseconds [s]."""


@dataclass(frozen=True)
class KindTotal:
    """Sums over the units of one kind and status.

    Attributes
    ----------
    kind, status
        As in :class:`dasksse.store.journal.UnitRow`.
    units
        Number of units.
    amount
        Their work: labels, MD steps, training steps.
    cpu_s
        Their CPU time [s].
    """

    kind: str
    status: str
    units: int
    amount: float
    cpu_s: float


class JournalReader(Journal):
    """Answers questions on a run without reading all of its units.

    Every statement is read to its end at once, so the driver can always write in between.

    Parameters
    ----------
    path
        File of the journal.

    Raises
    ------
    StoreError
        When the file is absent or damaged, or the driver holds it for too long.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, read_only=True)
        self._db.execute(f"PRAGMA busy_timeout={1000 * READ_TIMEOUT_S:.0f}")

    def totals(self) -> list[KindTotal]:
        """Sums by kind and status."""
        query = (
            "SELECT kind, status, count(*), total(amount), total(cpu_s) FROM units "
            "GROUP BY kind, status ORDER BY kind, status"
        )
        return [KindTotal(*row) for row in self._db.execute(query).fetchall()]

    def generation(self) -> int | None:
        """Last generation that has a trained model."""
        query = "SELECT max(generation) FROM units WHERE kind='train' AND status='done'"
        last: int | None = self._db.execute(query).fetchone()[0]
        return last

    def records(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """Generation and record of the finished units of a kind, oldest first."""
        query = (
            "SELECT generation, result FROM units WHERE kind=? AND status='done' ORDER BY ended"
        )
        rows = self._db.execute(query, (kind,)).fetchall()
        return [(generation, json.loads(result)) for generation, result in rows]

    def quarantined(self) -> list[dict[str, str]]:
        """Kind, key and error of the units that failed for good."""
        query = (
            "SELECT kind, key, coalesce(json_extract(result, '$.error'), '') FROM units "
            "WHERE status='quarantined' ORDER BY ended"
        )
        names = ("kind", "key", "error")
        rows = self._db.execute(query).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def n_labels(self) -> int:
        """Good labels, those of relaxations included."""
        query = (
            "SELECT total(json_extract(result, '$.n_good')) FROM units "
            "WHERE kind IN ('label', 'relax') AND status='done'"
        )
        return int(self._db.execute(query).fetchone()[0])

    def label_cores(self) -> int:
        """Cores that a label had, the most of all batches; 1 where none says."""
        query = (
            "SELECT max(coalesce(json_extract(result, '$.cores'), 1)) FROM units "
            "WHERE kind='label' AND status='done'"
        )
        return int(self._db.execute(query).fetchone()[0] or 1)

    def label_failures(self) -> list[tuple[str, int]]:
        """Why frames have no label, and how many of them, one entry a text.

        The frames of a batch that is quarantined count with the error of the batch.
        """
        query = (
            "SELECT reason.value, count(*) FROM units, json_each(units.result, '$.reasons') "
            "AS reason WHERE kind='label' AND status='done' GROUP BY reason.value UNION ALL "
            "SELECT coalesce(json_extract(result, '$.error'), ''), amount FROM units "
            "WHERE kind='label' AND status='quarantined'"
        )
        return [(text, int(count)) for text, count in self._db.execute(query).fetchall()]

    def labels_in_time(self, most: int = 200) -> list[tuple[float, int]]:
        """Number of good labels against the time when they came.

        Parameters
        ----------
        most
            About so many points at most, evenly spread over the time.

        Returns
        -------
        list[tuple[float, int]]
            Seconds since the epoch, and labels until then.
        """
        query = (
            "WITH made AS (SELECT ended, json_extract(result, '$.n_good') AS n FROM units "
            "WHERE kind IN ('label', 'relax') AND status='done'), "
            "span AS (SELECT min(ended) AS first, max(ended) - min(ended) + 1 AS length "
            "FROM made), "
            "binned AS (SELECT max(ended) AS at, sum(n) AS n FROM made, span "
            "GROUP BY CAST(? * (ended - first) / length AS INTEGER)) "
            "SELECT at, sum(n) OVER (ORDER BY at) FROM binned ORDER BY at"
        )
        return self._db.execute(query, (most,)).fetchall()
