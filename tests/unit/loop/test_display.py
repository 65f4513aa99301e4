from __future__ import annotations

import errno
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from dasksse.loop.display import Display
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
