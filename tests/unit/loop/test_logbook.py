from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from dasksse.loop.logbook import Logbook
from dasksse.store.folders import RunFolder
from dasksse.store.journal import Journal, UnitRow

if TYPE_CHECKING:
    from pathlib import Path


def make(run_dir: Path) -> tuple[Logbook, Journal]:
    folder = RunFolder(run_dir)
    journal = Journal(folder.journal)
    return Logbook(folder, journal), journal


def row(key: str) -> UnitRow:
    return UnitRow("md", key, 0, "done", 1, 1.0, 1.0, 1.0, {"n": 1})


def test_an_event_is_one_line_in_the_log_at_once_and_in_the_journal_later(
    tmp_path: Path,
) -> None:
    logbook, journal = make(tmp_path)

    logbook.event("md failed:\n  last line of LAMMPS\n\n  and another")

    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d  md failed: \| last line of LAMMPS \| "
    assert re.fullmatch(line + "and another\n", (tmp_path / "run.log").read_text())
    assert journal.events() == []
    logbook.flush()
    assert len(journal.events()) == 1


def test_the_log_is_only_ever_appended_to(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("from an earlier session\n")

    make(tmp_path)[0].event("now")

    lines = (tmp_path / "run.log").read_text().splitlines()
    assert lines[0] == "from an earlier session"
    assert lines[1].endswith("  now")


def test_a_batch_is_written_whole(tmp_path: Path) -> None:
    logbook, journal = make(tmp_path)
    logbook.unit(row("a"))
    logbook.unit(row("b"))
    logbook.forget("md", "a")
    logbook.note({"stage": "labels"})

    logbook.flush()

    assert [unit.key for unit in journal.units()] == ["b"]
    assert journal.facts() == {"stage": "labels"}


def test_a_journal_that_a_reader_holds_is_written_later(tmp_path: Path) -> None:
    logbook, journal = make(tmp_path)
    reader = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    reader.execute("BEGIN IMMEDIATE")  # as a stopped process would hold it
    logbook.unit(row("a"))

    logbook.flush()

    assert not logbook.is_due
    assert "held by another process" in (tmp_path / "run.log").read_text()
    reader.execute("ROLLBACK")
    reader.close()
    logbook.flush()
    assert [unit.key for unit in journal.units()] == ["a"]
