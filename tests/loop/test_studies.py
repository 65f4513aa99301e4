"""All studies of a small preset, killed in the middle and continued by the same command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import yaml
from toy_runs import ROOT

from dasksse.study.protocol import STUDIES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

PRESET = "huang2021-lgps-small.yaml"
PATIENCE_S = 1500.0
LEFT_OUT = {"functional", "comparison"}
SHORTER = {
    "extends": PRESET,
    "start": {"n_frames": 30, "relax": None},
    "train": {"steps": 600, "steps_warm": 100},
    "production": {"train_steps": 0},
    "probe": {"n_frames": 0},
    "stop": {"max_generations": 1},
    "engine": {"kind": "local", "settings": {"workers": 1, "dashboard_port": 0}},
}
"""The preset with less training, in one process: its point here is that all of it runs."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    shutil.copy(ROOT / "configs" / PRESET, folder)
    shutil.copytree(ROOT / "configs" / "structures", folder / "structures")
    (folder / "config.yaml").write_text(yaml.safe_dump(SHORTER))
    return folder / "config.yaml"


def start(config: Path, run: Path) -> subprocess.Popen[bytes]:
    with (run.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dasksse.cli",
                "study",
                "all",
                str(config),
                "--dir",
                str(run),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def finished(folder: Path) -> dict[str, int]:
    """When each finished unit was finished [ns]."""
    return {
        f"{path.parent.parent.name}/{path.parent.name}": path.stat().st_mtime_ns
        for path in folder.glob("work/*/*/result.json")
        if path.parent.suffix != ".part"
    }


def test_all_studies_of_the_small_preset(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(config, run)
    children: list[int] = []
    try:
        end = time.monotonic() + PATIENCE_S
        while len(finished(run / "studies")) < 12:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            assert time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.2)
        children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for pid in children:
            if psutil.pid_exists(pid):
                psutil.Process(pid).wait(timeout=30)
        learned, studied = finished(run), finished(run / "studies")

        process = start(config, run)
        assert process.wait(timeout=PATIENCE_S) == 0, (tmp_path / "log").read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

    # nothing that was finished is done again
    now = finished(run) | finished(run / "studies")
    assert {key: now[key] for key in learned | studied} == learned | studied
    report = run / "studies" / "report"
    page = (report / "index.html").read_text()
    for name, kind in STUDIES.items():
        result = report / "results" / f"{name}.json"
        if name in LEFT_OUT:
            assert not result.exists()
            assert kind.title in page.partition("Not done")[2]
            continue
        values = json.loads(result.read_text())
        assert values["verdict"]["text"]
        assert f'<section id="{name}">' in page
    accuracy = json.loads((report / "results" / "accuracy.json").read_text())
    assert accuracy["verdict"]["level"] != "trust", "labels of a toy are no DFT"
