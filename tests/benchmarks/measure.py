"""What all benchmarks share: options, clocks, rows of results, and running the program."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
QUICKSTART = CONFIGS / "lgps-quickstart.yaml"
TOY = CONFIGS / "toy.yaml"
LGPS = CONFIGS / "structures" / "Li10GeP2S12_ordered.cif"

PROGRESS_INTERVAL_S = 15.0
ZBL_A = (1.0, 1.6)
"""Inner and outer radius of the repulsion under networks that were hardly trained [Å]."""
LOOSE_LIMITS = {"min_distance_A": 0.05, "max_temperature_ratio": 1e3, "max_volume_ratio": 5.0}
"""Limits of the MD: runs must go on to their end, for time is measured and not physics."""
LOG_TAIL_CHARACTERS = 2000


class SkippedError(Exception):
    """The benchmark cannot be run here; the message says why and what would help."""


@dataclass(frozen=True)
class Options:
    """What a benchmark is told.

    Attributes
    ----------
    workdir
        Empty folder of this benchmark alone.
    workers
        Worker processes of the runs it starts, and cores they may use.
    runs
        MD runs of the benchmark ``resident``.
    is_quick
        Tiny sizes: shows that everything works; the figures mean nothing.
    run_dir
        Finished run folder that ``efficiency`` looks at.
    say
        Prints a line of progress.
    units
        Units that `driver_scale` drives.
    is_long
        Whether `msd` reads a trajectory ten times as long too.
    compare_python
        Python that has the packages `rivals` compares with.
    """

    workdir: Path
    workers: int
    runs: int
    is_quick: bool
    run_dir: Path
    say: Callable[[str], None]
    units: int = 20_000
    is_long: bool = False
    compare_python: str = sys.executable


@dataclass(frozen=True)
class Row:
    """One figure, and what it should be.

    Attributes
    ----------
    what
        What was measured.
    value
        The figure.
    unit
        Its unit; empty for a plain ratio.
    at_least, at_most
        What the project aims at, if anything.
    """

    what: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def aim(self) -> str:
        """The aim in words; empty where there is none."""
        parts = {"at least": self.at_least, "at most": self.at_most}
        return ", ".join(f"{word} {show(x)}" for word, x in parts.items() if x is not None)

    @property
    def is_met(self) -> bool:
        """True unless the figure misses its aim."""
        low = float("-inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= self.value <= high

    def to_json(self) -> dict[str, Any]:
        """JSON object; says whether the aim is met where there is one."""
        return asdict(self) | ({"is_met": self.is_met} if self.aim else {})


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found.

    Attributes
    ----------
    rows
        Figures, those with an aim first.
    breakdown
        Lines of a table that says where the time went; all with the same columns.
    notes
        Conditions that the reader must know, one sentence each.
    """

    rows: list[Row]
    breakdown: list[dict[str, float | int | str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def show(value: float | str) -> str:
    """Three digits, without an exponent where that can be read; texts as they are."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"


@dataclass
class Clock:
    """Wall and CPU time of a block [s]."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


def _cpu_seconds() -> float:
    """CPU time of this process and of the children it has waited for [s]."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


@contextmanager
def clocked(clock: Clock | None = None) -> Iterator[Clock]:
    """Add wall and CPU time of the block to a clock; children must have ended by its end."""
    clock = clock or Clock()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        yield clock
    finally:
        clock.wall_s += time.perf_counter() - wall
        clock.cpu_s += _cpu_seconds() - cpu


def write_config(preset: Path, target: Path, changes: dict[str, Any]) -> None:
    """Write a preset with some keys changed, structure files by absolute path.

    Parameters
    ----------
    preset
        YAML file to start from.
    target
        File to write.
    changes
        New values by dotted path, such as ``train.steps``; None removes the key.
    """
    values = yaml.safe_load(preset.read_text(encoding="utf-8"))
    for system in values["systems"]:
        system["structure"] = str(preset.parent / system["structure"])
    for path, value in changes.items():
        *parents, last = path.split(".")
        section = values
        for parent in parents:
            section = section[int(parent) if isinstance(section, list) else parent]
        if value is None:
            section.pop(last, None)
        else:
            section[int(last) if isinstance(section, list) else last] = value
    target.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def local_engine(workers: int) -> dict[str, Any]:
    """Engine section: workers on this machine, the dashboard on any free port."""
    return {"kind": "local", "settings": {"workers": workers, "dashboard_port": 0}}


def run_program(
    config: Path, run_dir: Path, *, say: Callable[[str], None], arguments: tuple[str, ...] = ()
) -> Clock:
    """Run ``python -m dasksse.run`` to its end as a user would.

    Parameters
    ----------
    config
        YAML file.
    run_dir
        Run folder, new or to be continued.
    say
        Told the last line of the program's log now and then.
    arguments
        Further arguments, such as ``--dry-run``.

    Raises
    ------
    RuntimeError
        When it fails; carries the end of its log.
    """
    log = run_dir.parent / f"{run_dir.name}.log"
    command = [sys.executable, "-m", "dasksse.run", str(config), "--dir", str(run_dir)]
    environment = {**os.environ, "COLUMNS": "200"}
    with clocked() as clock, log.open("ab") as stream:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=run_dir.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, log, say)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        tail = log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]
        msg = f"dasksse.run ended with {process.returncode}; {log} ends with\n{tail}"
        raise RuntimeError(msg)
    return clock


def _wait(process: subprocess.Popen[bytes], log: Path, say: Callable[[str], None]) -> None:
    """Wait for the program; repeat its last line when that has changed."""
    last = ""
    while True:
        try:
            process.wait(timeout=PROGRESS_INTERVAL_S)
        except subprocess.TimeoutExpired:
            lines = log.read_text(errors="replace").splitlines()
            if lines and lines[-1] != last:
                last = lines[-1]
                say(f"  {last.strip()}")
        else:
            return
