"""A disturbed run is continued to its end, and what goes wrong on the way is noted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import actors
import psutil
import pytest

from dasksse.drill.outcome import Outcome
from dasksse.drill.rounds import CalmUnits, GaveUp, Round
from dasksse.drill.schedule import Schedule
from dasksse.drill.session import Session

if TYPE_CHECKING:
    from pathlib import Path


class Screen:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, text: str) -> None:
        pass


def make_round(
    folder: Path, mode: str = "", kills: int = 0, kinds: tuple[str, ...] = ("driver",)
) -> tuple[Round, Outcome, Screen]:
    """A round with the stand-in for a driver: two units of a second each."""
    run_dir = folder / "round-1"
    session = Session(folder / "config.yaml", run_dir, None)
    words = [sys.executable, actors.__file__, "driver", "dasksse.run", str(run_dir), mode]
    session._words = words
    outcome = Outcome(seed=0, engine="local", segment_steps=500)
    screen = Screen()
    round_ = Round(
        session,
        Schedule(kinds, kills, seed=0),
        outcome,
        calm=CalmUnits({"b" * 16: -1, "a" * 16: 0}, longest_s=0.3),
        is_local=True,
        screen=screen,
    )
    return round_, outcome, screen


def test_a_killed_driver_is_started_again_until_the_run_is_finished(tmp_path: Path) -> None:
    round_, outcome, screen = make_round(tmp_path, kills=2)

    round_.run()

    outcome.is_compared = True
    assert outcome.wrong() == []
    assert round_.happened == ["driver", "driver"]
    assert len(outcome.recover_s["driver"]) == 2
    assert outcome.restarts == 2
    assert outcome.units_total == 2
    assert outcome.units_repeated == []
    assert screen.said[0].startswith("kill   1/2  driver at label: back in ")


def test_an_undisturbed_round_has_no_kills(tmp_path: Path) -> None:
    round_, outcome, screen = make_round(tmp_path)

    round_.run()

    assert (outcome.kills, outcome.restarts, outcome.units_total) == (0, 0, 2)
    assert screen.said == []


def test_a_finished_unit_that_the_driver_does_again_is_seen(tmp_path: Path) -> None:
    final = tmp_path / "round-1" / "work" / "md" / ("a" * 16)
    final.mkdir(parents=True)
    (final / "result.json").write_text('{"value": {}}')
    round_, outcome, _ = make_round(tmp_path, mode="forgetful")
    round_._ledger.look()

    round_.run()

    assert outcome.units_repeated == [f"md/{'a' * 16}"]


def test_a_driver_that_stops_by_itself_is_trouble_and_given_up_in_the_end(
    tmp_path: Path,
) -> None:
    round_, outcome, _ = make_round(tmp_path, mode="broken")

    with pytest.raises(GaveUp, match="came to nothing; end of the log:\nno such thing"):
        round_.run()

    assert outcome.troubles
    assert outcome.troubles[0].startswith("the driver ended by itself with 1; end of its log")


def test_a_stop_after_a_full_disk_must_say_so(tmp_path: Path) -> None:
    round_, outcome, _ = make_round(tmp_path)
    log = tmp_path / "round-1.log"

    log.write_text("error: Disk full: free space\n")
    round_._stopped_by = "disk"
    round_._judge_stop(1)
    said = list(outcome.troubles)
    log.write_text("Traceback\n")
    round_._stopped_by = "disk"
    round_._judge_stop(1)

    assert said == []
    assert len(outcome.troubles) == 1


def test_a_kind_without_victims_gives_way_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasksse.drill.rounds.VICTIM_PATIENCE_S", 0.2)
    round_, outcome, _ = make_round(tmp_path, kills=2, kinds=("engine", "driver"))

    round_.run()

    assert round_.happened == ["driver"]
    assert outcome.kills == 1
    assert round_._schedule.left == ("engine",)


def test_a_run_without_progress_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dasksse.drill.rounds.STALL_S", 0.3)
    round_, _, _ = make_round(tmp_path)

    with pytest.raises(GaveUp, match="no progress for"):
        round_.run()

    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(round_._session.pid)


def test_quarantined_units_are_trouble(tmp_path: Path) -> None:
    round_, outcome, _ = make_round(tmp_path)
    failed = tmp_path / "round-1" / "failed" / "k"
    failed.mkdir(parents=True)
    (failed / "reason.json").write_text('{"kind": "md", "error": "too many crashes"}')

    round_.run()

    assert outcome.troubles == ["md k was given up: too many crashes"]
