"""``dasksse run``: start or continue a run."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from dasksse import __version__
from dasksse.cli.check_command import print_plan
from dasksse.cli.validate import check_programs, count_atoms, load_checked
from dasksse.engine.cluster import Start, make_runner, slots
from dasksse.loop.display import MARGIN, Display
from dasksse.loop.driver import Driver
from dasksse.loop.estimate import estimate_run
from dasksse.loop.prepare import open_run_folder, structure_digests
from dasksse.loop.publish import seal
from dasksse.report.formats import format_duration
from dasksse.store.folders import driver_lock
from dasksse.store.journal import Journal, open_journal

if TYPE_CHECKING:
    import argparse

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RegistrySection
    from dasksse.store.folders import RunFolder


def command(arguments: argparse.Namespace) -> int:
    """Run to the end, or to where the last driver died and from there to the end."""
    console = Console(soft_wrap=True)
    loaded, engine = load_checked(arguments.config, arguments.cluster)
    n_atoms = count_atoms(loaded)
    if arguments.dry_run:
        print_plan(console, loaded, engine, n_atoms)
        return 0
    check_programs()
    root = (arguments.dir or Path("runs") / loaded.config.name).absolute()
    folder, changes = open_run_folder(loaded, root)
    signal.signal(signal.SIGTERM, _interrupt)
    with driver_lock(folder):
        journal, notes = open_journal(folder)
        console.print(f"run folder {folder.root}", highlight=False)
        for text in [*notes, *(f"changed since the run began: {c}" for c in changes)]:
            console.print(f"[yellow]{'note':>{MARGIN}}[/yellow]  {text}", highlight=False)
            journal.event(text)
        n_units = _drive(console, loaded, engine, folder, journal, n_atoms)
        _finish(console, folder, journal, is_new=n_units > 0)
    return 0


def _interrupt(signum: int, frame: object) -> None:  # noqa: ARG001 - signal handler
    raise KeyboardInterrupt


def _drive(
    console: Console,
    loaded: LoadedConfig,
    engine: RegistrySection,
    folder: RunFolder,
    journal: Journal,
    n_atoms: dict[str, int],
) -> int:
    """Work until the plan is finished; number of units that were done in it."""
    config = loaded.config
    estimate = estimate_run(config, {name: count or 50 for name, count in n_atoms.items()})
    start = Start(folder.root, config.reproducible, config.stop.hung_after_s)
    display = Display(folder, console, estimate=estimate, slots=slots(engine))
    journal.set_facts({"state": "running", "version": __version__})
    driver = Driver(
        config,
        structure_digests(loaded),
        folder=folder,
        journal=journal,
        start_runner=lambda: make_runner(engine, start),
        display=display,
    )
    display.start()
    state = "interrupted"
    try:
        driver.run()
        state = "finished"
    except Exception as error:
        state = f"stopped: {error}"
        raise
    finally:
        display.stop()
        journal.set_facts({"state": state, "ended": time.time(), **driver.times()})
    return driver.n_units


def _finish(console: Console, folder: RunFolder, journal: Journal, *, is_new: bool) -> None:
    """Seal the store, write the report unless it is there already, print the tables."""
    from dasksse.report import collect_report, rich_tables, write_report

    seal(folder.root)
    report = collect_report(folder, journal)
    page = folder.report / "index.html"
    if is_new or not page.is_file():
        console.print("writing the report", highlight=False)
        page = write_report(report, folder.report)
    for table in rich_tables(report):
        console.print(table)
    wall_s = float(journal.facts().get("wall_s", 0.0))
    console.print(f"\nfinished, {format_duration(wall_s)} in all", highlight=False)
    console.print(f"report: {page}", highlight=False)
