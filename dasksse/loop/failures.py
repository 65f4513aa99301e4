"""What becomes of a unit that failed: tried again, given up, or the end of the run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.errors import ConfigError, FailureBudgetError, StoreError
from dasksse.loop.execute import HELD
from dasksse.store.folders import ATTEMPTS, CRASHES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dasksse.config.schema import StopSection
    from dasksse.records import Failed, Json, Unit
    from dasksse.store.folders import RunFolder

LOST_LIMIT = 20
"""Times a unit is sent out again after its worker was lost, before it is given up."""

WALLTIME_LIMIT = 50
"""Times in a row that a unit may run into the end of its worker's walltime."""

RETRY_DELAY_S = 1.0
"""Wait before the first retry [s]; the second waits twice as long, and so on."""

LONGEST_DELAY_S = 60.0

SHORT_ATTEMPT_S = 1.0
"""An attempt that the walltime ended sooner was not worth it: the next one waits [s]."""

_FINAL = frozenset({"scf", "limit"})
"""Another try ends as the first: fallbacks were tried already, and limits stay as they are."""

BUDGET_KINDS = {"label": "label", "md": "md", "production": "md", "train": "train"}
"""Budget in ``stop.failure_budget`` that a kind of unit counts against."""


@dataclass(frozen=True)
class Retry:
    """Try again.

    Attributes
    ----------
    delay_s
        Not before so long [s].
    is_news
        True when the user should hear of it.
    """

    delay_s: float
    is_news: bool = True


@dataclass(frozen=True)
class GiveUp:
    """Put the unit into quarantine, with this error."""

    error: str


class Failures:
    """Counts failures by class and decides; crashes are counted on disk too.

    Parameters
    ----------
    folder
        Run folder.
    stop
        Section of the configuration with retries and budgets.
    """

    def __init__(self, folder: RunFolder, stop: StopSection) -> None:
        self._folder = folder
        self._stop = stop
        self._lost: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._out_of_time: dict[str, int] = {}
        self._crashed: dict[str, int] = {}

    def judge(self, failed: Failed) -> Retry | GiveUp:
        """Decide by the class of a failure.

        Raises
        ------
        ConfigError
            When the unit found out that the input cannot be used.
        StoreError
            When the disk is full.
        KeyboardInterrupt
            When the user interrupted the unit.
        """
        if failed.failure_class == "input":
            raise ConfigError(failed.error)
        if failed.failure_class == "disk":
            msg = f"disk full: {failed.error}; free space, then give the same command again"
            raise StoreError(msg)
        if failed.failure_class == "interrupted":
            raise KeyboardInterrupt
        if failed.failure_class == "lost":
            return self._judge_lost(failed)
        if failed.failure_class == "walltime":
            return self._judge_out_of_time(failed)
        if failed.failure_class in _FINAL:
            return GiveUp(failed.error)
        self._out_of_time.pop(failed.unit.key, None)
        self._crashed[failed.unit.key] = crashes = self._note_crash(failed)
        if crashes > self._stop.retries:
            return GiveUp(failed.error)
        return Retry(_delay_s(crashes))

    def _judge_lost(self, failed: Failed) -> Retry | GiveUp:
        key = failed.unit.key
        if failed.error.startswith(HELD):  # it works or dies: either way, waiting is right
            self._held[key] = tries = self._held.get(key, 0) + 1
            return Retry(_delay_s(tries), is_news=tries == 1)
        self._lost[key] = losses = self._lost.get(key, 0) + 1
        if losses > LOST_LIMIT:
            return GiveUp(failed.error)
        return Retry(_delay_s(losses))

    def _judge_out_of_time(self, failed: Failed) -> Retry | GiveUp:
        key = failed.unit.key
        self._out_of_time[key] = stops = self._out_of_time.get(key, 0) + 1
        if stops >= WALLTIME_LIMIT:
            error = (
                f"stopped {stops} times in a row by the end of its worker's walltime, which is "
                f"too short for this unit: give its pool more; the last stop: {failed.error}"
            )
            return GiveUp(error)
        is_short = failed.wall_s < SHORT_ATTEMPT_S
        return Retry(_delay_s(stops) if is_short else 0.0, is_news=False)

    def _note_crash(self, failed: Failed) -> int:
        """Count a crash, on disk, so that a new driver goes on counting."""
        part = self._folder.part(failed.unit.kind, failed.unit.key)
        part.mkdir(parents=True, exist_ok=True)
        with (part / CRASHES).open("a+", encoding="utf-8") as stream:
            stream.write(f"{failed.failure_class} {time.time():.0f}\n")
            stream.seek(0)
            return len(stream.readlines())

    def count(self, key: str) -> int:
        """Attempts of a unit that failed, as far as is known."""
        counts = (self._crashed, self._lost, self._out_of_time)
        return sum(count.get(key, 0) for count in counts)

    def reason(self, failed: Failed, error: str) -> dict[str, Json]:
        """What is kept with a unit that is given up."""
        unit = failed.unit
        return {
            "kind": unit.kind,
            "key": unit.key,
            "generation": unit.generation,
            "amount": unit.amount,
            "failure_class": failed.failure_class,
            "error": error,
            "attempts": self._attempts(unit),
        }

    def _attempts(self, unit: Unit) -> int:
        path = self._folder.part(unit.kind, unit.key) / ATTEMPTS
        return len(path.read_text().splitlines()) if path.is_file() else 0


class Budget:
    """Compares what failed with what the configuration allows.

    Parameters
    ----------
    stop
        Section of the configuration.
    folder
        Run folder.
    """

    def __init__(self, stop: StopSection, folder: RunFolder) -> None:
        self._allowed = stop.failure_budget
        self._folder = folder
        self._known: dict[str, int] = {}
        self._failed: dict[str, int] = {}

    def count(self, kinds: Iterable[str], failed: Iterable[Mapping[str, Json]]) -> None:
        """Start anew from a plan.

        Parameters
        ----------
        kinds
            Kind of every unit of the plan, whatever became of it.
        failed
            Reason of every unit of the plan that was given up.

        Raises
        ------
        FailureBudgetError
            When more failed than is allowed.
        """
        self._known = {}
        self._failed = {}
        for kind in kinds:
            name = BUDGET_KINDS.get(kind)
            if name is not None:
                self._known[name] = self._known.get(name, 0) + 1
        for reason in failed:
            self.spend(reason)

    def spend(self, reason: Mapping[str, Json]) -> None:
        """Count a unit of the plan that was given up.

        Raises
        ------
        FailureBudgetError
            When more failed than is allowed.
        """
        name = BUDGET_KINDS.get(reason["kind"])
        if name is None:
            return
        self._failed[name] = failed = self._failed.get(name, 0) + 1
        allowed: float = getattr(self._allowed, name)
        known = self._known.get(name, failed)
        if failed > allowed * known:
            msg = (
                f"{failed} of {known} {name} units failed, more than "
                f"stop.failure_budget.{name} = {allowed:g} allows; the last: "
                f"{reason['error']}\nthe folders are in {self._folder.root / 'failed'}; mend "
                "the cause and release them with `dasksse retry`, or raise the budget"
            )
            raise FailureBudgetError(msg)


def _delay_s(attempts: int) -> float:
    return min(RETRY_DELAY_S * attempts, LONGEST_DELAY_S)
