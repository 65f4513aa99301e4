"""``dasksse verify``: whether a store still holds what was written."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dasksse.errors import ConfigError
from dasksse.store.folders import write_json
from dasksse.store.layout import store_path
from dasksse.store.verification import (
    DAMAGED,
    INCOMPLETE,
    NO_CHECKSUM,
    OK,
    Finding,
    frames_to_check,
    verify_store,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path


def command(arguments: argparse.Namespace) -> int:
    """Check all runs and labels; 1 when something is damaged.

    Raises
    ------
    ConfigError
        When there is no store.
    """
    path = store_path(arguments.store)
    if not (path / "zarr.json").is_file():
        msg = f"{path}: no store is there; give a store (*.zarr) or a run folder"
        raise ConfigError(msg)
    findings = _verify(path)
    damaged = [finding for finding in findings if finding.state == DAMAGED]
    _print(Console(soft_wrap=True, highlight=False), findings, damaged)
    if arguments.json is not None:
        values = {
            "store": str(path),
            "n_damaged": len(damaged),
            "findings": [asdict(finding) for finding in findings],
        }
        write_json(arguments.json, values)
    return 1 if damaged else 0


def _verify(path: Path) -> list[Finding]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("frames", total=frames_to_check(path))
        return list(verify_store(path, on_frames=lambda n: progress.advance(task, n)))


def _print(console: Console, findings: Sequence[Finding], damaged: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    states = (OK, DAMAGED, INCOMPLETE, NO_CHECKSUM)
    for title in ("group", "frames", *states):
        table.add_column(title, justify="left" if title == "group" else "right")
    for group in dict.fromkeys(finding.group for finding in findings):
        inside = [finding for finding in findings if finding.group == group]
        counts = Counter(finding.state for finding in inside)
        frames = sum(finding.n_frames for finding in inside)
        cells = (str(counts[state]) if counts[state] else "-" for state in states)
        table.add_row(escape(group), str(frames), *cells)
    console.print(table)
    for finding in damaged:
        run = "" if finding.run is None else f" run {finding.run}"
        console.print(f"damaged: {escape(finding.group)}{run}: {escape(finding.reason)}")
