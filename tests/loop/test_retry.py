"""A unit that fails for good, is released, and joins the run without any work done twice."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fake_runs import drive
from toy_runs import make_run

from dasksse.config.load import load_config
from dasksse.engine.serial_runner import SerialRunner
from dasksse.loop.books import read_books
from dasksse.loop.prepare import digests_in
from dasksse.loop.schemes import plan_dpgen
from dasksse.store.folders import RunFolder
from dasksse.store.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from toy_runs import ToyRun

    from dasksse.loop.walk import Plan
    from dasksse.records import Unit

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

CHANGES = {
    "engine": {"kind": "serial"},
    "stop__retries": 0,
    "stop__max_generations": 1,
    "stop__failure_budget": {"label": 1.0},
    "probe__n_frames": 0,
    "production": None,
}


def until_labels(*arguments: Any) -> Plan:
    """The plan of a run that ends before its first label."""
    plan = plan_dpgen(*arguments)
    plan.is_finished = any(unit.kind == "label" for unit in plan.ready)
    return plan


def first_label(run: ToyRun) -> Unit:
    """Do what comes before the labels; the first of them."""
    drive(run.run_dir, until_labels, lambda: SerialRunner(run.run_dir), config=run.config)
    folder = RunFolder(run.run_dir)
    config = load_config(run.config).config
    journal, _ = open_journal(folder)
    books = read_books(folder, journal.units())
    journal.close()
    ready = plan_dpgen(config, digests_in(folder, config), books.state).ready
    return next(unit for unit in ready if unit.kind == "label")


def test_a_released_label_joins_the_next_generation_and_nothing_is_done_twice(
    toy: Callable[..., ToyRun],
) -> None:
    hook = [sys.executable, "-c", "import os, sys; print(os.environ['DASKSSE_STATE'])"]
    run = toy(**CHANGES, on_end=hook)
    lost = first_label(run)
    folder = RunFolder(run.run_dir)
    obstacle = folder.part("label", lost.key) / "labels.npz"
    obstacle.mkdir(parents=True)  # where the stage wants to write its file

    run.finish()

    assert list(folder.quarantined()) == [lost.key]
    assert "Is a directory" in run.log()
    before = run.done()
    retried = subprocess.run(
        [sys.executable, "-m", "dasksse.cli", "retry", str(run.run_dir), "--failed", "label"],
        capture_output=True,
        text=True,
        check=True,
    )
    obstacle.rmdir()
    make_run(run.folder, **CHANGES | {"stop__max_generations": 2}, on_end=hook)
    run.finish()

    assert lost.key in retried.stdout
    assert f"--dir {run.run_dir}" in retried.stdout
    after = run.done()
    assert {unit: after[unit] for unit in before} == before
    assert folder.unit("label", lost.key) in after
    members = {
        path.name[: len("membership-000")]: lost.key in json.loads(path.read_text())
        for path in folder.decisions.glob("membership-*.json")
    }
    assert members == {
        "membership-000": False,
        "membership-001": False,
        "membership-002": True,
    }
    assert (run.run_dir / "on_end.log").read_text().split() == ["finished"] * 2
    log = folder.log.read_text()
    for text in ("start: dasksse", "is quarantined in", "was released", "stop: finished"):
        assert text in log
