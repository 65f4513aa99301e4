"""The drill's command: what it refuses, prints, writes and returns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dasksse.cli import main
from dasksse.drill import Drill, DrillSettings, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def drilled(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[DrillSettings]:
    """Let the drill end at once; give the settings it was asked for."""
    asked: list[DrillSettings] = []

    def run(self: Drill) -> Outcome:
        asked.append(self._settings)
        return outcome

    monkeypatch.setattr(Drill, "run", run)
    return asked


def passed() -> Outcome:
    return Outcome(
        seed=5,
        engine="local",
        segment_steps=500,
        recover_s={"worker": [2.0, 4.0], "driver": [9.5]},
        units_total=40,
        md_steps_lost_max=480,
        rounds=2,
        is_compared=True,
        left_out={"node": "workers run on node17, out of this drill's reach"},
    )


def test_a_passed_drill_ends_with_0_a_table_a_verdict_and_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = drilled(monkeypatch, passed())
    monkeypatch.setenv("COLUMNS", "200")
    target = tmp_path / "drill.json"

    code = main(["drill", "--kills", "3", "--seed", "5", "--json", str(target)])

    text = capsys.readouterr().out
    assert code == 0
    assert (asked[0].kills, asked[0].seed, asked[0].engine) == (3, 5, "local")
    assert asked[0].root.parts[-2:] == ("runs", "drill")
    assert [line.split()[:4] for line in text.splitlines() if line.startswith("worker")] == [
        ["worker", "2", "3.0", "4.0"]
    ]
    assert "left out: workers run on node17" in text
    assert "passed: 3 kills in 2 runs" in text
    assert "0 of 40 units done again; at most 480 MD steps lost, 500 a segment" in text
    assert json.loads(target.read_text())["units_repeated"] == 0


def test_a_failed_drill_ends_with_1_and_says_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = passed()
    outcome.units_repeated = ["md/0123456789abcdef"]
    drilled(monkeypatch, outcome)

    code = main(["drill"])

    text = capsys.readouterr().out
    assert code == 1
    assert "wrong  done again: unit md/0123456789abcdef" in text
    assert "FAILED: 3 kills" in text


def test_no_kill_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "--kills", "0"]) == 2
    assert "--kills: found 0, allowed: 1 or more" in capsys.readouterr().err


def test_an_engine_without_workers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text("kind: serial\n")

    assert main(["drill", "--cluster", str(cluster)]) == 2
    assert "a serial engine has no workers to kill" in capsys.readouterr().err


def test_a_folder_that_is_not_empty_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("")

    assert main(["drill", "--dir", str(tmp_path)]) == 2
    assert f"{tmp_path} is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
