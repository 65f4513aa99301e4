"""Studies on the local engine: to their end, and on from a kill without doing work twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from ase.build import bulk
from studies import write_copper
from toy_runs import ToyRun

from dasksse.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUPPORT = Path(__file__).parents[1] / "support"
LOCAL = {"kind": "local", "settings": {"workers": 1, "dashboard_port": 0}}
CUTOFFS_A = (4.0, 5.0, 6.0, 7.0)
N_POINTS = 2 * len(CUTOFFS_A)
GONE_S = 60.0


@dataclass
class StudyCommand(ToyRun):
    """A study in a process of its own; its folder is ``run_dir``."""

    words: tuple[str, ...] = ()
    orphans: list[psutil.Process] = field(default_factory=list)
    """What a killed driver had started."""

    def arguments(self, root: Path) -> list[str]:
        name, *options = self.words
        return [name, str(self.config), "--dir", str(root), *options]

    def start(self) -> StudyCommand:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dasksse.cli", *self.arguments(self.run_dir)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SUPPORT)},
            )
        return self

    def kill(self) -> list[int]:
        self.orphans += psutil.Process(self.pid).children(recursive=True)
        return super().kill()

    def stop(self) -> None:
        """End the driver, if it is still there, and what does not end by itself."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        _, left = psutil.wait_procs(self.orphans, timeout=GONE_S)
        for process in left:
            process.kill()

    def finished(self) -> dict[Path, tuple[str, int]]:
        """Record of every finished unit, and when it was written."""
        return {
            path: ((path / "result.json").read_text(), path.stat().st_mtime_ns)
            for path in self.done()
        }

    def attempts(self) -> dict[Path, int]:
        """How often each finished unit was begun."""
        return {
            path: len((path / "attempts.jsonl").read_text().splitlines())
            for path in self.done()
        }


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Callable[..., StudyCommand]]:
    """Makes a study whose processes are ended with the test."""
    made: list[StudyCommand] = []

    def make(*words: str, **changes: Any) -> StudyCommand:
        config = write_copper(tmp_path, engine=LOCAL, **changes)
        made.append(StudyCommand(tmp_path, config, words=words))
        return made[-1]

    yield make
    for command in made:
        command.stop()


def on_serial(command: StudyCommand, root: Path, file: str) -> dict[str, Any]:
    """What the same command finds without Dask and without a kill."""
    cluster = root.with_suffix(".yaml")
    cluster.write_text("kind: serial\n")
    assert main([*command.arguments(root), "--cluster", str(cluster)]) in {0, 1}
    values: dict[str, Any] = json.loads((root / file).read_text())
    return values


def errors_by_value(values: dict[str, Any]) -> dict[float, dict[str, float]]:
    (ladder,) = values["ladders"]
    return {rung["value"]: rung["errors"] for rung in ladder["rungs"]}


def test_a_convergence_test_goes_on_after_its_driver_was_killed(
    tmp_path: Path,
    study: Callable[..., StudyCommand],
) -> None:
    values = ",".join(map(str, CUTOFFS_A))
    calculator = {"factory": "studies.SlowPairs", "settings": {"rc": CUTOFFS_A[0]}}
    command = study(
        *("converge", "--vary", f"settings.rc={values}", "--stress-error-GPa", "1.0"),
        label__calculator={"kind": "python", "settings": calculator},
    )
    command.start().until(lambda: len(command.done("converge")) >= 3)
    command.kill()
    before = command.finished()

    code = command.start().wait()

    assert code == 0, command.log()[-3000:]
    after = command.finished()
    assert len(before) < len(after)
    assert {path: after[path] for path in before} == before
    assert sum(path.parent.name == "converge" for path in after) >= N_POINTS
    # one worker had one unit in its hands
    assert sum(command.attempts().values()) <= len(after) + 1
    found = json.loads((command.run_dir / "convergence.json").read_text())
    calm = on_serial(command, tmp_path / "serial", "convergence.json")
    assert errors_by_value(found).keys() == set(CUTOFFS_A)
    for value, errors in errors_by_value(found).items():
        assert errors == pytest.approx(errors_by_value(calm)[value])


def test_relaxations_go_on_after_their_driver_was_killed(
    tmp_path: Path,
    study: Callable[..., StudyCommand],
) -> None:
    for seed, name in enumerate(("one", "two")):
        crystal = bulk("Cu", a=3.7, cubic=True)
        crystal.rattle(0.2, seed=seed)
        crystal.write(tmp_path / f"{name}.cif")
    command = study(
        *("relax", "--max-force-eV-A", "0.005"),
        label__calculator={"kind": "python", "settings": {"factory": "studies.SlowEMT"}},
        systems=[{"name": name, "structure": f"{name}.cif"} for name in ("one", "two")],
        explore__schedule=[
            {"systems": ["one"], "ensemble": "nvt", "temperatures_K": [300], "lengths_ps": [1]}
        ],
    )
    command.start()
    path = command.until(lambda: command.done("relaxation") and unfinished_path(command))
    command.kill()
    before = command.finished()

    code = command.start().wait()

    assert code == 0, command.log()[-3000:]
    after = command.finished()
    assert len(after) == 4  # two structures, two relaxations
    assert {folder: after[folder] for folder in before} == before
    assert sum(command.attempts().values()) <= len(after) + 1
    whole = path[: path.rindex("4\nLattice")]  # the last one may have been cut in two
    paths = [p.read_text() for p in (command.run_dir / "relaxed").glob("*-path.extxyz")]
    assert sum(text.startswith(whole) for text in paths) == 1
    found = json.loads((command.run_dir / "lattice.json").read_text())["rows"]
    calm = on_serial(command, tmp_path / "serial", "lattice.json")["rows"]
    assert [row["system"] for row in found] == [row["system"] for row in calm] == ["one", "two"]
    for row, other in zip(found, calm, strict=True):
        assert row["converged"]
        assert row["energy_eV_atom"] == pytest.approx(other["energy_eV_atom"], abs=1e-4)


def unfinished_path(command: StudyCommand) -> str:
    """Configurations of a relaxation that is under way, once there are some."""
    for path in command.run_dir.glob("work/relaxation/*.part/relaxation.extxyz"):
        text = path.read_text()
        if text.count("Lattice") >= 3:
            return text
    return ""
