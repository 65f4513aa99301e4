"""``dasksse run``: start or continue a run."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from dasksse import __version__
from dasksse.cli.check_command import estimate_for, print_plan
from dasksse.cli.validate import check_programs, count_atoms, load_checked
from dasksse.engine.cluster import Start, make_runner, slots
from dasksse.errors import RunFolderError, StoreError
from dasksse.loop.display import MARGIN, Display
from dasksse.loop.driver import Driver
from dasksse.loop.ending import Ending, run_hook, summarise
from dasksse.loop.label_files import with_kept_files
from dasksse.loop.prepare import digests_in, keep_config, open_run_folder
from dasksse.loop.schemes import SCHEMES
from dasksse.report.formats import format_duration
from dasksse.store.folders import driver_lock
from dasksse.store.journal import Journal, open_journal
from dasksse.store.run_log import RunLog
from dasksse.store.sealing import seal
from dasksse.study import study_in

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
    root = run_root(arguments.dir, loaded)
    if arguments.dry_run:
        print_plan(console, loaded, engine, n_atoms, root)
        return 0
    work_through(console, loaded, engine, root, words=same_command(arguments, root))
    return 0


def run_root(chosen: Path | None, loaded: LoadedConfig) -> Path:
    """Folder of a run: as asked, or by its name.

    Raises
    ------
    RunFolderError
        When a study works there: its plan is another one.
    """
    root = (chosen or Path("runs") / loaded.config.name).absolute()
    study = study_in(root)
    if study:
        msg = (
            f"{root} holds the results of `dasksse {study}` and is no run; --dir takes the "
            "folder of a run, or a new one"
        )
        raise RunFolderError(msg)
    return root


def work_through(
    console: Console,
    loaded: LoadedConfig,
    engine: RegistrySection,
    root: Path,
    *,
    words: str,
    scheme: str = "dpgen",
) -> None:
    """Start or continue a run, and work until its plan is finished.

    Parameters
    ----------
    console
        Where the user watches.
    loaded, engine
        The configuration, and where to work.
    root
        Run folder.
    words
        The command that continues the run, for the log.
    scheme
        One of :data:`dasksse.loop.schemes.SCHEMES`.

    Raises
    ------
    DasksseError
        When the run cannot be finished; it is told in the log and by the user's hook first.
    """
    check_programs()
    n_atoms = count_atoms(loaded)
    folder, changes = open_run_folder(loaded, root)
    heed_signals()
    with driver_lock(folder):
        keep_config(loaded, folder)
        log = RunLog(folder.log)
        log.write(f"start: dasksse {__version__}, process {os.getpid()} on {gethostname()}")
        log.write(f"command: {words}")
        try:
            journal, notes = open_journal(folder)
            notes += [f"changed since the run began: {change}" for change in changes]
            events = [(time.time(), text) for text in notes]
            journal.write(events=events, facts={"command": words})
            _say_notes(console, folder, log, notes)
            n_units = _drive(console, loaded, engine, folder, journal, n_atoms, scheme)
            if scheme == "dpgen" or n_units:
                _finish(console, folder, journal, is_new=n_units > 0)
            ending = Ending("finished", "finished")
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told, then raised
            ending = Ending.of(error)
        log.write(f"stop: {ending.state}: {ending.message}")
    _tell(console, loaded, folder, ending)
    if ending.error is not None:
        raise ending.error


def heed_signals() -> None:
    """End cleanly when asked to, or when the terminal goes away without ``nohup``."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(signum: int, frame: object) -> None:  # noqa: ARG001 - signal handler
    raise KeyboardInterrupt


def same_command(arguments: argparse.Namespace, root: Path) -> str:
    """The command that continues the run, from any folder."""
    words = ["python", "-m", "dasksse.run", str(arguments.config.absolute())]
    words += ["--dir", str(root)]
    if arguments.cluster is not None:
        words += ["--cluster", str(arguments.cluster.absolute())]
    return shlex.join(words)


def _say_notes(console: Console, folder: RunFolder, log: RunLog, notes: list[str]) -> None:
    console.print(f"run folder {folder.root}", highlight=False)
    for text in notes:
        console.print(f"[yellow]{'note':>{MARGIN}}[/yellow]  {escape(text)}", highlight=False)
        log.write(f"note: {text}")


def _tell(console: Console, loaded: LoadedConfig, folder: RunFolder, ending: Ending) -> None:
    """Run the user's command, if there is one, with the lock given back."""
    words = loaded.config.on_end
    if not words:
        return
    try:
        summary = summarise(folder, Journal(folder.journal, read_only=True))
    except StoreError as error:
        summary = f"{error}\n"
    trouble = run_hook(words, ending, folder=folder, summary=summary, workdir=loaded.base_dir)
    if trouble:
        RunLog(folder.log).write(f"warning: {trouble}")
        line = f"[yellow]{'warning':>{MARGIN}}[/yellow]  {escape(trouble)}"
        with contextlib.suppress(OSError):  # the terminal may be what ended the run
            console.print(line, highlight=False)


def _drive(
    console: Console,
    loaded: LoadedConfig,
    engine: RegistrySection,
    folder: RunFolder,
    journal: Journal,
    n_atoms: dict[str, int],
    scheme: str,
) -> int:
    """Work until the plan is finished; number of units that were done in it."""
    config = loaded.config
    estimate, _ = estimate_for(loaded, engine, n_atoms, folder.root)
    start = Start(folder.root, config.reproducible, config.stop.hung_after_s)
    display = Display(folder, console, estimate=estimate, slots=slots(engine))
    was_finished = journal.facts().get("state") == "finished"
    journal.set_facts({"state": "running", "version": __version__})
    driver = Driver(
        with_kept_files(config, folder),
        digests_in(folder, config),
        folder=folder,
        journal=journal,
        start_runner=lambda: make_runner(engine, start),
        display=display,
        scheme=SCHEMES[scheme],
    )
    display.start()
    state = "interrupted"
    try:
        driver.run()
        state = "finished" if scheme == "dpgen" or was_finished else "learned"
    except Exception as error:
        state = f"stopped: {error}"
        raise
    finally:
        display.stop()
        with contextlib.suppress(StoreError):  # a full disk is what ended the run, then
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
