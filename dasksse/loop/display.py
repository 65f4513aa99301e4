"""What the user sees while a run works: milestones, bars in science terms, time to go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from dasksse.report.formats import format_duration
from dasksse.store.folders import PROGRESS, RunFolder, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.loop.estimate import Estimate
    from dasksse.loop.walk import Plan
    from dasksse.records import Json, Unit

PLAIN_INTERVAL_S = 30.0
MARGIN = len("23 h 59 min")
"""Width of the column before a line's text: the longest time since the start."""
TITLES = {
    "label": "labels",
    "relax": "relaxation steps",
    "train": "training steps",
    "md": "exploration MD steps",
    "production": "production MD steps",
}


class Display:
    """Bars on a terminal, one status line now and then elsewhere.

    Parameters
    ----------
    folder
        Run folder, for the progress that units report.
    console
        Where to write.
    estimate
        Work of the whole run, for the time to go.
    slots
        Units that run at the same time.
    """

    def __init__(
        self, folder: RunFolder, console: Console, *, estimate: Estimate | None, slots: int
    ) -> None:
        self._folder = folder
        self._console = console
        self._estimate = estimate
        self._slots = max(1, slots)
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
        )
        self._tasks: dict[str, Any] = {}
        self._line = Text("")
        self._live: Live | None = None
        self._started = time.monotonic()
        self._last_plain = 0.0
        self._eta_s: float | None = None
        self._rates: dict[str, tuple[float, float]] = {}
        self._describe = ""

    def start(self) -> None:
        """Begin to show."""
        if self._console.is_terminal:
            self._live = Live(
                Group(self._line, self._bars), console=self._console, refresh_per_second=2
            )
            self._live.start()

    def stop(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if text.startswith("dashboard"):
            self._describe = text.split()[1]
        self._console.print(text, highlight=False)

    def milestone(self, text: str) -> None:
        """Print a stage that is done, with the time since the start."""
        stamp = format_duration(time.monotonic() - self._started)
        self._console.print(f"[green]{stamp:>{MARGIN}}[/green]  {text}", highlight=False)

    def warn(self, text: str) -> None:
        """Print something the user should know."""
        self._console.print(f"[yellow]{'warning':>{MARGIN}}[/yellow]  {text}", highlight=False)

    def facts(self) -> dict[str, Json]:
        """What `dasksse status` wants to know from here."""
        return {
            "eta_s": self._eta_s,
            "dashboard": self._describe,
            "elapsed_s": time.monotonic() - self._started,
        }

    def note_done(self, kind: str, amount: float, wall_s: float) -> None:
        """Learn the rate of a kind of work from a finished unit."""
        done, spent = self._rates.get(kind, (0.0, 0.0))
        self._rates[kind] = (done + amount, spent + wall_s)

    def update(
        self, plan: Plan, in_flight: Mapping[str, Unit], results: Mapping[str, Any]
    ) -> None:
        """Show the state: amounts done and known, per kind."""
        progress = {key: self._read_progress(unit) for key, unit in in_flight.items()}
        known = self._amounts(plan, results)
        for kind, (done, total) in known.items():
            running = sum(
                min(amount, in_flight[key].amount)
                for key, (amount, _) in progress.items()
                if in_flight[key].kind == kind
            )
            notes = [n for k, (_, n) in progress.items() if n and in_flight[k].kind == kind]
            self._set_bar(kind, done + running, total, notes[0] if notes else "")
        self._eta_s = self._time_to_go(known)
        self._line.plain = self._status(plan, len(in_flight))
        now = time.monotonic()
        if self._live is None and now - self._last_plain > PLAIN_INTERVAL_S:
            self._last_plain = now
            bars = [
                f"{TITLES[kind]} {task.completed:.0f}/{task.total:.0f}"
                for kind, task_id in self._tasks.items()
                for task in self._bars.tasks
                if task.id == task_id and task.completed < (task.total or 0)
            ]
            self._console.print(f"{self._line.plain}  {', '.join(bars)}", highlight=False)

    def _amounts(
        self, plan: Plan, results: Mapping[str, Any]
    ) -> dict[str, tuple[float, float]]:
        """Amounts done and known of, for kinds that are under way in this stage."""
        ready: dict[str, float] = {}
        for unit in plan.ready:
            if unit.kind in TITLES and unit.key not in results:
                ready[unit.kind] = ready.get(unit.kind, 0.0) + unit.amount
        known = {}
        for kind in TITLES:
            done = self._rates.get(kind, (0.0, 0.0))[0]
            if done or kind in ready:
                known[kind] = (done, done + ready.get(kind, 0.0))
        return known

    def _set_bar(self, kind: str, done: float, total: float, note: str) -> None:
        if kind not in self._tasks:
            self._tasks[kind] = self._bars.add_task(TITLES[kind], total=total, note="")
        self._bars.update(
            self._tasks[kind], completed=int(done), total=int(total), note=note[:40]
        )

    def _read_progress(self, unit: Unit) -> tuple[float, str]:
        path = self._folder.part(unit.kind, unit.key) / PROGRESS
        try:
            value = read_json(path)
            return float(value["done"]), str(value["note"])
        except (OSError, ValueError, KeyError):
            return 0.0, ""

    def _time_to_go(self, known: Mapping[str, tuple[float, float]]) -> float | None:
        """At most this long: the whole schedule, at the rates seen or estimated."""
        if self._estimate is None:
            return None
        seconds = 0.0
        for kind, amount in self._estimate.amounts.items():
            done = known.get(kind, (0.0, 0.0))[0]
            work, spent = self._rates.get(kind, (0.0, 0.0))
            guess = self._estimate.core_s.get(kind)
            if work > 0:
                rate = spent / work
            elif guess is not None and amount > 0:
                rate = guess / amount
            else:
                return None
            seconds += max(0.0, amount - done) * rate
        return seconds / self._slots

    def _status(self, plan: Plan, running: int) -> str:
        elapsed = format_duration(time.monotonic() - self._started)
        text = f"{elapsed}  {plan.stage}, {running} running"
        if self._eta_s is not None:
            text += f", at most {format_duration(self._eta_s)} to go"
        return text
