"""The science of a run on the Dask dashboard: shares, errors, labels and D(T) while it works.

The page is one more entry in the table of applications from which Dask builds its dashboard.
That table and the list of pages are plain names of ``distributed.dashboard.scheduler``, without
an underscore but without a promise either; nothing else of the project rests on them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import textwrap
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.layouts import column, row
from bokeh.models import Div

from dasksse.engine.science_figures import make_panels
from dasksse.engine.watching import SCIENCE_PAGE
from dasksse.errors import StoreError
from dasksse.report.colours import SHARE_COLOURS
from dasksse.report.figures.style import FAINT, INK, MUTED
from dasksse.report.formats import (
    SECONDS_PER_HOUR,
    format_core_time,
    format_count,
    format_duration,
    is_known,
)
from dasksse.report.status_data import read_status
from dasksse.store.folders import RunFolder
from dasksse.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bokeh.document import Document

UPDATE_INTERVAL_MS = 3000

MOST_RUNNING = 8
"""Units that are named with what they have said of themselves."""

LONGEST_EVENT = 200
"""Characters of an event that are shown; ``run.log`` has all."""

_STYLES = {"font-family": "sans-serif", "color": INK, "font-size": "13px"}


def add_science_page(run_dir: Path) -> None:
    """Put the page on the dashboard of every scheduler that this process makes from now on.

    Parameters
    ----------
    run_dir
        Run folder.
    """
    from distributed.dashboard.scheduler import applications

    applications[SCIENCE_PAGE] = partial(science_doc, run_dir)


def link_science_page(scheduler: object) -> None:
    """Name the page in the dashboard's row of links; the scheduler must have been made."""
    from distributed.dashboard.scheduler import template_variables

    template_variables(scheduler)["pages"].append(SCIENCE_PAGE.strip("/"))


def science_doc(
    run_dir: Path,
    scheduler: object,  # noqa: ARG001 - Dask hands it to every page
    extra: Mapping[str, Any],
    doc: Document,
) -> None:
    """Fill the document of one visitor.

    Parameters
    ----------
    run_dir
        Run folder.
    scheduler
        Dask's scheduler.
    extra
        What Dask's page templates want to know.
    doc
        The document.
    """
    from distributed.dashboard.components.scheduler import env

    page = SciencePage(run_dir)
    doc.title = f"dasksse: {run_dir.name}"
    doc.template = env.get_template("simple.html")
    doc.template_variables.update(extra)
    doc.add_root(page.layout)
    doc.add_next_tick_callback(page.refresh)
    doc.add_periodic_callback(page.refresh, UPDATE_INTERVAL_MS)


def read_page(run_dir: Path) -> dict[str, Any]:
    """Everything the page shows; see :func:`dasksse.report.status_data.read_status`.

    Raises
    ------
    StoreError
        When the journal cannot be read.
    """
    folder = RunFolder(run_dir)
    with contextlib.closing(JournalReader(folder.journal)) as journal:
        status = read_status(folder, journal)
        return {**status, "labels_in_time": journal.labels_in_time()}


class SciencePage:
    """The page as one visitor sees it.

    Parameters
    ----------
    run_dir
        Run folder.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._panels = make_panels()
        wide = {"sizing_mode": "stretch_width"}
        texts = [Div(styles=_STYLES, **wide) for _ in range(4)]
        self._head, self._pools, self._running, self._events = texts
        rows = [[panel.figure for panel in panels] for panels in self._panels]
        self.layout = column(
            self._head,
            *(row(*figures, **wide) for figures in rows),
            row(self._pools, self._running, self._events, spacing=30, **wide),
            **wide,
        )

    async def refresh(self) -> None:
        """Read the run in a thread, so that the scheduler goes on, and show it."""
        try:
            status = await asyncio.to_thread(read_page, self._run_dir)
        except (StoreError, OSError, sqlite3.Error) as error:
            self._head.text = f"{escape(str(error))}; tried again"
            return
        self.show(status)

    def show(self, status: Mapping[str, Any]) -> None:
        """Put a status into all parts of the page."""
        self._head.text = head_html(status, self._run_dir.name)
        self._pools.text = pools_html(status["pools"])
        self._running.text = running_html(status["running"])
        self._events.text = events_html(status["events"])
        for panels in self._panels:
            for panel in panels:
                panel.show(status)


def head_html(status: Mapping[str, Any], name: str) -> str:
    """State, stage, counts and times in two lines."""
    stage = status["stage"] if status["state"] != "finished" else ""
    generation = "" if status["iteration"] is None else f"generation {status['iteration']}"
    parts = [part for part in (status["state"], generation, stage) if part]
    labels = ", ".join(f"{count} {state}" for state, count in status["labels"].items())
    core_time = format_core_time(SECONDS_PER_HOUR * status["core_hours"])
    times = f"{format_duration(status['wall_s'])} so far, {core_time}"
    if is_known(status["eta_s"]):
        times += f", at most {format_duration(status['eta_s'])} to go"
    failed = len(status["quarantined"])
    trouble = f", <b>units quarantined: {failed}</b>" if failed else ""
    return (
        f"<b style='font-size:17px'>{escape(name)}</b> &nbsp; {escape(', '.join(parts))}<br>"
        f"labels: {labels} &nbsp; {times}{trouble}"
    )


def pools_html(pools: Sequence[Mapping[str, Any]]) -> str:
    """Jobs and units of each pool, and why a pool has no more jobs."""
    heads = ("pool", "jobs running", "queued", "at most", "workers", "busy")
    keys = ("name", "jobs_running", "jobs_queued", "max_jobs", "workers", "units_running")
    rows = [[str(pool[key]) for key in keys] for pool in pools]
    troubles = [f"{pool['name']}: {pool['trouble']}" for pool in pools if pool["trouble"]]
    colour = SHARE_COLOURS["failed"]
    lines = [f"<div style='color:{colour}'>{escape(text)}</div>" for text in troubles]
    return _table_html(heads, rows) + "".join(lines)


def running_html(running: Sequence[Mapping[str, Any]]) -> str:
    """Units that run, with the work they have done and what they say."""
    rows = [
        [unit["kind"], unit["key"][:6], format_count(unit["done"]), unit["note"]]
        for unit in running[:MOST_RUNNING]
    ]
    more = len(running) - len(rows)
    return _table_html(("running", "", "done", ""), rows) + (f"and {more} more" if more else "")


def _table_html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Table of plain texts; nothing when there are no rows."""
    style = f"padding:2px 9px 2px 0;border-bottom:1px solid {FAINT};text-align:left"
    lines = ["".join(f"<th style='{style};white-space:nowrap'>{head}</th>" for head in heads)]
    lines += ["".join(f"<td style='{style}'>{escape(t)}</td>" for t in row) for row in rows]
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table style='border-collapse:collapse'>{table}</table>" if rows else ""


def events_html(events: Sequence[str]) -> str:
    """The last events, the newest first."""
    short = [textwrap.shorten(text, LONGEST_EVENT, placeholder=" …") for text in events]
    lines = "<br>".join(escape(text) for text in reversed(short))
    return f"<b>last events</b><br><span style='color:{MUTED}'>{lines}</span>" if lines else ""
