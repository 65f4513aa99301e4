"""``dasksse report``: write the report of a run, finished or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dasksse.cli.status_command import open_run

if TYPE_CHECKING:
    import argparse


def command(arguments: argparse.Namespace) -> int:
    """Write RUN/report/index.html, its figures and summary.json."""
    from dasksse.report import collect_report, rich_tables, write_report

    folder, journal = open_run(arguments.run)
    console = Console(soft_wrap=True)
    report = collect_report(folder, journal)
    page = write_report(report, folder.report)
    for table in rich_tables(report):
        console.print(table)
    console.print(f"report: {page}", highlight=False)
    return 0
