from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from dasksse.errors import RunFolderError, StoreError
from dasksse.store.folders import RESULT, RunFolder, driver_lock, read_json, write_json
from dasksse.store.journal import Journal, UnitRow, open_journal

if TYPE_CHECKING:
    from pathlib import Path


def finish(folder: RunFolder, kind: str, key: str, value: int) -> None:
    target = folder.unit(kind, key)
    target.mkdir(parents=True)
    write_json(target / RESULT, {"value": {"n": value}, "generation": 2, "wall_s": 1.5})


def test_a_journal_that_is_lost_is_rebuilt_from_the_folders(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    finish(folder, "label", "a" * 16, 1)
    finish(folder, "md", "b" * 16, 2)
    (folder.work / "md" / ("c" * 16 + ".part")).mkdir()

    journal, notes = open_journal(folder)

    rows = {row.key[0]: row for row in journal.units()}
    assert notes == []
    assert set(rows) == {"a", "b"}
    assert rows["b"].result == {"n": 2}
    assert rows["b"].generation == 2


@pytest.mark.parametrize("damage", [b"", b"garbage" * 2000])
def test_a_damaged_journal_is_named_kept_and_rebuilt(tmp_path: Path, damage: bytes) -> None:
    folder = RunFolder(tmp_path)
    finish(folder, "label", "a" * 16, 1)
    open_journal(folder)[0].close()
    content = folder.journal.read_bytes()
    folder.journal.write_bytes(content[:50] + damage + content[50 + len(damage) :][:3000])

    journal, notes = open_journal(folder)

    assert [row.key[0] for row in journal.units()] == ["a"]
    assert "journal.sqlite" in notes[0]
    assert list(tmp_path.glob("journal.sqlite.damaged-*"))


def test_a_unit_whose_folder_is_gone_is_done_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    journal, _ = open_journal(folder)
    journal.write(units=[UnitRow("md", "d" * 16, 0, "done", 1, 1.0, 1.0, 1.0, {})])
    journal.close()

    journal, notes = open_journal(folder)

    assert journal.units() == []
    assert "is gone" in notes[0]


def test_a_unit_whose_record_is_damaged_is_named_and_done_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    finish(folder, "label", "a" * 16, 1)
    (folder.unit("label", "a" * 16) / RESULT).write_text('{"value": {')

    journal, notes = open_journal(folder)

    assert journal.units() == []
    assert "is damaged" in notes[0]
    assert folder.part("label", "a" * 16).is_dir()


def test_events_and_facts_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.write(events=[(1.0, "first")])
    journal.write(events=[(2.0, "second")])
    journal.set_facts({"stage": "labels"})
    journal.set_facts({"stage": "training", "n": 3})

    again = Journal(tmp_path / "journal.sqlite", read_only=True)

    assert [text for _, text in again.events()] == ["first", "second"]
    assert again.facts() == {"stage": "training", "n": 3}


def test_a_unit_without_its_record_is_done_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    finish(folder, "label", "a" * 16, 1)
    (folder.unit("label", "a" * 16) / RESULT).unlink()
    folder.part("label", "a" * 16).mkdir()  # left by a second copy

    journal, notes = open_journal(folder)

    assert journal.units() == []
    assert "the unit is done again" in notes[0]
    assert [path.name for path in (folder.work / "label").iterdir()] == ["a" * 16 + ".part"]


def test_quarantined_units_are_in_the_journal_as_long_as_they_are_in_quarantine(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path)
    reason = {"kind": "md", "key": "e" * 16, "generation": 3, "amount": 5.0, "error": "boom"}
    folder.quarantine("md", "e" * 16, reason)

    (row,) = open_journal(folder)[0].units()
    folder.release("md", "e" * 16)
    after = open_journal(folder)[0].units()

    assert (row.status, row.generation, row.amount) == ("quarantined", 3, 5.0)
    assert row.result == reason
    assert after == []


def test_a_batch_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    good = UnitRow("md", "a", 0, "done", 1, 1.0, 1.0, 1.0, {})
    bad = UnitRow("md", None, 0, "done", 1, 1.0, 1.0, 1.0, {})  # type: ignore[arg-type]

    with pytest.raises(StoreError, match=r"journal\.sqlite cannot be written: NOT NULL"):
        journal.write(units=[good, bad], facts={"stage": "x"})

    assert journal.units() == []
    assert journal.facts() == {}


def test_when_a_unit_ended_is_kept_and_found_again_in_its_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    finish(folder, "md", "a" * 16, 1)
    os.utime(folder.unit("md", "a" * 16) / RESULT, (1000.0, 1000.0))
    journal, _ = open_journal(folder)
    journal.write(units=[UnitRow("md", "b", 0, "done", 1, 1.0, 1.0, 1.0, {}, 2000.0)])

    assert [row.ended for row in journal.units()] == [1000.0, 2000.0]


def test_a_journal_that_another_process_holds_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasksse.store.journal.OPEN_TIMEOUT_S", 0.1)
    folder = RunFolder(tmp_path)
    open_journal(folder)[0].close()
    holder = sqlite3.connect(folder.journal, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    with pytest.raises(RunFolderError, match=r"another process holds .*journal\.sqlite"):
        open_journal(folder)

    holder.close()
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_damaged_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{")

    with pytest.raises(StoreError, match=r"x\.json is damaged"):
        read_json(path)


def test_a_quarantined_unit_keeps_its_folder_and_reason(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    part = folder.part("label", "e" * 16)
    part.mkdir(parents=True)
    (part / "log").write_text("what happened")

    target = folder.quarantine("label", "e" * 16, {"error": "no convergence"})

    assert (target / "log").read_text() == "what happened"
    assert folder.quarantined() == {"e" * 16: {"error": "no convergence"}}


def test_a_released_unit_keeps_its_checkpoints_and_its_past(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    part = folder.part("md", "e" * 16)
    for attempt in (1, 2):
        part.mkdir(parents=True, exist_ok=True)
        (part / "segment-00001.npz").write_text("work")
        (part / "crashes.log").write_text("engine 1\nengine 2\n")
        folder.quarantine("md", "e" * 16, {"error": f"failure {attempt}"})

        assert folder.release("md", "e" * 16) == part

    assert folder.quarantined() == {}
    assert not folder.failed("e" * 16).exists()
    assert sorted(path.name for path in part.iterdir()) == [
        "released-1.json",
        "released-2.json",
        "segment-00001.npz",
    ]
    assert read_json(part / "released-2.json") == {"error": "failure 2"}


def test_the_driver_lock_is_free_again_after_use(tmp_path: Path) -> None:
    with driver_lock(RunFolder(tmp_path)):
        pass
    with driver_lock(RunFolder(tmp_path)):
        pass


def test_a_second_driver_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path\n"
        "from dasksse.store.folders import RunFolder, driver_lock\n"
        f"with driver_lock(RunFolder(Path({str(tmp_path)!r}))):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()

        with (
            pytest.raises(RunFolderError, match=f"process {holder.pid}"),
            driver_lock(RunFolder(tmp_path)),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()
        for stream in (holder.stdin, holder.stdout):
            if stream is not None:
                stream.close()

    with driver_lock(RunFolder(tmp_path)):
        pass
