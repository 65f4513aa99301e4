"""Runs of units that do nothing, through the whole driver: for its scale and its laws."""

from __future__ import annotations

import time
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dasksse.config.load import load_config
from dasksse.engine.serial_runner import SerialRunner
from dasksse.loop.display import Display
from dasksse.loop.driver import Driver
from dasksse.loop.prepare import digests_in, open_run_folder
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk
from dasksse.records import Unit, content_key
from dasksse.store.folders import RunFolder, driver_lock
from dasksse.store.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dasksse.config.schema import RunConfig
    from dasksse.loop.schemes import Scheme
    from dasksse.records import Json, Outcome, Runner, UnitContext

TOY = Path(__file__).parents[2] / "configs" / "toy.yaml"
STAGES = {"label": "LABEL", "md": "MD"}
"""Kinds of the fake units and what they ask of a worker."""


def echo(payload: Any, context: UnitContext) -> dict[str, Any]:
    """The stage: as little as a unit can do."""
    return {"n": payload["number"], "n_good": 1, "generation": payload["generation"]}


def fake_scheme(
    n_units: int, *, n_generations: int = 2, function: str = "fake_runs:echo"
) -> Scheme:
    """Units of two kinds in turn; a generation needs all of the last one to be settled."""
    size = -(-n_units // n_generations)

    def plan(config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
        walk = Walk(state)
        last = "start"
        try:
            for generation in range(n_generations):
                count = min(size, n_units - generation * size)
                units = [fake_unit(n, generation, last, function) for n in range(count)]
                walk.need(units, f"generation {generation}")
                walk.milestone(f"generation-{generation}", f"{count} units are settled")
                last = units[-1].key
        except WaitingError:
            return walk.plan
        walk.plan.is_finished = True
        return walk.plan

    return plan


def fake_unit(number: int, generation: int, last: str, function: str) -> Unit:
    kind = list(STAGES)[number % len(STAGES)]
    payload: dict[str, Json] = {"number": number, "generation": generation, "last": last}
    key = content_key(kind, payload)
    return Unit(kind, key, STAGES[kind], function, payload, generation, 1.0, "pieces")


@dataclass
class FakeRun:
    """One session of a driver on a run folder, and what it took."""

    driver: Driver
    open_s: float
    screen: StringIO


def drive(
    run_dir: Path,
    scheme: Scheme,
    start_runner: Callable[[], Runner],
    *,
    config: Path = TOY,
) -> FakeRun:
    """Open a run folder as the command line does and work until the plan is finished."""
    started = time.perf_counter()
    loaded = load_config(config)
    folder, _ = open_run_folder(loaded, run_dir)
    screen = StringIO()
    with driver_lock(folder):
        journal, _ = open_journal(folder)
        display = Display(folder, Console(file=screen, width=200), estimate=None, slots=2)
        driver = Driver(
            loaded.config,
            digests_in(folder, loaded.config),
            folder=folder,
            journal=journal,
            start_runner=start_runner,
            display=display,
            scheme=scheme,
        )
        run = FakeRun(driver, time.perf_counter() - started, screen)
        try:
            driver.run()
        finally:
            journal.close()
    return run


def finished(run_dir: Path) -> dict[tuple[str, str], float]:
    """Finished units and when their folders were committed."""
    folder = RunFolder(run_dir)
    return {unit: folder.unit(*unit).stat().st_mtime for unit in folder.done_units()}


class InProcess(SerialRunner):
    """Several slots in this process; a test may put in outcomes of its own.

    Parameters
    ----------
    run_dir
        Run folder.
    slots
        Units that may be in flight.
    answer
        Outcome of a unit instead of the one of its stage; None lets the stage run.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        slots: int = 1,
        answer: Callable[[Unit], Outcome | None] = lambda _: None,
    ) -> None:
        super().__init__(run_dir)
        self._slots = slots
        self._answer = answer
        self.submitted: list[Unit] = []
        self.demands: list[dict[str, int]] = []

    def free_slots(self, tag: str, kind: str = "") -> int:
        return self._slots - len(self._queue)

    def submit(self, unit: Unit) -> None:
        self.submitted.append(unit)
        super().submit(unit)

    def demand(self, waiting: Mapping[str, int]) -> None:
        self.demands.append(dict(waiting))

    def wait(self, timeout_s: float) -> list[Outcome]:
        if self._queue and (outcome := self._answer(self._queue[0])) is not None:
            self._queue.popleft()
            return [outcome]
        return super().wait(timeout_s)
