"""The drill itself, short, on workers of this machine: real deaths of a real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from drill_screen import PrintingScreen

from dasksse.drill import Drill, DrillSettings
from dasksse.drill.strays import processes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

PATIENCE_S = 60.0
KINDS = ("worker", "engine", "scheduler", "driver", "node", "disk", "hang", "job")


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_a_run_in_which_everything_dies_once_is_equal_to_a_calm_one(tmp_path: Path) -> None:
    settings = DrillSettings(
        tmp_path / "drill", kills=len(KINDS), seed=1, kinds=KINDS, generations=1
    )

    outcome = Drill(settings, PrintingScreen()).run()

    values = json.loads(json.dumps(outcome.to_json()))
    assert values["wrong"] == []
    assert values["kills_by_kind"] == dict.fromkeys(KINDS, 1)
    assert values["units_repeated"] == 0
    assert values["units_total"] >= 20
    assert 0 <= values["md_steps_lost_max"] <= values["segment_steps"]
    assert values["equal_to_calm"] is True
    assert values["restarts"] >= 2
    assert all(times["n"] == 1 for times in values["recover_s_by_kind"].values())


def test_a_drill_that_is_killed_itself_leaves_no_process_behind(tmp_path: Path) -> None:
    root = tmp_path / "drill"
    words = [sys.executable, "-m", "dasksse.cli", "drill", "--dir", str(root)]
    drill = subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until(lambda: list((root / "calm" / "work").glob("structure/*/result.json")))
        started = [process.pid for process in processes_of(root / "calm")]
    finally:
        drill.kill()
        drill.wait()

    until(lambda: not processes_of(root / "calm"))
    assert len(started) >= 4  # driver, scheduler, job, worker
    assert not any(_lives(pid) for pid in started)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
