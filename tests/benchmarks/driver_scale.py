"""Thousands of units that do nothing, through the whole driver: time, memory, resume.

python tests/benchmarks/run.py --only driver_scale [--units 20000]
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from measure import ROOT, Outcome, Row, local_engine

sys.path.insert(0, str(ROOT / "tests" / "support"))

from fake_runs import drive, fake_scheme, finished

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import Start, make_runner
from dasksse.engine.serial_runner import SerialRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fake_runs import FakeRun
    from measure import Options

    from dasksse.records import Outcome as UnitOutcome
    from dasksse.records import PoolState, Runner, Unit

QUICK_UNITS = 60
RESUMED = 5000
SAMPLES = 20
SCHEDULER = "dasksse.engine.scheduler"


@dataclass
class Sample:
    """Memory when so many units were done."""

    n_done: int
    driver_bytes: int
    scheduler_bytes: int


@dataclass
class Watched:
    """A runner that is looked at now and then."""

    inner: Runner
    every: int
    n_done: int = 0
    samples: list[Sample] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def describe(self) -> list[str]:
        """Lines of the inner one."""
        self.look()
        return self.inner.describe()

    def look(self) -> None:
        """Note the memory of driver and scheduler."""
        me = psutil.Process()
        schedulers = [p for p in me.children() if SCHEDULER in " ".join(p.cmdline())]
        memory = sum(process.memory_info().rss for process in schedulers)
        self.samples.append(Sample(self.n_done, me.memory_info().rss, memory))

    def free_slots(self, tag: str, kind: str = "") -> int:
        """Slots of the inner one."""
        return self.inner.free_slots(tag, kind)

    def submit(self, unit: Unit) -> None:
        """Start a unit on the inner one."""
        self.inner.submit(unit)

    def wait(self, timeout_s: float) -> list[UnitOutcome]:
        """Outcomes of the inner one."""
        outcomes = self.inner.wait(timeout_s)
        before, self.n_done = self.n_done, self.n_done + len(outcomes)
        if before // self.every != self.n_done // self.every:
            self.look()
        return outcomes

    def demand(self, waiting: Mapping[str, int]) -> None:
        """Pass on what waits."""
        self.inner.demand(waiting)

    def news(self) -> list[str]:
        """News of the inner one."""
        return self.inner.news()

    def pools(self) -> list[PoolState]:
        """Pools of the inner one."""
        return self.inner.pools()

    def close(self) -> None:
        """Look once more, then close the inner one."""
        self.look()
        self.work_s = time.perf_counter() - self.started
        self.inner.close()


def measure(options: Options) -> Outcome:
    """Drive units in this process and on Dask workers; open what is finished again."""
    n_units = QUICK_UNITS if options.is_quick else options.units
    n_resumed = QUICK_UNITS if options.is_quick else RESUMED
    rows: list[Row] = []
    options.say(f"{n_resumed} units in this process")
    serial = options.workdir / "serial"
    rows += _measure_runs("in one process", serial, n_resumed, lambda: SerialRunner(serial))
    rows += _measure_resume(serial, n_resumed, aim_s=5.0)
    shutil.rmtree(serial)
    options.say(f"{n_units} units on {options.workers} Dask workers")
    local = options.workdir / "local"
    support = str(ROOT / "tests" / "support")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [support, *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    section = RegistrySection.model_validate(local_engine(options.workers))
    name = f"on {options.workers} workers"
    rows += _measure_runs(name, local, n_units, lambda: make_runner(section, Start(local)))
    rows += _measure_resume(local, n_units)
    return Outcome(
        rows,
        notes=[
            (
                "Units of two kinds in two generations; each has its folder, lock, record and "
                "rename, and its stage does nothing. Driver time is all but waiting for "
                "outcomes. Resume is opening folder and journal and making the first plan, "
                "with Python and its packages loaded."
            ),
        ],
    )


def _measure_runs(
    name: str, run_dir: Path, n_units: int, start_runner: Callable[[], Runner]
) -> list[Row]:
    """Drive a new run; rows on time and memory."""
    watched: list[Watched] = []

    def start() -> Watched:
        watched.append(Watched(start_runner(), max(1, n_units // SAMPLES)))
        return watched[0]

    run = drive(run_dir, fake_scheme(n_units), start)
    (runner,) = watched
    rows = [
        Row(f"units per second {name}, {n_units} units", n_units / runner.work_s, "1/s"),
        Row(f"driver time per unit {name}", _driver_ms(run, n_units), "ms"),
        *_memory_rows(f"driver {name}", [(s.n_done, s.driver_bytes) for s in runner.samples]),
    ]
    if any(sample.scheduler_bytes for sample in runner.samples):
        memory = [(s.n_done, s.scheduler_bytes) for s in runner.samples]
        rows += _memory_rows("scheduler", memory)
    return rows


def _driver_ms(run: FakeRun, n_units: int) -> float:
    return 1000.0 * run.driver.times()["driver_busy_s"] / n_units


def _memory_rows(name: str, samples: list[tuple[int, int]]) -> list[Row]:
    """Memory at start, middle and end, and its growth over the second half."""
    middle = samples[len(samples) // 2]
    (_, first), (n_end, last) = samples[0], samples[-1]
    growth = (last - middle[1]) / max(1, n_end - middle[0])
    return [
        Row(f"memory of the {name}: start", first / 1e6, "MB"),
        Row(f"memory of the {name}: half-way", middle[1] / 1e6, "MB"),
        Row(f"memory of the {name}: end", last / 1e6, "MB"),
        Row(f"memory of the {name}: growth per unit, second half", growth, "bytes"),
    ]


def _measure_resume(run_dir: Path, n_units: int, aim_s: float | None = None) -> list[Row]:
    """Open a finished run again, with its journal and without it."""
    rows = []
    for what in ("", ", journal lost"):
        if what:
            (run_dir / "journal.sqlite").unlink()
        started = time.perf_counter()
        drive(run_dir, fake_scheme(n_units), _nothing_to_do)
        taken_s = time.perf_counter() - started
        rows.append(Row(f"resume of {n_units} finished units{what}", taken_s, "s", None, aim_s))
    if len(finished(run_dir)) != n_units:
        msg = "the finished run was worked on again"
        raise RuntimeError(msg)
    return rows


def _nothing_to_do() -> Runner:
    msg = "a finished run asked for an engine"
    raise RuntimeError(msg)
