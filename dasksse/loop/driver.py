"""The driver: plans, submits what is ready, records what comes back, stops when all is done."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dasksse.errors import ConfigError, DasksseError, FailureBudgetError, StoreError
from dasksse.loop.publish import Publisher
from dasksse.loop.schemes import SCHEMES
from dasksse.loop.walk import Plan, RunState
from dasksse.records import Done, Failed
from dasksse.store.folders import ATTEMPTS, RunFolder, read_json, write_json
from dasksse.store.journal import Journal, UnitRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dasksse.config.schema import RunConfig
    from dasksse.loop.display import Display
    from dasksse.records import Json, Outcome, Runner, Unit

LOST_LIMIT = 20
"""Times a unit is sent out again after its worker was lost, before it is quarantined."""

RETRY_DELAY_S = 1.0
"""Wait before the first retry [s]; the second waits twice as long, and so on."""

ESSENTIAL = frozenset(
    {"structure", "relax", "start", "dataset", "probe", "select", "diffusion"}
)
"""Kinds without which the run cannot go on."""

BUDGET_KINDS = {"label": "label", "md": "md", "production": "md", "train": "train"}


@dataclass
class _Books:
    """What the driver keeps in memory; all of it can be read back from the run folder."""

    results: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    failed: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    decisions: dict[str, Json] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)

    def state(self) -> RunState:
        return RunState(self.results, self.failed, self.decisions)


class Driver:
    """One driver of one run folder.

    Parameters
    ----------
    config
        The run's configuration.
    digests
        Digest of each system's structure file.
    folder
        The run folder, locked by the caller.
    journal
        Its journal, in line with the folders.
    start_runner
        Starts the engine; called only when there is work.
    display
        Where the user watches.
    """

    def __init__(
        self,
        config: RunConfig,
        digests: Mapping[str, str],
        *,
        folder: RunFolder,
        journal: Journal,
        start_runner: Callable[[], Runner],
        display: Display,
    ) -> None:
        self._config = config
        self._digests = digests
        self._folder = folder
        self._journal = journal
        self._start_runner = start_runner
        self._display = display
        self._before = {
            name: float(journal.facts().get(name, 0.0)) for name in ("wall_s", "driver_busy_s")
        }
        self._books = self._read_books()
        self._publisher = Publisher(folder, config)
        self._in_flight: dict[str, Unit] = {}
        self._not_before: dict[str, float] = {}
        self._started = time.monotonic()
        self._waiting_s = 0.0
        self.n_units = 0
        """Units finished in this session."""
        self._said: set[str] = set(journal.facts().get("milestones", []))

    def _read_books(self) -> _Books:
        books = _Books()
        for row in self._journal.units():
            if row.status == "done":
                books.results[row.key] = row.result
                books.kinds[row.key] = row.kind
                self._display.note_done(row.kind, row.amount, row.wall_s)
        books.failed.update(self._folder.quarantined())
        for path in sorted((self._folder.root / "decisions").glob("*.json")):
            books.decisions[path.stem] = read_json(path)
        return books

    def times(self) -> dict[str, float]:
        """Wall time of the run, and time the driver itself was at work [s], all sessions."""
        wall_s = time.monotonic() - self._started
        busy_s = self._before["driver_busy_s"] + wall_s - self._waiting_s
        wall_s += self._before["wall_s"]
        return {
            "wall_s": wall_s,
            "driver_busy_s": busy_s,
            "driver_busy_share": busy_s / max(wall_s, 1e-9),
        }

    def run(self) -> None:
        """Work until the plan is finished.

        Raises
        ------
        ConfigError
            When a unit finds out that the input cannot be used.
        FailureBudgetError
            When more failed than the configuration allows.
        StoreError
            When the disk is full; the run can be continued.
        """
        runner: Runner | None = None
        try:
            plan = self._replan()
            while not plan.is_finished:
                if runner is None:
                    runner = self._start_runner()
                    self._display.say(runner.describe())
                self._submit(runner, plan)
                before = time.monotonic()
                outcomes = runner.wait(1.0)
                self._waiting_s += time.monotonic() - before
                for outcome in outcomes:
                    self._take(outcome, plan)
                if outcomes:
                    plan = self._replan()
                self._display.update(plan, self._in_flight, self._books.results)
        finally:
            if runner is not None:
                self._display.say("stopping workers")
                with contextlib.suppress(Exception):
                    runner.close()

    def _replan(self) -> Plan:
        """Plan anew and bring store and journal in line with it."""
        scheme = SCHEMES["dpgen"]
        plan = scheme(self._config, self._digests, self._books.state())
        for name, value in plan.decisions.items():
            write_json(self._folder.decision(name), value)
            self._books.decisions[name] = value
        lost = self._publisher.publish(plan)
        if lost:
            return self._do_again(lost)
        news = [m for m in plan.milestones if m.name not in self._said]
        for milestone in news:
            self._said.add(milestone.name)
            self._journal.event(milestone.text)
            self._display.milestone(milestone.text)
        if news or plan.is_finished:
            self._journal.set_facts({"current": sorted(plan.touched)})
        self._journal.set_facts(
            {
                "stage": "finished" if plan.is_finished else plan.stage,
                "milestones": sorted(self._said),
                "ready": [[unit.kind, unit.key, unit.amount] for unit in plan.ready],
                "updated": time.time(),
                "pid": os.getpid(),
                **self._display.facts(),
                **self.times(),
            }
        )
        return plan

    def _do_again(self, lost: list[tuple[str, str]]) -> Plan:
        """Take back finished MD units whose frames another configuration overwrote."""
        for path, key in lost:
            kind = self._books.kinds.pop(key)
            del self._books.results[key]
            self._journal.forget(kind, key)
            shutil.rmtree(self._folder.unit(kind, key))
            self._display.warn(f"{path}: frames of {kind} {key} were overwritten; done again")
        return self._replan()

    def _submit(self, runner: Runner, plan: Plan) -> None:
        for unit in plan.ready:
            if unit.key in self._in_flight or unit.key in self._books.results:
                continue
            if unit.key in self._books.failed or runner.free_slots(unit.tag) <= 0:
                continue
            if time.monotonic() < self._not_before.get(unit.key, 0.0):
                continue
            self._in_flight[unit.key] = unit
            runner.submit(unit)

    def _take(self, outcome: Outcome, plan: Plan) -> None:
        unit = outcome.unit
        self._in_flight.pop(unit.key, None)
        if isinstance(outcome, Done):
            self._record(outcome)
        else:
            self._failure(outcome, plan)

    def _record(self, done: Done) -> None:
        unit = done.unit
        self.n_units += 1
        self._books.results[unit.key] = done.value
        self._books.kinds[unit.key] = unit.kind
        row = UnitRow(
            unit.kind,
            unit.key,
            unit.generation,
            "done",
            1 + self._books.crashes.get(unit.key, 0),
            unit.amount,
            done.wall_s,
            done.cpu_s,
            dict(done.value),
        )
        self._journal.record_unit(row)
        self._display.note_done(unit.kind, unit.amount, done.wall_s)

    def _failure(self, failed: Failed, plan: Plan) -> None:
        """Try again, quarantine, or stop, by the class of the failure."""
        unit = failed.unit
        text = f"{unit.kind} {unit.key} failed ({failed.failure_class}): {failed.error}"
        self._journal.event(text)
        if failed.failure_class == "input":
            raise ConfigError(failed.error)
        if failed.failure_class == "disk":
            msg = f"disk full: {failed.error}; free space, then give the same command again"
            raise StoreError(msg)
        if failed.failure_class == "interrupted":
            raise KeyboardInterrupt
        counts = self._books.losses if failed.failure_class == "lost" else self._books.crashes
        counts[unit.key] = counts.get(unit.key, self._crashes_on_disk(unit)) + 1
        limit = LOST_LIMIT if failed.failure_class == "lost" else self._config.stop.retries
        first_line = failed.error.splitlines()[0] if failed.error else "no message"
        if counts[unit.key] <= limit:
            self._not_before[unit.key] = time.monotonic() + RETRY_DELAY_S * counts[unit.key]
            self._display.warn(f"{unit.kind} {unit.key}: {first_line}; trying again")
            self._note_crash(unit, failed)
            return
        self._quarantine(unit, failed, plan)

    def _crashes_on_disk(self, unit: Unit) -> int:
        path = self._folder.part(unit.kind, unit.key) / "crashes.log"
        return len(path.read_text().splitlines()) if path.is_file() else 0

    def _note_crash(self, unit: Unit, failed: Failed) -> None:
        part = self._folder.part(unit.kind, unit.key)
        if failed.failure_class != "lost" and part.is_dir():
            with (part / "crashes.log").open("a") as stream:
                stream.write(f"{failed.failure_class} {time.time():.0f}\n")

    def _quarantine(self, unit: Unit, failed: Failed, plan: Plan) -> None:
        reason: dict[str, Any] = {
            "kind": unit.kind,
            "key": unit.key,
            "generation": unit.generation,
            "failure_class": failed.failure_class,
            "error": failed.error,
            "attempts": self._attempts(unit),
        }
        target = self._folder.quarantine(unit.kind, unit.key, reason)
        self._books.failed[unit.key] = reason
        row = UnitRow(
            unit.kind,
            unit.key,
            unit.generation,
            "quarantined",
            0,
            unit.amount,
            0.0,
            0.0,
            reason,
        )
        self._journal.record_unit(row)
        self._display.warn(f"{unit.kind} {unit.key} is quarantined in {target}: {failed.error}")
        if unit.kind in ESSENTIAL:
            msg = f"{unit.kind} failed for good: {failed.error}\nsee {target}"
            raise DasksseError(msg)
        self._check_budget(unit.kind, plan)

    def _attempts(self, unit: Unit) -> int:
        path = self._folder.part(unit.kind, unit.key) / ATTEMPTS
        return len(path.read_text().splitlines()) if path.is_file() else 0

    def _check_budget(self, kind: str, plan: Plan) -> None:
        """Stop when a kind has failed more often than allowed."""
        name = BUDGET_KINDS.get(kind)
        if name is None:
            return
        kinds = {k for k, budget in BUDGET_KINDS.items() if budget == name}
        failed = [r for r in self._books.failed.values() if r["kind"] in kinds]
        waiting = [unit for unit in plan.ready if unit.key not in self._books.failed]
        known = len(failed) + sum(unit.kind in kinds for unit in waiting)
        known += sum(k in kinds for k in self._books.kinds.values())
        allowed: float = getattr(self._config.stop.failure_budget, name)
        if len(failed) > allowed * known:
            msg = (
                f"{len(failed)} of {known} {name} units failed, more than "
                f"stop.failure_budget.{name} = {allowed:g} allows; the last: "
                f"{failed[-1]['error']}\nthe folders are in {self._folder.root / 'failed'}"
            )
            raise FailureBudgetError(msg)
