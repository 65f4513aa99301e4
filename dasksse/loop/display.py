"""What the user sees while a run works: milestones, bars in science terms, time to go."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from dasksse.loop.pace import Pace
from dasksse.report.formats import format_duration
from dasksse.store.folders import PROGRESS, RunFolder, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.loop.estimate import Estimate
    from dasksse.records import Json, Unit

PLAIN_INTERVAL_S = 30.0
UPDATE_INTERVAL_S = 0.5
UPDATE_SHARE = 0.02
"""Share of the driver's time for reading the progress of units, at most."""

MARGIN = len("23 h 59 min")
"""Width of the column before a line's text: the longest time since the start."""
TITLES = {
    "label": "labels",
    "relax": "relaxation steps",
    "converge": "single points",
    "relaxation": "relaxation steps",
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
        Work of the whole run, for the time to go; None where it is not known beforehand, and
        the time of the units that are planned so far is shown.
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
        self._pace = Pace(share=UPDATE_SHARE, least_s=UPDATE_INTERVAL_S)
        self._eta_s: float | None = None
        self._planned_s: float | None = None
        self._rates: dict[str, tuple[float, float]] = {}
        self._first_seen: dict[str, tuple[float, float]] = {}
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
            with contextlib.suppress(OSError):
                self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if text.startswith("dashboard"):
            self._describe = text.split()[1]
        self._print(escape(text))

    def milestone(self, text: str) -> None:
        """Print a stage that is done, with the time since the start."""
        stamp = format_duration(time.monotonic() - self._started)
        self._print(f"[green]{stamp:>{MARGIN}}[/green]  {escape(text)}")

    def warn(self, text: str) -> None:
        """Print something the user should know."""
        self._print(f"[yellow]{'warning':>{MARGIN}}[/yellow]  {escape(text)}")

    def _print(self, text: str) -> None:
        """Print a line; a terminal or a pipe that is gone does not end the run."""
        with contextlib.suppress(OSError, SystemExit):  # rich exits on a broken pipe
            self._console.print(text, highlight=False)

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
        self,
        stage: str,
        in_flight: Mapping[str, Unit],
        still_open: Mapping[str, Mapping[str, float]],
    ) -> None:
        """Show the state, now and then.

        Parameters
        ----------
        stage
            What the run is about.
        in_flight
            Units that run, by key.
        still_open
            ``units`` and ``amount`` that are ready or run, by kind.
        """
        if self._pace.due_in_s() > 0.0:
            return
        with self._pace:
            progress = {
                key: (unit.kind, *self._read_progress(unit)) for key, unit in in_flight.items()
            }
            known = self._amounts(still_open)
            running = dict.fromkeys(known, 0.0)
            for kind, amount, _ in progress.values():
                running[kind] = running.get(kind, 0.0) + amount
            for kind, (done, total) in known.items():
                notes = [note for name, _, note in progress.values() if note and name == kind]
                self._set_bar(kind, done + running[kind], total, notes[0] if notes else "")
            seen = {key: (kind, amount) for key, (kind, amount, _) in progress.items()}
            rates = self._rates_with(seen)
            self._eta_s = self._time_to_go(running, rates)
            left = {k: total - done - running[k] for k, (done, total) in known.items()}
            self._planned_s = self._time_of(left, rates)
            self._line.plain = self._status(stage, len(in_flight))
            if self._live is None:
                self._print_now_and_then()

    def _print_now_and_then(self) -> None:
        """One line with what is under way, where there are no bars."""
        now = time.monotonic()
        if now - self._last_plain <= PLAIN_INTERVAL_S:
            return
        self._last_plain = now
        tasks = {task.id: task for task in self._bars.tasks}
        bars = [
            f"{TITLES[kind]} {tasks[number].completed:.0f}/{tasks[number].total:.0f}"
            for kind, number in self._tasks.items()
            if tasks[number].completed < (tasks[number].total or 0)
        ]
        self._print(escape(f"{self._line.plain}  {', '.join(bars)}"))

    def _amounts(
        self, still_open: Mapping[str, Mapping[str, float]]
    ) -> dict[str, tuple[float, float]]:
        """Amounts done and known of, for kinds that are under way in this stage."""
        known = {}
        for kind in TITLES:
            done = self._rates.get(kind, (0.0, 0.0))[0]
            if done or kind in still_open:
                more = still_open[kind]["amount"] if kind in still_open else 0.0
                known[kind] = (done, done + more)
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
            return min(float(value["done"]), unit.amount), str(value["note"])
        except (OSError, ValueError, KeyError):
            return 0.0, ""

    def _rates_with(
        self, seen: Mapping[str, tuple[str, float]]
    ) -> dict[str, tuple[float, float]]:
        """Work and its time of finished units and of those under way, by kind.

        Of a unit under way counts what it did since it was first seen here: the rest may be
        from before an interruption.
        """
        now = time.monotonic()
        first = {
            key: self._first_seen.get(key, (now, amount)) for key, (_, amount) in seen.items()
        }
        self._first_seen = first
        rates = dict(self._rates)
        for key, (kind, amount) in seen.items():
            since, before = first[key]
            if amount > before:
                work, spent = rates.get(kind, (0.0, 0.0))
                rates[kind] = (work + amount - before, spent + now - since)
        return rates

    def _time_to_go(
        self, running: Mapping[str, float], rates: Mapping[str, tuple[float, float]]
    ) -> float | None:
        """At most this long: the whole schedule, at the rates seen or estimated."""
        if self._estimate is None:
            return None
        seconds = 0.0
        for kind, amount in self._estimate.amounts.items():
            done = self._rates.get(kind, (0.0, 0.0))[0] + running.get(kind, 0.0)
            work, spent = rates.get(kind, (0.0, 0.0))
            rate = spent / work if work > 0 else self._estimate.seconds_each(kind)
            if rate is None:
                return None
            seconds += max(0.0, amount - done) * rate
        return seconds / self._slots

    def _time_of(
        self, left: Mapping[str, float], rates: Mapping[str, tuple[float, float]]
    ) -> float | None:
        """Time of the units that are known of, at the rates seen; None before there is one."""
        seconds = 0.0
        for kind, amount in left.items():
            work, spent = rates.get(kind, (0.0, 0.0))
            if amount > 0.0 and work <= 0.0:
                return None
            seconds += max(0.0, amount) * spent / max(work, 1.0)
        return seconds / self._slots

    def _status(self, stage: str, running: int) -> str:
        elapsed = format_duration(time.monotonic() - self._started)
        text = f"{elapsed}  {stage}, {running} running"
        if self._eta_s is not None:
            text += f", at most {format_duration(self._eta_s)} to go"
        elif self._estimate is None and self._planned_s:
            text += f", about {format_duration(self._planned_s)} for what is planned so far"
        return text
