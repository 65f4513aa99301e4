"""``dasksse import-labels``: labels that exist already, from many formats, into a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ase.data import atomic_numbers
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dasksse.errors import ConfigError
from dasksse.label.importing import UNKNOWN_FUNCTIONAL
from dasksse.store.folders import write_json

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dasksse.label.importing import FileReport, ImportReport

EXIT_NOTHING_READ = 2
MAX_LINES = 40
"""Files printed one by one; of more, those with something amiss come first."""


def command(arguments: argparse.Namespace) -> int:
    """Import labels, print what became of each file; write JSON when asked."""
    from dasksse.label.importing import Origin, import_labels

    origin = Origin(
        _type_map(arguments.type_map),
        arguments.functional,
        arguments.source,
        arguments.surrogate,
    )
    console = Console(soft_wrap=True, highlight=False)
    with console.status("looking for labels") as status:

        def show(path: Path) -> None:
            status.update(f"reading {escape(str(path))}")

        report = import_labels(arguments.paths, arguments.store, origin, on_file=show)
    _print(console, report, arguments.store)
    if arguments.json is not None:
        write_json(arguments.json, _as_json(report, arguments.store))
    return EXIT_NOTHING_READ if report.is_empty else 0


def _type_map(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    elements = tuple(text.replace(",", " ").split())
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if unknown or not elements or len(set(elements)) < len(elements):
        msg = (
            f"--type-map {text!r}: give each element once, in the order of the types, such as "
            "Li,Ge,P,S"
        )
        raise ConfigError(msg)
    return elements


def _print(console: Console, report: ImportReport, store: Path) -> None:
    if not report.files:
        console.print("no labels found; docs/guide/labels.md lists the formats")
        return
    files = report.files
    if len(files) > MAX_LINES:
        files = sorted(files, key=lambda file: not _remarks(file))[:MAX_LINES]
    console.print(_table(files))
    if len(files) < len(report.files):
        console.print(f"... {len(report.files)} in all; --json FILE lists them")
    notes = [f"{file.name}: {text}" for file in files for text in _remarks(file)]
    for text in notes:
        console.print(f"[yellow]note[/yellow]  {escape(text)}")
    for text in [*report.warnings, *_about_functional(report)]:
        console.print(f"[yellow]warning[/yellow]  {escape(text)}")
    read, added, known = (
        sum(getattr(file, name) for file in report.files)
        for name in ("n_read", "n_added", "n_duplicates")
    )
    left_out = sum(sum(file.left_out.values()) for file in report.files)
    console.print(
        f"{read} frames read: {added} added, {known} known already, {left_out} left out"
    )
    for system, count in sorted(report.systems.items()):
        console.print(f"{escape(str(store))}: {count} frames of {system}")


def _about_functional(report: ImportReport) -> list[str]:
    n_frames = report.functionals[UNKNOWN_FUNCTIONAL]
    text = (
        f"the functional of {n_frames} frames in the store is not known, so that no run takes "
        "them; import them into a new store with --functional"
    )
    return [text] if n_frames else []


def _remarks(file: FileReport) -> list[str]:
    """What there is to say of a file, besides numbers."""
    left_out = [f"{count} left out: {reason}" for reason, count in file.left_out.items()]
    return [*([file.error] if file.error else []), *left_out, *dict.fromkeys(file.notes)]


def _table(files: list[FileReport]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("format")
    for title in ("frames", "added", "known", "left out"):
        table.add_column(title, justify="right")
    for file in files:
        numbers = [file.n_read, file.n_added, file.n_duplicates, sum(file.left_out.values())]
        cells = (
            ["unreadable", "", "", ""] if file.error else [str(number) for number in numbers]
        )
        table.add_row(escape(file.name), file.format, *cells)
    return table


def _as_json(report: ImportReport, store: Path) -> dict[str, Any]:
    return {
        "store": str(store),
        "systems": dict(report.systems),
        "functionals": dict(report.functionals),
        "warnings": report.warnings,
        "files": [
            {
                "path": str(file.path),
                "format": file.format,
                "n_read": file.n_read,
                "n_added": file.n_added,
                "n_duplicates": file.n_duplicates,
                "left_out": dict(file.left_out),
                "notes": file.notes,
                "error": file.error,
            }
            for file in report.files
        ],
    }
