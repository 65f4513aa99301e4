"""What was finished and is done again is seen on the disk, whatever the driver says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dasksse.drill.ledger import Ledger
from dasksse.store.folders import RunFolder, write_json

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "work").mkdir()
    return RunFolder(tmp_path)


def finish(folder: RunFolder, kind: str = "md", **value: Any) -> Path:
    final = folder.unit(kind, KEY)
    final.mkdir(parents=True, exist_ok=True)
    write_json(final / "result.json", {"value": value})
    return final


def part(folder: RunFolder) -> Path:
    path = folder.part("md", KEY)
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_a_run_that_only_grows_repeats_nothing(folder: RunFolder) -> None:
    ledger = Ledger(folder)
    ledger.look()
    finish(folder, "label")
    ledger.look()
    finish(folder, "md")
    ledger.look()

    assert ledger.n_units == 2
    assert ledger.units_repeated == []


def test_a_result_that_is_written_again_is_a_repeated_unit(folder: RunFolder) -> None:
    ledger = Ledger(folder)
    finish(folder)
    ledger.look()

    finish(folder)
    ledger.look()
    ledger.look()

    assert ledger.units_repeated == [f"md/{KEY}"]


def test_a_finished_unit_that_goes_back_to_work_counts_once(folder: RunFolder) -> None:
    ledger = Ledger(folder)
    final = finish(folder)
    ledger.look()

    final.rename(folder.part("md", KEY))
    ledger.look()
    folder.part("md", KEY).rename(final)
    ledger.look()

    assert ledger.units_repeated == [f"md/{KEY}"]
    assert ledger.n_units == 1


def test_a_segment_that_vanishes_or_is_written_again_is_repeated(folder: RunFolder) -> None:
    ledger = Ledger(folder)
    segments = [part(folder) / f"segment-0000{i}.npz" for i in range(3)]
    for segment in segments:
        segment.write_bytes(b"frames")
    ledger.look()

    segments[1].unlink()
    segments[2].unlink()
    segments[2].write_bytes(b"frames of another attempt")
    ledger.look()

    assert sorted(ledger.segments_repeated) == [
        f"md/{KEY}.part/segment-00001.npz",
        f"md/{KEY}.part/segment-00002.npz",
    ]


def test_segments_of_a_published_run_may_go(folder: RunFolder) -> None:
    ledger = Ledger(folder)
    for name in ("segment-00000.npz", "segment-00001.npz"):
        (part(folder) / name).write_bytes(b"frames")
    ledger.look()

    write_json(part(folder) / "published.json", {})
    (part(folder) / "segment-00000.npz").unlink()
    ledger.look()
    finish(folder, "label")
    part(folder).rename(folder.unit("md", KEY))
    ledger.look()

    assert ledger.segments_repeated == []


def test_the_most_steps_lost_at_once_are_kept_not_their_sum(folder: RunFolder) -> None:
    ledger = Ledger(folder)
    for total in (0, 300, 700, 800):
        write_json(part(folder) / "repeated_steps.json", total)
        ledger.look()

    assert ledger.most_steps_lost == 400


def test_steps_lost_before_the_last_attempt_are_read_from_the_result(
    folder: RunFolder,
) -> None:
    ledger = Ledger(folder)
    write_json(part(folder) / "repeated_steps.json", 100)
    ledger.look()

    part(folder).rename(folder.unit("md", KEY))
    finish(folder, steps_repeated=550)
    ledger.look()

    assert ledger.most_steps_lost == 450
