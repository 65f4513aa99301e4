"""The driver's index of units and events: SQLite, rebuilt from the folders when it is lost."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dasksse.store.folders import RunFolder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS units (
    kind TEXT NOT NULL, key TEXT NOT NULL, generation INTEGER NOT NULL, status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, amount REAL NOT NULL DEFAULT 0,
    wall_s REAL NOT NULL DEFAULT 0, cpu_s REAL NOT NULL DEFAULT 0,
    ended REAL NOT NULL DEFAULT 0, result TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS events (at REAL NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class UnitRow:
    """One unit as the journal knows it."""

    kind: str
    key: str
    generation: int
    status: str
    attempts: int
    amount: float
    wall_s: float
    cpu_s: float
    result: dict[str, Any]


def _unit_row(row: tuple[Any, ...]) -> UnitRow:
    kind, key, generation, status, attempts, amount, wall_s, cpu_s, result = row
    return UnitRow(
        kind=kind,
        key=key,
        generation=generation,
        status=status,
        attempts=attempts,
        amount=amount,
        wall_s=wall_s,
        cpu_s=cpu_s,
        result=json.loads(result or "{}"),
    )


class Journal:
    """What the driver knows of the run; only the driver writes it.

    No write-ahead log is used: it fails on network file systems.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            self._db = sqlite3.connect(uri, uri=True, timeout=30.0)
            if not read_only:
                self._db.execute("PRAGMA journal_mode=TRUNCATE")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
            self._db.execute("SELECT count(*) FROM units").fetchone()
        except sqlite3.DatabaseError as error:
            self.close()
            msg = f"journal {path} cannot be read: {error}"
            raise StoreError(msg) from error

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self._db.close()

    def record_unit(self, row: UnitRow) -> None:
        """Insert or replace a unit."""
        with self._db:
            self._insert(row)

    def record_units(self, rows: list[UnitRow]) -> None:
        """Insert or replace many units in one transaction."""
        with self._db:
            for row in rows:
                self._insert(row)

    def _insert(self, row: UnitRow) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO units VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                row.kind,
                row.key,
                row.generation,
                row.status,
                row.attempts,
                row.amount,
                row.wall_s,
                row.cpu_s,
                time.time(),
                json.dumps(row.result),
            ),
        )

    def forget(self, kind: str, key: str) -> None:
        """Drop a unit whose folder is gone."""
        with self._db:
            self._db.execute("DELETE FROM units WHERE kind=? AND key=?", (kind, key))

    def units(self) -> list[UnitRow]:
        """All units."""
        query = (
            "SELECT kind,key,generation,status,attempts,amount,wall_s,cpu_s,result FROM units "
            "ORDER BY ended"
        )
        try:
            rows = self._db.execute(query).fetchall()
            return [_unit_row(row) for row in rows]
        except (sqlite3.DatabaseError, ValueError) as error:
            msg = f"journal {self.path} cannot be read: {error}"
            raise StoreError(msg) from error

    def event(self, text: str) -> None:
        """Append a line to the run's log."""
        with self._db:
            self._db.execute("INSERT INTO events VALUES (?,?)", (time.time(), text))

    def events(self, last: int = 50) -> list[tuple[float, str]]:
        """The last events, oldest first."""
        query = "SELECT at,text FROM events ORDER BY rowid DESC LIMIT ?"
        return list(reversed(self._db.execute(query, (last,)).fetchall()))

    def set_facts(self, facts: Mapping[str, Any]) -> None:
        """Store JSON facts about the run, such as its state or the driver's time."""
        with self._db:
            for name, value in facts.items():
                self._db.execute(
                    "INSERT OR REPLACE INTO facts VALUES (?,?)", (name, json.dumps(value))
                )

    def facts(self) -> dict[str, Any]:
        """All facts."""
        rows = self._db.execute("SELECT name,value FROM facts").fetchall()
        return {name: json.loads(value) for name, value in rows}


def _set_aside(path: Path) -> Path:
    kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    path.rename(kept)
    return kept


def open_journal(folder: RunFolder) -> tuple[Journal, list[str]]:
    """Open the journal and bring it in line with the folders, which are the truth.

    Returns
    -------
    tuple[Journal, list[str]]
        The journal, and what had to be mended.
    """
    notes: list[str] = []
    try:
        journal = Journal(folder.journal)
        rows = journal.units()
    except StoreError as error:
        kept = _set_aside(folder.journal)
        notes.append(f"{error}; kept as {kept.name}, rebuilt from the folders")
        journal = Journal(folder.journal)
        rows = []
    known = {(row.kind, row.key): row for row in rows}
    on_disk = set(folder.done_units())
    missing: list[UnitRow] = []
    for kind, key in sorted(on_disk - {k for k, row in known.items() if row.status == "done"}):
        try:
            missing.append(_row_from_folder(folder, kind, key))
        except StoreError as error:
            notes.append(f"{error}; the unit is done again")
            folder.unit(kind, key).rename(folder.part(kind, key))
    journal.record_units(missing)
    for (kind, key), row in known.items():
        if row.status == "done" and (kind, key) not in on_disk:
            journal.forget(kind, key)
            notes.append(f"{folder.unit(kind, key)} is gone; the unit is done again")
    return journal, notes


def _row_from_folder(folder: RunFolder, kind: str, key: str) -> UnitRow:
    record = folder.unit_result(kind, key)
    return UnitRow(
        kind,
        key,
        int(record.get("generation", -1)),
        "done",
        int(record.get("attempts", 1)),
        float(record.get("amount", 0.0)),
        float(record.get("wall_s", 0.0)),
        float(record.get("cpu_s", 0.0)),
        record["value"],
    )
