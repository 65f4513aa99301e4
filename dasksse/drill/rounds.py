"""One disturbed run: deaths at random moments until it is finished all the same."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psutil

from dasksse.drill.kinds import KINDS
from dasksse.drill.ledger import Ledger
from dasksse.drill.scene import attempts_of, look_at
from dasksse.drill.strays import END_S, end_strays
from dasksse.report.formats import format_duration
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.drill.kinds import Strike
    from dasksse.drill.outcome import Outcome
    from dasksse.drill.scene import Running
    from dasksse.drill.schedule import Schedule
    from dasksse.drill.session import Session

LOOK_S = 0.1
VICTIM_PATIENCE_S = 10.0
"""A kind of death without a victim for so long [s] gives way to another one."""
MOST_ATTEMPTS = 3
"""A unit in its last of so many attempts is spared, so that deaths spread over the run."""
RELIEF_S = 30.0
"""A full disk that the driver has not stopped for so long [s] has room again."""
STALL_S = 900.0
"""A run in which nothing is finished or begun for so long [s] is given up."""
USELESS_STARTS = 3
"""Starts in a row that end without any progress before a run is given up."""
DISK_MESSAGE = "disk full"
"""What the driver says, in whatever case, when nothing can be written any more."""


class GaveUp(Exception):  # noqa: N818 - a result of the drill: the run does not go on
    """The disturbed run does not go on."""


class Screen(Protocol):
    """Where the user watches."""

    def say(self, text: str) -> None:
        """Tell what has happened."""

    def show(self, text: str) -> None:
        """Show what is going on, until something else is."""


@dataclass(frozen=True)
class CalmUnits:
    """What is known from the calm run.

    Attributes
    ----------
    generations
        Generation of every unit, by key.
    longest_s
        How long the longest unit took [s]: the longest wait between two deaths, so that all
        its phases are hit.
    """

    generations: Mapping[str, int]
    longest_s: float

    def place_of(self, unit: Running) -> str:
        """Where a unit stands in the run, for the user."""
        generation = self.generations.get(unit.key, -1)
        return unit.kind if generation < 0 else f"{unit.kind} of generation {generation}"


class Round:
    """A run, its deaths, and what is learned from them.

    Parameters
    ----------
    session
        Starts and continues the run.
    schedule
        Deaths that are left; those that happen are struck off.
    outcome
        Where the numbers go.
    calm
        What is known from the calm run.
    is_local
        True when jobs die with the driver.
    screen
        Where the user watches.
    """

    def __init__(
        self,
        session: Session,
        schedule: Schedule,
        outcome: Outcome,
        *,
        calm: CalmUnits,
        is_local: bool,
        screen: Screen,
    ) -> None:
        self._session = session
        self._folder = RunFolder(session.run_dir)
        self._schedule = schedule
        self._outcome = outcome
        self._calm = calm
        self._is_local = is_local
        self._screen = screen
        self._ledger = Ledger(self._folder)
        self._stopped_by = ""
        self._useless_starts = 0
        self._progress: tuple[int, ...] = ()
        self._progress_at = time.monotonic()
        self.happened: list[str] = []
        """Kinds of the deaths of this run, in order."""

    def run(self) -> None:
        """Start the run, disturb it, and see it to its end.

        Raises
        ------
        GaveUp
            When it does not go on.
        """
        self._session.start()
        try:
            while self._next_death():
                pass
            while self._goes_on():
                self._screen.show(f"{self._ledger.n_units} units done; no more kills")
                self._look()
        finally:
            self._ledger.look()
            self._session.stop()
            self._note()

    def _note(self) -> None:
        outcome, ledger = self._outcome, self._ledger
        outcome.units_total += ledger.n_units
        outcome.units_repeated += ledger.units_repeated
        outcome.segments_repeated += ledger.segments_repeated
        outcome.md_steps_lost_max = max(outcome.md_steps_lost_max, ledger.most_steps_lost)
        failed = self._folder.quarantined()
        outcome.troubles += [
            f"{reason['kind']} {key} was given up: {reason['error']}"
            for key, reason in failed.items()
        ]

    def _look(self) -> None:
        """Keep the ledger up to date for a moment.

        Raises
        ------
        GaveUp
            When there was no progress for too long.
        """
        self._ledger.look()
        units = self._folder.work.glob("*/*/attempts.jsonl")
        progress = (self._ledger.n_units, self._ledger.n_segments, sum(1 for _ in units))
        now = time.monotonic()
        if progress != self._progress:
            self._progress, self._progress_at = progress, now
            self._useless_starts = 0
        elif now - self._progress_at > STALL_S:
            text = f"no progress for {format_duration(STALL_S)}"
            raise GaveUp(f"{text}; end of the log:\n{self._session.last_words()}")
        time.sleep(LOOK_S)

    def _goes_on(self) -> bool:
        """True while the run is not finished; a driver that has ended is started again.

        Raises
        ------
        GaveUp
            When the driver ends again and again.
        """
        code = self._session.code()
        if code is None:
            return True
        if code == 0:
            return False
        self._judge_stop(code)
        self._useless_starts += 1
        if self._useless_starts > USELESS_STARTS:
            text = f"{USELESS_STARTS} starts in a row came to nothing"
            raise GaveUp(f"{text}; end of the log:\n{self._session.last_words()}")
        self._session.start()
        self._outcome.restarts += 1
        return True

    def _judge_stop(self, code: int) -> None:
        """Note a stop of the driver that should not have been, or with a wrong message."""
        cause, self._stopped_by = self._stopped_by, ""
        is_right = cause == "driver" or (
            cause == "disk" and DISK_MESSAGE in self._session.said().lower()
        )
        if not is_right:
            words = self._session.last_words()
            after = f" after the death of kind {self.happened[-1]}" if self.happened else ""
            text = f"the driver ended by itself with {code}{after}; end of its log:\n{words}"
            self._outcome.troubles.append(text)

    def _next_death(self) -> bool:
        """Wait, kill, see the run recover; False when it is finished or no death is left."""
        if not self._schedule.left:
            return False
        end = time.monotonic() + self._schedule.wait_s(self._calm.longest_s)
        number = self._outcome.kills + 1
        while (left_s := end - time.monotonic()) > 0:
            if not self._goes_on():
                return False
            self._screen.show(
                f"{self._ledger.n_units} units done; kill {number} in {left_s:.0f} s"
            )
            self._look()
        self._screen.show(f"{self._ledger.n_units} units done; kill {number}")
        found = self._find_victim()
        if found is None:
            return False
        kind, strike = found
        try:
            strike.deal()
        except psutil.NoSuchProcess:
            return True  # it has just ended by itself
        self._recover(kind, strike)
        return True

    def _find_victim(self) -> tuple[str, Strike] | None:
        """The next kind of death that can happen; None when the run is finished."""
        started = time.monotonic()
        while self._goes_on():
            kinds = self._schedule.left
            is_patient = time.monotonic() - started < VICTIM_PATIENCE_S
            for kind in dict.fromkeys(kinds[:1] if is_patient else kinds):
                try:
                    scene = look_at(self._session.run_dir, self._session.pid)
                    strike = KINDS[kind].find(scene, self._schedule.rng)
                except psutil.Error:  # somebody has just ended
                    continue
                if strike is not None and all(
                    unit.attempts < MOST_ATTEMPTS for unit in strike.units
                ):
                    return kind, strike
            self._look()
        return None

    def _recover(self, kind: str, strike: Strike) -> None:
        """Wait until all interrupted units have been begun again; note how long it took."""
        struck = time.monotonic()
        self._schedule.done(kind)
        self.happened.append(kind)
        self._stopped_by = kind if KINDS[kind].stops_driver else ""
        if kind == "driver":
            self._session.wait()
            if self._is_local:
                self._outcome.orphans += end_strays(self._session.run_dir, patience_s=END_S)
        is_relieved = False
        while not all(self._is_back(unit) for unit in strike.units) and self._goes_on():
            if not is_relieved and time.monotonic() - struck > RELIEF_S:
                strike.relieve()
                is_relieved = True
            self._look()
        took_s = time.monotonic() - struck
        strike.relieve()
        self._outcome.recover_s.setdefault(kind, []).append(took_s)
        self._screen.say(self._describe(kind, strike, took_s))

    def _is_back(self, unit: Running) -> bool:
        is_done = self._folder.unit(unit.kind, unit.key).is_dir()
        is_given_up = self._folder.failed(unit.key).is_dir()
        attempts = attempts_of(self._folder, unit.kind, unit.key)
        return is_done or is_given_up or attempts > unit.attempts

    def _describe(self, kind: str, strike: Strike, took_s: float) -> str:
        places = sorted({self._calm.place_of(unit) for unit in strike.units})
        done = self._outcome.kills
        total = done + len(self._schedule.left)
        return f"kill {done:>3}/{total}  {kind} at {', '.join(places)}: back in {took_s:.1f} s"
