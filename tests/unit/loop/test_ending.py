from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import psutil

from dasksse.errors import ClusterError
from dasksse.loop.ending import Ending, run_hook, summarise
from dasksse.store.folders import RunFolder
from dasksse.store.journal import Journal, UnitRow

if TYPE_CHECKING:
    from pathlib import Path

FINISHED = Ending("finished", "finished")


def script(folder: Path, text: str) -> list[str]:
    (folder / "hook.py").write_text(text)
    return [sys.executable, "hook.py"]


def test_the_command_learns_how_the_run_ended_and_reads_the_summary(tmp_path: Path) -> None:
    words = script(
        tmp_path,
        "import os, sys; from pathlib import Path\n"
        "keys = ('DASKSSE_RUN_DIR', 'DASKSSE_STATE', 'DASKSSE_MESSAGE')\n"
        "told = [os.environ[key] for key in keys]\n"
        "Path('told').write_text('|'.join([*told, *sys.argv[1:], sys.stdin.read()]))\n",
    )
    ending = Ending.of(ClusterError("no workers can be had"))

    trouble = run_hook(
        [*words, "two words; $HOME"],
        ending,
        folder=RunFolder(tmp_path),
        summary="labels: 3\n",
        workdir=tmp_path,
    )

    assert trouble == ""
    told = (tmp_path / "told").read_text()
    assert told == f"{tmp_path}|failed|no workers can be had|two words; $HOME|labels: 3\n"


def test_no_command_means_nothing_happens(tmp_path: Path) -> None:
    arguments = {"folder": RunFolder(tmp_path), "summary": "", "workdir": tmp_path}

    assert run_hook([], FINISHED, **arguments) == ""  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_is_named_with_what_it_printed(tmp_path: Path) -> None:
    words = script(tmp_path, "raise SystemExit('the mail server is asleep')")

    trouble = run_hook(
        words, FINISHED, folder=RunFolder(tmp_path), summary="", workdir=tmp_path
    )

    assert "ended with 1: the mail server is asleep" in trouble


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    trouble = run_hook(
        ["no-such-command"], FINISHED, folder=RunFolder(tmp_path), summary="", workdir=tmp_path
    )

    assert "no command 'no-such-command'" in trouble


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    words = script(
        tmp_path,
        "import subprocess, sys, time; from pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "Path('pid').write_text(str(child.pid)); time.sleep(600)\n",
    )

    trouble = run_hook(
        words, FINISHED, folder=RunFolder(tmp_path), summary="", workdir=tmp_path, time_s=3.0
    )

    assert "longer than 3 s and was ended" in trouble
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10.0
    while _lives(pid):  # killed, but the kernel takes its time
        assert time.monotonic() < end
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_each_ending_has_its_word() -> None:
    assert Ending.of(KeyboardInterrupt()).state == "interrupted"
    assert Ending.of(ValueError()).message == "ValueError"


def test_the_summary_says_stage_labels_units_and_what_is_known_of_diffusion(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path)
    journal = Journal(folder.journal)
    rows = [
        UnitRow("label", "a", -1, "done", 1, 4.0, 1.0, 1.0, {"n_good": 3}),
        UnitRow("label", "b", -1, "quarantined", 1, 4.0, 0.0, 0.0, {"error": "x"}),
        UnitRow("train", "c", 0, "done", 1, 9.0, 1.0, 1.0, {}),
        UnitRow("diffusion", "d", -1, "done", 1, 1.0, 1.0, 1.0, {"text": "D(Li) is 1e-9"}),
    ]
    journal.write(units=rows, facts={"stage": "production", "wall_s": 65.0})

    summary = summarise(folder, journal)

    assert summary.splitlines()[1:] == [
        "stage: production",
        "labels: 3",
        "generations trained: 1",
        "units: 3 done, 1 quarantined",
        "time: 1 min 5 s",
        "D(Li) is 1e-9",
    ]
