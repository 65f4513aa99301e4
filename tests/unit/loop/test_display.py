from __future__ import annotations

import errno
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from dasksse.loop.display import Display
from dasksse.loop.estimate import Estimate
from dasksse.records import Unit
from dasksse.store.folders import PROGRESS, RunFolder, write_json

if TYPE_CHECKING:
    from pathlib import Path


class GoneTerminal(StringIO):
    """What standard output is when its terminal was closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def make(run_dir: Path, screen: StringIO) -> Display:
    console = Console(file=screen, width=200)
    return Display(RunFolder(run_dir), console, estimate=None, slots=1)


def test_a_terminal_that_is_gone_does_not_end_the_run(tmp_path: Path) -> None:
    display = make(tmp_path, GoneTerminal())
    display.start()

    display.say("pool gpu: job 7 was cancelled")
    display.warn("md abc is quarantined")
    display.milestone("generation 0: trained")
    display.update("labels", {}, {"label": {"units": 1, "amount": 4.0}})
    display.stop()


def test_what_engines_say_is_printed_as_it_is(tmp_path: Path) -> None:
    screen = StringIO()

    make(tmp_path, screen).warn("LAMMPS: [/home/me] and [red] are no colours")

    assert "LAMMPS: [/home/me] and [red] are no colours" in screen.getvalue()


def test_amounts_count_what_is_done_runs_and_is_open(tmp_path: Path) -> None:
    screen = StringIO()
    display = make(tmp_path, screen)
    unit = Unit("md", "a" * 16, "MD", "x:y", {}, 0, 500.0)
    part = RunFolder(tmp_path).part("md", unit.key)
    part.mkdir(parents=True)
    write_json(part / PROGRESS, {"done": 120.0, "note": ""})
    display.note_done("md", 500.0, 10.0)

    display.update("exploration", {unit.key: unit}, {"md": {"units": 2, "amount": 1000.0}})

    assert "exploration, 1 running" in screen.getvalue()
    assert "exploration MD steps 620/1500" in screen.getvalue()


class Training:
    """A training of 1000 steps as the display sees it, with a clock that is set by hand."""

    def __init__(self, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        estimate = Estimate()
        estimate.add("train", 2, 2000.0, 20.0)
        console = Console(file=StringIO(), width=200)
        self.display = Display(RunFolder(run_dir), console, estimate=estimate, slots=1)
        self.unit = Unit("train", "a" * 16, "TRAIN", "x:y", {}, 0, 1000.0)
        self.progress = RunFolder(run_dir).part("train", self.unit.key) / PROGRESS
        self.progress.parent.mkdir(parents=True)

    def eta_s(self, *, done: float, after_s: float) -> float:
        self.now += after_s
        write_json(self.progress, {"done": done, "note": ""})
        still_open = {"train": {"units": 2, "amount": 2000.0}}
        self.display.update("training", {self.unit.key: self.unit}, still_open)
        eta = self.display.facts()["eta_s"]
        assert isinstance(eta, float)
        return eta


def test_the_time_to_go_follows_the_unit_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(tmp_path, monkeypatch)

    assert training.eta_s(done=0.0, after_s=0.0) == pytest.approx(20.0)  # the estimate
    assert training.eta_s(done=100.0, after_s=50.0) == pytest.approx(1900 * 0.5)
    assert training.eta_s(done=500.0, after_s=50.0) == pytest.approx(1500 * 0.2)


def test_what_was_done_before_an_interruption_tells_no_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(tmp_path, monkeypatch)

    assert training.eta_s(done=800.0, after_s=0.0) == pytest.approx(1200 * 0.01)
    assert training.eta_s(done=900.0, after_s=100.0) == pytest.approx(1100 * 1.0)


def test_without_an_estimate_the_time_of_what_is_planned_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    screen = StringIO()
    display = make(tmp_path, screen)
    unit = Unit("production", "a" * 16, "MD", "x:y", {}, -1, 1000.0)
    progress = RunFolder(tmp_path).part("production", unit.key) / PROGRESS
    progress.parent.mkdir(parents=True)
    write_json(progress, {"done": 0, "note": ""})
    still_open = {"production": {"units": 2, "amount": 3000.0}}
    display.update("cell-size", {unit.key: unit}, still_open)

    now += 100.0
    write_json(progress, {"done": 500, "note": ""})
    display.update("cell-size", {unit.key: unit}, still_open)

    first, last = screen.getvalue().splitlines()
    assert "planned" not in first
    assert "about 8 min 20 s for what is planned so far" in last
