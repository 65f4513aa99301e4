"""``dasksse drill``: kill at random what can die, and prove that nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dasksse.cli.validate import check_programs, load_checked
from dasksse.config.presets import presets_dir
from dasksse.drill import KINDS, Drill, DrillSettings, Outcome
from dasksse.errors import ConfigError
from dasksse.report.formats import format_duration
from dasksse.store.folders import write_json

if TYPE_CHECKING:
    import argparse

    from rich.status import Status


class _Terminal:
    """Lines of what has happened, and one line that changes."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console = console
        self._status = status

    def say(self, text: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        self._console.print(f"{stamp}  {text}", highlight=False, markup=False)

    def show(self, text: str) -> None:
        self._status.update(text)


def command(arguments: argparse.Namespace) -> int:
    """Drill, print what was found, and write it."""
    console = Console(soft_wrap=True)
    settings = _settings(arguments)
    check_programs()
    console.print(f"drill in {settings.root}", highlight=False)
    with console.status("") as status:
        outcome = Drill(settings, _Terminal(console, status)).run()
    values = outcome.to_json()
    if arguments.json is not None:
        write_json(arguments.json, values)
    console.print(_table(outcome))
    for text in values["wrong"]:
        console.print(f"[red]wrong[/red]  {text}", highlight=False)
    console.print(_verdict(outcome), highlight=False)
    return 1 if values["wrong"] else 0


def _settings(arguments: argparse.Namespace) -> DrillSettings:
    """Settings of the drill, checked before anything starts."""
    if arguments.kills < 1:
        msg = f"--kills: found {arguments.kills}, allowed: 1 or more"
        raise ConfigError(msg)
    _, engine = load_checked(presets_dir() / "toy.yaml", arguments.cluster)
    if engine.kind == "serial":
        msg = f"{arguments.cluster}: a serial engine has no workers to kill; name another kind"
        raise ConfigError(msg)
    return DrillSettings(
        root=(arguments.dir or Path("runs") / "drill").absolute(),
        kills=arguments.kills,
        seed=arguments.seed,
        engine=engine.kind,
        cluster=arguments.cluster and arguments.cluster.absolute(),
    )


def _table(outcome: Outcome) -> Table:
    table = Table(title="Deaths", title_justify="left", box=None, pad_edge=False)
    table.add_column("kind")
    for column in ("kills", "median s", "longest s"):
        table.add_column(column, justify="right")
    table.add_column("what died")
    recovery = outcome.to_json()["recover_s_by_kind"]
    for kind, values in recovery.items():
        times = (f"{values[name]:.1f}" for name in ("median", "max"))
        table.add_row(kind, str(values["n"]), *times, KINDS[kind].summary)
    for kind, reason in outcome.left_out.items():
        table.add_row(kind, "0", "", "", f"left out: {reason}")
    return table


def _verdict(outcome: Outcome) -> str:
    pinned = ", with the models of the calm run" if outcome.is_pinned else ""
    equality = "equal" if outcome.is_equal else "NOT equal"
    facts = (
        f"{outcome.kills} kills in {outcome.rounds} runs, {format_duration(outcome.wall_s)}",
        f"{len(outcome.units_repeated)} of {outcome.units_total} units done again",
        f"at most {outcome.md_steps_lost_max} MD steps lost, {outcome.segment_steps} a segment",
        f"{equality} to the calm run{pinned}",
        f"{len(outcome.orphans)} processes left behind",
    )
    return ("passed: " if not outcome.wrong() else "FAILED: ") + "; ".join(facts)
