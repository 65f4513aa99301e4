"""Workers that die with a frame: what counts against it, and what does not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dasksse.loop.stages.frame_deaths import MOST_ALONE, MOST_UNEXPLAINED, FrameDeaths

if TYPE_CHECKING:
    from pathlib import Path

DIE = """
import os, sys
from pathlib import Path
from dasksse.loop.stages.frame_deaths import FrameDeaths
with FrameDeaths(Path(sys.argv[1])).watch():
    os.kill(os.getpid(), 9)
"""
IN_A_JOB = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
"""A parent that ends after its worker, as a job program does when the job is cancelled."""


def die(file: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", DIE, str(file)], check=False)
    assert ended.returncode == -signal.SIGKILL


def edit(file: Path, **changes: Any) -> None:
    record = json.loads(file.read_text())
    record["begun"] |= changes
    file.write_text(json.dumps(record))


def test_workers_that_die_while_their_job_lives_count(tmp_path: Path) -> None:
    file = tmp_path / "deaths.json"
    for number in range(MOST_ALONE):
        deaths = FrameDeaths(file)
        assert (deaths.count, deaths.is_too_many) == (number, False)
        die(file)

    deaths = FrameDeaths(file)

    assert (deaths.count, deaths.is_too_many) == (MOST_ALONE, True)


def test_a_worker_whose_job_ended_with_it_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "deaths.json"
    command = [sys.executable, "-c", IN_A_JOB, "-c", DIE, str(file)]
    for _ in range(MOST_UNEXPLAINED + 1):
        subprocess.run(command, check=True)

    deaths = FrameDeaths(file)

    assert json.loads(file.read_text())["begun"]
    assert (deaths.count, deaths.is_too_many) == (0, False)


def test_a_process_that_got_the_number_of_the_parent_is_not_the_parent(tmp_path: Path) -> None:
    file = tmp_path / "deaths.json"
    die(file)
    edit(file, since=1.0e9)

    assert FrameDeaths(file).count == 0


def test_more_deaths_are_allowed_where_nobody_can_look(tmp_path: Path) -> None:
    file = tmp_path / "deaths.json"
    for number in range(MOST_UNEXPLAINED):
        deaths = FrameDeaths(file)
        assert (deaths.count, deaths.is_too_many) == (number, False)
        die(file)
        edit(file, host="another-node")

    assert FrameDeaths(file).is_too_many


@pytest.mark.parametrize("error", [None, RuntimeError("no SCF"), KeyboardInterrupt()])
def test_an_attempt_that_ended_in_any_way_but_death_does_not_count(
    tmp_path: Path, error: BaseException | None
) -> None:
    file = tmp_path / "deaths.json"
    die(file)
    for _ in range(2):
        try:
            with FrameDeaths(file).watch():
                if error is not None:
                    raise error
        except (RuntimeError, KeyboardInterrupt):
            pass

    assert FrameDeaths(file).count == 1
    assert list(tmp_path.iterdir()) == [file]
