"""``dasksse status``: how far a run is, while it works and after."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sqlite3
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from dasksse.cli.status_view import render_status
from dasksse.errors import ConfigError, RunFolderError, StoreError
from dasksse.report.status_data import read_status
from dasksse.store.folders import FileLock, RunFolder
from dasksse.store.journal import open_journal
from dasksse.store.journal_reader import JournalReader

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

WATCH_INTERVAL_S = 2.0


def open_run(root: Path) -> tuple[RunFolder, JournalReader]:
    """Open a run folder to read; a damaged journal is rebuilt when no driver works there.

    Raises
    ------
    ConfigError
        When the folder holds no run.
    StoreError
        When the journal cannot be read and a driver holds the folder.
    """
    folder = RunFolder(root.absolute())
    if not folder.resolved_config.is_file():
        msg = f"{root} holds no run (no {folder.resolved_config.name} in it)"
        raise ConfigError(msg)
    try:
        return folder, JournalReader(folder.journal)
    except RunFolderError:
        raise
    except StoreError:
        lock = FileLock(folder.root / "driver.lock")
        if not lock.acquire():
            raise
        try:
            open_journal(folder)[0].close()
        finally:
            lock.release()
        return folder, JournalReader(folder.journal)


def _print(console: Console, status: dict[str, Any], name: str) -> None:
    view = render_status(status, name, width=console.width)
    console.print(view, soft_wrap=not console.is_terminal)


def is_over(status: dict[str, Any]) -> bool:
    """Whether nothing will change before somebody starts the run again."""
    return status["state"] not in {"new", "running"}


@contextlib.contextmanager
def _single_keys() -> Iterator[bool]:
    """Have the terminal hand over keys one by one; False when there is no terminal."""
    if not sys.stdin.isatty():
        yield False
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _is_q_pressed(within_s: float, *, has_keys: bool) -> bool:
    """Wait for q; False when the time is over."""
    if not has_keys:
        time.sleep(within_s)
        return False
    end = time.monotonic() + within_s
    while (left := end - time.monotonic()) > 0:
        if (
            select.select([sys.stdin], [], [], left)[0]
            and os.read(sys.stdin.fileno(), 1) in b"qQ"
        ):
            return True
    return False


def _follow(
    folder: RunFolder, journal: JournalReader, *, has_keys: bool
) -> Iterator[dict[str, Any]]:
    """Status after status until the run ends or q is pressed."""
    while True:
        try:
            status = read_status(folder, journal)
        except sqlite3.OperationalError:  # the driver writes just now
            pass
        else:
            yield status
            if is_over(status):
                return
        if _is_q_pressed(WATCH_INTERVAL_S, has_keys=has_keys):
            return


def _watch_terminal(
    console: Console, folder: RunFolder, journal: JournalReader, name: str
) -> None:
    """Show the run on the whole terminal; leave its last state when that is over."""
    status: dict[str, Any] | None = None
    with (
        contextlib.suppress(KeyboardInterrupt),
        _single_keys() as has_keys,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        for status in _follow(folder, journal, has_keys=has_keys):
            view = render_status(status, name, width=console.width, height=console.height)
            live.update(view, refresh=True)
    if status is not None:
        _print(console, status, name)


def _watch_file(console: Console, folder: RunFolder, journal: JournalReader, name: str) -> None:
    """Print the status whenever something that lasts has changed."""
    shown = None
    for status in _follow(folder, journal, has_keys=False):
        lasting = [status[key] for key in ("state", "stage", "labels", "units", "D")]
        if lasting != shown:
            shown = lasting
            _print(console, status, name)


def command(arguments: argparse.Namespace) -> int:
    """Print where a run stands, once or again and again."""
    folder, journal = open_run(arguments.run)
    if arguments.json:
        print(json.dumps(read_status(folder, journal), indent=1))  # noqa: T201
        return 0
    console, name = Console(highlight=False), str(arguments.run)
    if not arguments.watch:
        _print(console, read_status(folder, journal), name)
    elif console.is_terminal and not console.is_dumb_terminal:
        _watch_terminal(console, folder, journal, name)
    else:
        _watch_file(console, folder, journal, name)
    return 0
