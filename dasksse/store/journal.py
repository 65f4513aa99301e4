"""The driver's index of units and events: SQLite, rebuilt from the folders when it is lost."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.errors import RunFolderError, StoreError
from dasksse.store.folders import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from dasksse.store.folders import RunFolder

OPEN_TIMEOUT_S = 30.0
"""Wait for a process that holds the file when it is opened or read [s]."""

WRITE_TIMEOUT_S = 2.0
"""Wait for a reader when the file is written [s]; the driver has other things to do."""

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
    """One unit as the journal knows it.

    Attributes
    ----------
    kind, key, generation, amount
        As in :class:`dasksse.records.Unit`.
    status
        ``done`` or ``quarantined``.
    attempts
        How often it was started, as far as is known.
    wall_s, cpu_s
        Time of the last attempt [s].
    result
        Record of the stage, or the reason of the quarantine.
    ended
        When it ended, seconds since the epoch; now when 0.
    """

    kind: str
    key: str
    generation: int
    status: str
    attempts: int
    amount: float
    wall_s: float
    cpu_s: float
    result: dict[str, Any]
    ended: float = 0.0


def _unit_row(row: tuple[Any, ...]) -> UnitRow:
    *columns, result, ended = row
    return UnitRow(*columns, json.loads(result or "{}"), ended)  # type: ignore[call-arg]


def _values(row: UnitRow) -> tuple[Any, ...]:
    return (
        row.kind,
        row.key,
        row.generation,
        row.status,
        row.attempts,
        row.amount,
        row.wall_s,
        row.cpu_s,
        row.ended or time.time(),
        json.dumps(row.result),
    )


def _error_name(error: sqlite3.DatabaseError) -> str:
    """SQLite's name of an error; empty for one of the Python module."""
    return getattr(error, "sqlite_errorname", "")


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    """True when another process holds the file."""
    return _error_name(error) in {"SQLITE_BUSY", "SQLITE_LOCKED"}


class Journal:
    """What the driver knows of the run; only the driver writes it.

    No write-ahead log is used: it fails on network file systems.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            self._db = sqlite3.connect(uri, uri=True, timeout=OPEN_TIMEOUT_S)
            if not read_only:
                self._db.execute("PRAGMA journal_mode=TRUNCATE")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
            self._db.execute("SELECT count(*) FROM units").fetchone()
            if not read_only:
                self._db.execute(f"PRAGMA busy_timeout={1000 * WRITE_TIMEOUT_S:.0f}")
        except sqlite3.DatabaseError as error:
            self.close()
            if _is_busy(error):
                msg = f"another process holds {path}: wait, or end it, then try again"
                raise RunFolderError(msg) from error
            msg = f"journal {path} cannot be read: {error}"
            raise StoreError(msg) from error

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self._db.close()

    def write(
        self,
        *,
        units: Iterable[UnitRow] = (),
        forgotten: Iterable[tuple[str, str]] = (),
        events: Iterable[tuple[float, str]] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write all of it, or nothing, in one transaction.

        Parameters
        ----------
        units
            Units to insert or replace.
        forgotten
            Kind and key of units whose folder is gone.
        events
            Time since the epoch [s] and text, in order.
        facts
            JSON facts about the run by name, such as its state or the driver's time.

        Returns
        -------
        bool
            False when another process holds the file and nothing was written.

        Raises
        ------
        StoreError
            When the file cannot be written, as on a full disk.
        """
        pairs = [(name, json.dumps(value)) for name, value in (facts or {}).items()]
        try:
            with self._db as db:
                db.executemany("DELETE FROM units WHERE kind=? AND key=?", forgotten)
                db.executemany(
                    "INSERT OR REPLACE INTO units VALUES (?,?,?,?,?,?,?,?,?,?)",
                    (_values(row) for row in units),
                )
                db.executemany("INSERT INTO events VALUES (?,?)", events)
                db.executemany("INSERT OR REPLACE INTO facts VALUES (?,?)", pairs)
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                return False
            what = "disk full" if _error_name(error) == "SQLITE_FULL" else str(error)
            msg = (
                f"journal {self.path} cannot be written: {what}; when that is mended, "
                "the same command continues"
            )
            raise StoreError(msg) from error
        return True

    def units(self) -> list[UnitRow]:
        """All units."""
        query = (
            "SELECT kind,key,generation,status,attempts,amount,wall_s,cpu_s,result,ended "
            "FROM units ORDER BY ended"
        )
        try:
            rows = self._db.execute(query).fetchall()
            return [_unit_row(row) for row in rows]
        except (sqlite3.DatabaseError, ValueError) as error:
            msg = f"journal {self.path} cannot be read: {error}"
            raise StoreError(msg) from error

    def events(self, last: int = 50) -> list[tuple[float, str]]:
        """The last events, oldest first."""
        query = "SELECT at,text FROM events ORDER BY rowid DESC LIMIT ?"
        return list(reversed(self._db.execute(query, (last,)).fetchall()))

    def set_facts(self, facts: Mapping[str, Any]) -> bool:
        """Write some facts; False when another process holds the file."""
        return self.write(facts=facts)

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

    Raises
    ------
    RunFolderError
        When another process holds it.
    """
    notes: list[str] = []
    try:
        journal = Journal(folder.journal)
        rows = journal.units()
    except RunFolderError:
        raise
    except StoreError as error:
        kept = _set_aside(folder.journal)
        notes.append(f"{error}; kept as {kept.name}, rebuilt from the folders")
        journal = Journal(folder.journal)
        rows = []
    done = {(row.kind, row.key) for row in rows if row.status == "done"}
    on_disk = set(folder.done_units())
    new = []
    for kind, key in sorted(on_disk - done):
        try:
            new.append(_row_from_folder(folder, kind, key))
        except (StoreError, FileNotFoundError) as error:
            notes.append(f"{error}; the unit is done again")
            _reopen(folder, kind, key)
    gone = done - on_disk
    notes += [f"{folder.unit(*unit)} is gone; the unit is done again" for unit in sorted(gone)]
    more, released = _quarantine_changes(folder, rows)
    if new or more or gone or released:
        journal.write(units=[*new, *more], forgotten=[*gone, *released])
    return journal, notes


def _reopen(folder: RunFolder, kind: str, key: str) -> None:
    """Make a unit whose record is damaged an unfinished one."""
    part = folder.part(kind, key)
    if part.exists():  # left by a second copy of the unit
        shutil.rmtree(part)
    folder.unit(kind, key).rename(part)


def _quarantine_changes(
    folder: RunFolder, rows: Iterable[UnitRow]
) -> tuple[list[UnitRow], list[tuple[str, str]]]:
    """Rows of quarantined units that the journal lacks; units it holds and that are no more."""
    known = {row.key: row.kind for row in rows if row.status == "quarantined"}
    reasons = folder.quarantined()
    new = [quarantine_row(reason) for key, reason in reasons.items() if key not in known]
    return new, [(kind, key) for key, kind in known.items() if key not in reasons]


def quarantine_row(reason: Mapping[str, Any]) -> UnitRow:
    """Row of a unit that failed for good, from the reason kept with it."""
    return UnitRow(
        reason["kind"],
        reason["key"],
        int(reason["generation"]),
        "quarantined",
        int(reason.get("attempts", 0)),
        float(reason.get("amount", 0.0)),
        0.0,
        0.0,
        dict(reason),
    )


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
        (folder.unit(kind, key) / RESULT).stat().st_mtime,
    )
