"""The report folder: a page that needs nothing else, figures, and the numbers as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.errors import AnalysisError, StoreError
from dasksse.report.cards import diffusion_cards, learning_cards, state_cards
from dasksse.report.convergence_tables import length_rows, size_rows, size_sentences
from dasksse.report.diffusion_tables import (
    arrhenius_rows,
    check_rows,
    motion_rows,
    production_rows,
)
from dasksse.report.files import remove_figure, write_figure, write_whole
from dasksse.report.formats import (
    SECONDS_PER_HOUR,
    format_core_time,
    format_duration,
    format_share,
)
from dasksse.report.stability_tables import budget_rows, stability_rows
from dasksse.report.summary import summarise
from dasksse.report.tables import (
    failure_rows,
    label_rows,
    material_rows,
    progress_rows,
    rmse_rows,
    shares_rows,
    shown_label_notes,
    system_rows,
    temperature_rows,
)
from dasksse.report.verdicts import LEVEL_TITLES, by_level, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dasksse.report.arrhenius_text import Row
    from dasksse.report.data import RunReport

TEMPLATE = "template.html.j2"
PERFORMANCE = "dask-performance.html"
"""What Dask itself reports of a session, written by the engine."""

_NUMERIC = re.compile(r"[<(−–]|\d+(?![\da-z])")
"""How the text of a numeric cell starts."""


@dataclass(frozen=True)
class ShownFigure:
    """A figure ready for the page: its files' stem and itself as a data address."""

    name: str
    section: str
    title: str
    caption: str
    source: str
    width_px: int


@dataclass(frozen=True)
class ShownTable:
    """Rows of text with the columns that are set flush right."""

    rows: Sequence[Row]
    numeric: frozenset[str]


def write_report(report: RunReport, folder: Path) -> Path:
    """Write ``index.html``, ``figures/*.svg|png`` and ``summary.json``; give the page's path.

    Each file appears under its name only when complete, the page last, so a reader never sees
    half a report. Figures whose data are not there (any more) are left out.

    Parameters
    ----------
    report
        The run, finished or not.
    folder
        Made if it is not there; files of an earlier report are replaced.

    Raises
    ------
    StoreError
        When the folder cannot be written.
    """
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        figures = _write_figures(report, folder / "figures")
        summary = json.dumps(summarise(report), indent=1, allow_nan=False, ensure_ascii=False)
        write_whole(folder / "summary.json", summary.encode())
        page = folder / "index.html"
        performance = PERFORMANCE if (folder / PERFORMANCE).is_file() else ""
        text = render_page(report, figures, performance=performance)
        write_whole(page, text.encode())
    except OSError as error:
        msg = f"cannot write the report to {folder}: {error}; free space or choose a folder"
        raise StoreError(msg) from error
    return page


def render_page(
    report: RunReport, figures: Sequence[ShownFigure] = (), *, performance: str = ""
) -> str:
    """Fill the page's template.

    Parameters
    ----------
    report
        The run.
    figures
        Figures to embed.
    performance
        File with Dask's performance report, beside the page; empty when there is none.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        report=report,
        state=report.status.split(":")[0],
        results=diffusion_cards(report),
        cards=[*state_cards(report), *learning_cards(report)],
        verdicts=by_level(judge(report)),
        level_titles=LEVEL_TITLES,
        figures=figures,
        performance=performance,
        tables={name: shown_table(make(report)) for name, make in _TABLES.items()},
        size_sentences=size_sentences(report),
        label_notes=shown_label_notes(report),
        timing=_timing_lines(report.timing),
    )


_TABLES: Mapping[str, Callable[[RunReport], list[Row]]] = {
    "systems": system_rows,
    "production": production_rows,
    "motion": motion_rows,
    "checks": check_rows,
    "arrhenius": arrhenius_rows,
    "lengths": length_rows,
    "sizes": size_rows,
    "budget": budget_rows,
    "stability": stability_rows,
    "labels": label_rows,
    "shares": shares_rows,
    "temperatures": temperature_rows,
    "progress": progress_rows,
    "rmse": rmse_rows,
    "materials": material_rows,
    "failures": failure_rows,
}


def shown_table(rows: Sequence[Row]) -> ShownTable:
    """Columns in which every cell starts like a number are numeric."""
    columns = rows[0] if rows else {}
    numeric = {column for column in columns if all(_NUMERIC.match(row[column]) for row in rows)}
    return ShownTable(rows, frozenset(numeric))


def _timing_lines(timing: Mapping[str, object]) -> list[tuple[str, str]]:
    """Wall time, CPU-hours by kind (largest first) and the driver's share, as known."""
    lines: list[tuple[str, str]] = []
    wall, share = timing.get("wall_s"), timing.get("driver_share")
    if isinstance(wall, int | float):
        lines.append(("wall time", format_duration(wall)))
    hours = timing.get("cpu_hours")
    if isinstance(hours, dict):
        ordered = sorted(hours.items(), key=lambda item: -item[1])
        lines += [
            (f"core time, {kind}", format_core_time(SECONDS_PER_HOUR * amount))
            for kind, amount in ordered
        ]
    if isinstance(share, int | float):
        lines.append(("driver's share of the wall time", format_share(share)))
    return lines


def _write_figures(report: RunReport, folder: Path) -> list[ShownFigure]:
    """Draw what can be drawn; remove files of figures that cannot."""
    from dasksse.report.figures import FIGURES

    shown: list[ShownFigure] = []
    for entry in FIGURES:
        try:
            figure = entry.draw(report)
        except AnalysisError:
            remove_figure(folder, entry.name)
            continue
        source, width_px = write_figure(figure, folder, entry.name)
        shown.append(
            ShownFigure(entry.name, entry.section, entry.title, entry.caption, source, width_px)
        )
    return shown
