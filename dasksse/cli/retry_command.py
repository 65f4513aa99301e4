"""``dasksse retry``: give units that failed for good another chance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dasksse.cli.status_command import open_run
from dasksse.config.load import load_config
from dasksse.config.messages import nearest
from dasksse.errors import ConfigError, RunFolderError
from dasksse.loop.books import read_books
from dasksse.loop.label_files import with_kept_files
from dasksse.loop.prepare import digests_in
from dasksse.loop.release import Releases, choose_releases
from dasksse.store.folders import RunFolder, driver_lock
from dasksse.store.journal import open_journal
from dasksse.store.run_log import RunLog
from dasksse.study import study_in

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.store.journal import Journal

    Reasons = Mapping[str, Mapping[str, Any]]


def command(arguments: argparse.Namespace) -> int:
    """Move quarantined units back to where they are worked on; nothing is started.

    Raises
    ------
    ConfigError
        When the folder holds neither run nor study, or nothing of the kind is quarantined.
    RunFolderError
        When a driver works in the folder.
    """
    console = Console(soft_wrap=True)
    folder, _ = open_run(arguments.run)
    try:
        with driver_lock(folder):
            return _retry(console, folder, arguments.failed, arguments.run)
    except RunFolderError as error:
        msg = (
            f"{error}\na living driver cannot be given units back: stop it first, then retry, "
            "then give the run command again"
        )
        raise RunFolderError(msg) from error


def _retry(console: Console, folder: RunFolder, kind: str | None, root: Path) -> int:
    journal, _ = open_journal(folder)
    reasons = folder.quarantined()
    if not reasons:
        console.print(f"{escape(str(root))}: no unit is quarantined", highlight=False)
        return 0
    keys = _of_kind(reasons, kind, root)
    study = study_in(folder.root)
    # what a study built on the other units is named after them, and stays right
    releases = Releases(keys, {}) if study else _choose(folder, journal, keys)
    _release(folder, journal, reasons, releases.released)
    if releases.released:
        n_released = len(releases.released)
        rows = [_row(reasons[key]) for key in releases.released]
        console.print(_table(f"Released: {n_released}", "why it had failed", rows))
        same = journal.facts().get("command") or f"python -m dasksse.run CONFIG --dir {root}"
        if study:
            same = f"the same `dasksse {study}` command again"
        console.print(f"\nto continue: {escape(same)}", highlight=False)
    if releases.kept:
        rows = [[*_row(reasons[key])[:3], why] for key, why in releases.kept.items()]
        console.print(_table(f"Left in quarantine: {len(rows)}", "because", rows))
    return 0


def _choose(folder: RunFolder, journal: Journal, keys: Sequence[str]) -> Releases:
    """Those that the run has not gone on without."""
    config = with_kept_files(load_config(folder.resolved_config).config, folder)
    books = read_books(folder, journal.units())
    return choose_releases(config, digests_in(folder, config), books, keys)


def _of_kind(reasons: Reasons, kind: str | None, root: Path) -> list[str]:
    """Keys of the quarantined units of a kind, of all kinds when None."""
    counts: dict[str, int] = {}
    for reason in reasons.values():
        counts[reason["kind"]] = counts.get(reason["kind"], 0) + 1
    if kind is not None and kind not in counts:
        there = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
        msg = (
            f"--failed: found {kind!r}, but no such unit is quarantined in {root}; there are: "
            f"{there}{nearest(kind, counts)}"
        )
        raise ConfigError(msg)
    return [key for key, reason in reasons.items() if kind in {None, reason["kind"]}]


def _release(
    folder: RunFolder, journal: Journal, reasons: Reasons, keys: Sequence[str]
) -> None:
    log = RunLog(folder.log)
    for key in keys:
        kind = reasons[key]["kind"]
        folder.release(kind, key)
        text = f"{kind} {key} was released from quarantine"
        log.write(text)
        journal.write(forgotten=[(kind, key)], events=[(time.time(), text)])


def _row(reason: Mapping[str, Any]) -> list[str]:
    """Unit, kind, generation and the first line of what went wrong."""
    generation = int(reason["generation"])
    lines = str(reason.get("error", "")).strip().splitlines()
    return [
        str(reason["key"]),
        str(reason["kind"]),
        "" if generation < 0 else str(generation),
        f"{reason.get('failure_class', '')}: {lines[0] if lines else 'no message'}",
    ]


def _table(title: str, why: str, rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("unit", "kind", "generation", why):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    return table
