from __future__ import annotations

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
    journal.record_unit(UnitRow("md", "d" * 16, 0, "done", 1, 1.0, 1.0, 1.0, {}))
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
    journal.event("first")
    journal.event("second")
    journal.set_facts({"stage": "labels"})
    journal.set_facts({"stage": "training", "n": 3})

    again = Journal(tmp_path / "journal.sqlite", read_only=True)

    assert [text for _, text in again.events()] == ["first", "second"]
    assert again.facts() == {"stage": "training", "n": 3}


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
