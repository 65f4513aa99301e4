"""The driver: plans, submits what is ready, records what comes back, stops when all is done."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from dasksse.errors import DasksseError, StoreError
from dasksse.loop.agenda import Agenda
from dasksse.loop.books import read_books
from dasksse.loop.failures import Budget, Failures, GiveUp
from dasksse.loop.herald import Herald
from dasksse.loop.logbook import Logbook
from dasksse.loop.pace import Pace
from dasksse.loop.publish import Publisher
from dasksse.loop.schemes import SCHEMES
from dasksse.loop.walk import Plan
from dasksse.records import Done, Failed
from dasksse.store.folders import write_json
from dasksse.store.journal import UnitRow, quarantine_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dasksse.config.schema import RunConfig
    from dasksse.loop.display import Display
    from dasksse.loop.schemes import Scheme
    from dasksse.records import Outcome, PoolState, Runner
    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal

CYCLE_S = 1.0
"""Longest wait for outcomes [s]."""

NAP_S = 0.05
"""Sleep when a runner returns at once and nothing runs [s]."""

PLANNING_SHARE = 0.05
"""Share of the time that planning may take while there is work to hand out."""

PLANNING_SHARE_SHORT = 0.5
"""The same when fewer units wait than run: workers may soon have nothing to do."""


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
    scheme
        What to do, in which order.
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
        scheme: Scheme = SCHEMES["dpgen"],
    ) -> None:
        self._config = config
        self._digests = digests
        self._folder = folder
        self._start_runner = start_runner
        self._display = display
        self._scheme = scheme
        facts, rows = journal.facts(), journal.units()
        for row in rows:
            if row.status == "done":
                display.note_done(row.kind, row.amount, row.wall_s)
        self._books = read_books(folder, rows)
        self._logbook = Logbook(folder, journal)
        self._herald = Herald(display, self._logbook, facts.get("milestones", []))
        self._publisher = Publisher(folder, config)
        self._failures = Failures(folder, config.stop)
        self._budget = Budget(config.stop, folder)
        self._agenda = Agenda()
        self._plan = Plan()
        self._planning = Pace(share=PLANNING_SHARE)
        self._is_outdated = True
        self._before = {n: float(facts.get(n, 0.0)) for n in ("wall_s", "driver_busy_s")}
        self._started = time.monotonic()
        self._waiting_s = 0.0
        self.n_units = 0
        """Units finished in this session."""

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
        ClusterError
            When no worker can be had any more.
        StoreError
            When the disk is full; the run can be continued.
        DasksseError
            When a unit that the run cannot do without failed for good.
        """
        runner: Runner | None = None
        try:
            self._make_plan()
            while not self._plan.is_finished:
                self._check_progress()
                if runner is None:
                    runner = self._start()
                self._cycle(runner)
        finally:
            if runner is not None:
                self._stop(runner)
            self._note_facts([])
            with contextlib.suppress(StoreError):  # the folders hold all that matters
                self._logbook.flush()

    def _start(self) -> Runner:
        runner = self._start_runner()
        for line in runner.describe():
            self._herald.say(line)
        return runner

    def _stop(self, runner: Runner) -> None:
        """Say what is left to say, end the engine; its troubles hide no other error."""
        with contextlib.suppress(Exception):
            self._say_news(runner)
        self._display.say("stopping workers")
        with contextlib.suppress(Exception):
            runner.close()

    def _say_news(self, runner: Runner) -> None:
        for text in runner.news():
            self._herald.say(text)

    def _check_progress(self) -> None:
        """Refuse to wait for nothing.

        Raises
        ------
        DasksseError
            When nothing runs, nothing is ready, and the run is not finished.
        """
        if self._agenda.is_empty and not self._is_outdated:
            msg = self._plan.blocked or (
                f"nothing is left to do in stage {self._plan.stage!r}, but the run is not "
                "finished; this is a mistake in dasksse, please report it"
            )
            raise DasksseError(msg)

    def _cycle(self, runner: Runner) -> None:
        """Hand out work, take in what has ended, tell the user."""
        for unit in self._agenda.take(lambda u: runner.free_slots(u.tag, u.kind) > 0):
            runner.submit(unit)
        runner.demand(self._agenda.waiting())
        outcomes = self._wait(runner)
        for outcome in sorted(outcomes, key=lambda o: isinstance(o, Failed)):
            self._take(outcome)
        self._say_news(runner)
        if self._is_outdated and self._plan_in_s() <= 0.0:
            self._make_plan()
        self._display.update(self._plan.stage, self._agenda.in_flight, self._agenda.open)
        if self._logbook.is_due:
            self._note_facts(runner.pools())
            self._logbook.flush()

    def _wait(self, runner: Runner) -> list[Outcome]:
        """Outcomes; waits no longer than until something else is to be done."""
        timeout_s = min(CYCLE_S, self._agenda.next_due_s())
        if self._is_outdated:
            timeout_s = min(timeout_s, self._plan_in_s())
        before = time.monotonic()
        outcomes = runner.wait(timeout_s)
        rest_s = timeout_s - (time.monotonic() - before)
        if not outcomes and not self._agenda.in_flight and rest_s > 0.0:
            time.sleep(min(rest_s, NAP_S))
        self._waiting_s += time.monotonic() - before
        return outcomes

    def _plan_in_s(self) -> float:
        """Time until a new plan may be made [s]."""
        share = PLANNING_SHARE_SHORT if self._agenda.is_short else PLANNING_SHARE
        return self._planning.due_in_s(share)

    def _make_plan(self) -> None:
        """Plan anew and bring store and journal in line with it."""
        with self._planning:
            is_in_line = False
            while not is_in_line:
                plan = self._scheme(self._config, self._digests, self._books.state)
                self._check_budget(plan)
                for name, value in plan.decisions.items():
                    write_json(self._folder.decision(name), value)
                    self._books.decisions[name] = value
                lost = self._publisher.publish(plan)
                self._take_back(lost)
                is_in_line = not lost
            self._agenda.refill(plan.ready)
            if plan.blocked and plan.blocked != self._plan.blocked:
                self._herald.warn(plan.blocked)
            self._plan = plan
            self._is_outdated = False
        if self._herald.milestones(plan):
            self._logbook.flush()

    def _check_budget(self, plan: Plan) -> None:
        kinds = [unit.kind for unit in plan.ready]
        kinds += [self._books.kind_of(key) for key in plan.touched]
        failed = self._books.failed
        self._budget.count(kinds, [failed[key] for key in plan.touched & failed.keys()])

    def _take_back(self, lost: list[tuple[str, str]]) -> None:
        """Do finished MD units again whose frames another configuration overwrote."""
        for path, key in lost:
            kind = self._books.kinds.pop(key)
            del self._books.results[key]
            self._logbook.forget(kind, key)
            shutil.rmtree(self._folder.unit(kind, key))
            self._herald.warn(f"{path}: frames of {kind} {key} were overwritten; done again")

    def _note_facts(self, pools: list[PoolState]) -> None:
        facts = {
            "ready": {kind: e for kind, e in self._agenda.open.items() if e["units"]},
            "pools": [asdict(pool) for pool in pools],
            **self.times(),
        }
        self._herald.note(self._plan, facts)

    def _take(self, outcome: Outcome) -> None:
        if not self._agenda.land(outcome.unit):
            return  # a second copy: the first one's outcome counts
        if isinstance(outcome, Done):
            self._record(outcome)
        else:
            self._fail(outcome)

    def _record(self, done: Done) -> None:
        unit = done.unit
        self.n_units += 1
        self._is_outdated = True
        self._agenda.settle(unit)
        self._books.results[unit.key] = done.value
        self._books.kinds[unit.key] = unit.kind
        self._display.note_done(unit.kind, unit.amount, done.wall_s)
        row = UnitRow(
            unit.kind,
            unit.key,
            unit.generation,
            "done",
            self._failures.count(unit.key) + 1,
            unit.amount,
            done.wall_s,
            done.cpu_s,
            dict(done.value),
            time.time(),
        )
        self._logbook.unit(row)

    def _fail(self, failed: Failed) -> None:
        """Try again, give up the unit, or stop, by the class of the failure."""
        unit = failed.unit
        self._logbook.event(
            f"{unit.kind} {unit.key} failed ({failed.failure_class}): {failed.error}"
        )
        verdict = self._failures.judge(failed)
        if isinstance(verdict, GiveUp):
            self._quarantine(failed, verdict.error)
            return
        self._agenda.put_back(unit, verdict.delay_s)
        if verdict.is_news:
            first_line = failed.error.splitlines()[0] if failed.error else "no message"
            self._display.warn(f"{unit.kind} {unit.key}: {first_line}; trying again")

    def _quarantine(self, failed: Failed, error: str) -> None:
        unit = failed.unit
        reason = self._failures.reason(failed, error)
        target = self._folder.quarantine(unit.kind, unit.key, reason)
        self._is_outdated = True
        self._agenda.settle(unit)
        self._books.failed[unit.key] = reason
        self._logbook.unit(quarantine_row(reason))
        self._herald.warn(f"{unit.kind} {unit.key} is quarantined in {target}: {error}")
        self._budget.spend(reason)
