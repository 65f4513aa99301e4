from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from made_up_run import STARTED, held, made_up_units, make_run_folder

from dasksse.errors import StoreError
from dasksse.store import journal_reader
from dasksse.store.folders import FileLock
from dasksse.store.journal import Journal
from dasksse.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.store.folders import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make_run_folder(tmp_path / "run", generations=3, per_kind=5)


def test_totals_are_the_sums_over_all_units(folder: RunFolder) -> None:
    reader = JournalReader(folder.journal)
    units = reader.units()

    totals = {(total.kind, total.status): total for total in reader.totals()}

    assert totals.keys() == {(unit.kind, unit.status) for unit in units}
    for (kind, status), total in totals.items():
        mine = [unit for unit in units if (unit.kind, unit.status) == (kind, status)]
        assert total.units == len(mine)
        assert total.amount == sum(unit.amount for unit in mine)
        assert total.cpu_s == sum(unit.cpu_s for unit in mine)


def test_labels_are_the_good_ones_of_finished_units(folder: RunFolder) -> None:
    reader = JournalReader(folder.journal)

    expected = sum(
        row.result["n_good"]
        for row in made_up_units(3, 5)
        if row.kind == "label" and row.status == "done"
    )

    assert reader.n_labels() == expected
    assert reader.generation() == 2


def test_labels_in_time_grow_to_their_number_with_few_points(folder: RunFolder) -> None:
    reader = JournalReader(folder.journal)

    every = reader.labels_in_time(most=10_000)
    few = reader.labels_in_time(most=4)

    assert every[0] == (STARTED + 300.0, 7)
    assert len(every) == 15
    assert len(few) <= 5
    for curve in (every, few):
        assert curve == sorted(curve)
        assert curve[-1] == (every[-1][0], reader.n_labels())


def test_a_run_without_labels_has_an_empty_curve(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.sqlite").close()

    reader = JournalReader(tmp_path / "journal.sqlite")

    assert reader.labels_in_time() == []
    assert reader.n_labels() == 0
    assert reader.generation() is None


def test_records_come_with_their_generation_oldest_first(folder: RunFolder) -> None:
    records = JournalReader(folder.journal).records("select")

    assert [generation for generation, _ in records] == [0, 1]
    assert records[0][1]["levels"] == [0.12, 0.25]


def test_quarantined_units_are_named_with_their_error(folder: RunFolder) -> None:
    (unit,) = JournalReader(folder.journal).quarantined()

    assert unit["kind"] == "label"
    assert unit["error"].startswith("SevenNet exited with 1")


def test_the_driver_writes_while_a_reader_is_there(folder: RunFolder) -> None:
    reader = JournalReader(folder.journal)
    reader.totals()
    driver = Journal(folder.journal)

    is_written = driver.write(facts={"stage": "something else"})

    assert is_written
    assert reader.facts()["stage"] == "something else"


def test_a_journal_that_is_being_written_is_busy_not_damaged(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_reader, "READ_TIMEOUT_S", 0.05)
    reader = JournalReader(folder.journal)
    writer = sqlite3.connect(folder.journal, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        reader.facts()
    writer.execute("COMMIT")

    assert reader.facts()["state"] == "running"
    writer.close()


def test_an_absent_journal_is_an_error_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        JournalReader(tmp_path / "journal.sqlite")

    assert not (tmp_path / "journal.sqlite").exists()


def test_asking_whether_a_lock_is_held_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)

    assert not lock.is_held()  # there is no file
    with held([path]):
        written = path.read_text()
        assert lock.is_held()
        assert path.read_text() == written
    assert not lock.is_held()
    assert lock.acquire()
    lock.release()
