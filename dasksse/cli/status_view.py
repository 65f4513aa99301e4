"""Draw where a run stands as text, for any width of terminal and without colours too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dasksse.report.colours import SHARE_COLOURS
from dasksse.report.formats import (
    SECONDS_PER_HOUR,
    UNKNOWN,
    format_core_time,
    format_counts,
    format_duration,
    format_number,
    format_value_error,
    is_known,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BAR_WIDTH = 16
BAR_GLYPHS = {"accurate": "█", "candidate": "▓", "failed": "▒"}
"""Differ in lightness, so that the bar reads without colours."""
TWO_COLUMNS_FROM = 136
"""Columns from which tables stand side by side."""
TALL_FROM = 45
"""Lines from which nothing is left out."""
FEW = 4
"""Generations, temperatures, failed units and events shown on a low terminal."""

UNIT_STATES = ("done", "running", "open", "quarantined")
STATE_STYLES = {"running": "bold green", "finished": "bold green", "new": "bold"}
TROUBLE = "bold yellow"


def render_status(
    status: Mapping[str, Any], name: str, *, width: int, height: int | None = None
) -> RenderableType:
    """Draw a status.

    Parameters
    ----------
    status
        As :func:`dasksse.report.status_data.read_status` gives it.
    name
        What to call the run.
    width
        Columns of the terminal.
    height
        Lines of the terminal; everything is drawn when None.
    """
    is_low = height is not None and height < TALL_FROM
    most = FEW if is_low else None
    left = [_generations(status, most), _diffusion(status, most)]
    right = [_pools(status), _units_in_words(status) if is_low else _units(status)]
    last = [_quarantined(status), _events(status, most)]
    if width < TWO_COLUMNS_FROM:
        return _stack([_head(status, name), *left, *right, *last])
    both = Table.grid(padding=(0, 4))
    both.add_row(_stack(left), _stack(right))
    return _stack([_head(status, name), both, *last])


def _stack(parts: Iterable[RenderableType | None]) -> Group:
    """Parts that are there, with an empty line between them."""
    lines: list[RenderableType] = []
    for part in parts:
        if part is not None:
            lines += [Text(), part] if lines else [part]
    return Group(*lines)


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(Text(first, style="bold not dim"), no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _head(status: Mapping[str, Any], name: str) -> Text:
    state = status["state"]
    head = Text.assemble((name, "bold"), ": ", (state, STATE_STYLES.get(state, TROUBLE)))
    if status["iteration"] is not None:
        head.append(f", generation {status['iteration']}")
    if status["stage"] and state != "finished":
        head.append(f", {status['stage']}")
    labels = status["labels"]
    head.append(
        f"\nlabels {labels['done']} done, {labels['running']} running, "
        f"{labels['queued']} queued, {labels['quarantined']} quarantined"
    )
    if status["not_labelled"]:
        why = format_counts(status["not_labelled"])
        head.append(f"\nwithout label: {why}", style=TROUBLE)
    times = [f"{format_duration(status['wall_s'])} so far"]
    times.append(format_core_time(SECONDS_PER_HOUR * status["core_hours"]))
    if is_known(status["eta_s"]):
        times.append(f"at most {format_duration(status['eta_s'])} to go")
    head.append("\n" + ", ".join(times))
    if status["dashboard"] and state == "running":
        head.append(f"\ndashboard {status['dashboard']}")
    return head


def _generations(status: Mapping[str, Any], most: int | None) -> Table | None:
    """Shares of each generation, and the force error of its ensemble on the probe."""
    shares = {row["generation"]: row for row in status["generations"]}
    probes = {row["generation"]: row for row in status["probe"]}
    generations = sorted(shares.keys() | probes.keys())
    if not generations:
        return None
    table = _table("generation", *SHARE_COLOURS, "labels", "probe meV/Å", "")
    for generation in generations[-most:] if most else generations:
        row = shares.get(generation)
        cells = [UNKNOWN] * 4
        if row is not None:
            cells = [f"{100 * row[verdict]:.1f} %" for verdict in SHARE_COLOURS]
            cells.append(str(row["n_labels"]))
        error = probes.get(generation, {}).get("force_rmse_meV_A")
        cells.append(f"{error:.0f}" if is_known(error) else UNKNOWN)
        table.add_row(str(generation), *cells, _bar(row))
    return table


def _bar(row: Mapping[str, Any] | None) -> Text:
    """The three shares as one bar."""
    bar = Text()
    end, filled = 0.0, 0
    for verdict, colour in SHARE_COLOURS.items():
        end += row[verdict] if row is not None else 0.0
        upto = round(BAR_WIDTH * end)
        bar.append(BAR_GLYPHS[verdict] * (upto - filled), style=colour)
        filled = upto
    return bar


def _diffusion(status: Mapping[str, Any], most: int | None) -> Table | None:
    if not status["D"]:
        return None
    table = _table("diffusion", "T (K)", "D (m²/s)", "")
    table.columns[3].justify = "left"
    for point in status["D"][-most:] if most else status["D"]:
        cells = [f"{point['system']} {point['species']}", f"{point['temperature_K']:g}"]
        bound = point["upper_bound_m2_s"]
        if is_known(point["D_m2_s"]):
            cells.append(format_value_error(point["D_m2_s"], point["D_err_m2_s"]))
        else:
            below = f"below {format_number(bound, digits=2)}"
            cells.append(below if is_known(bound) else "not resolved")
        table.add_row(*cells, point["regime"])
    return table


def _pools(status: Mapping[str, Any]) -> Group | None:
    """Jobs and units of each pool, and why a pool has no more jobs."""
    if not status["pools"]:
        return None
    table = _table("pool", "jobs running", "queued", "at most", "workers", "busy")
    troubles = []
    for pool in status["pools"]:
        counts = [pool[n] for n in ("jobs_running", "jobs_queued", "max_jobs", "workers")]
        table.add_row(pool["name"], *(str(n) for n in counts), str(pool["units_running"]))
        if pool["trouble"]:
            troubles.append(Text(f"{pool['name']}: {pool['trouble']}", style=TROUBLE))
    return Group(table, *troubles)


def _units(status: Mapping[str, Any]) -> Table | None:
    if not status["units"]:
        return None
    table = _table("units", *UNIT_STATES)
    for kind, counts in status["units"].items():
        cells = [Text(str(counts[n]) if counts[n] else UNKNOWN) for n in UNIT_STATES]
        if counts["quarantined"]:
            cells[-1].stylize(TROUBLE)
        table.add_row(kind, *cells)
    return table


def _units_in_words(status: Mapping[str, Any]) -> Text | None:
    """The table of units in two or three lines."""
    if not status["units"]:
        return None
    parts = []
    for kind, counts in status["units"].items():
        known = [f"{counts[n]}\N{NO-BREAK SPACE}{n}" for n in UNIT_STATES if counts[n]]
        parts.append(f"{kind} {', '.join(known)}")
    return Text.assemble(("units", "bold"), "  ", "; ".join(parts))


def _quarantined(status: Mapping[str, Any]) -> Group | None:
    """The last few units that failed for good, with the first line of the reason."""
    units = status["quarantined"]
    if not units:
        return None
    lines = [Text(f"quarantined: {len(units)}", style=TROUBLE)]
    for unit in units[-FEW:]:
        reason = (unit["error"].splitlines() or ["no message"])[0]
        lines.append(Text(f"{unit['kind']} {unit['key']}: {reason}"))
    return Group(*lines)


def _events(status: Mapping[str, Any], most: int | None) -> Group | None:
    events = status["events"][-most:] if most else status["events"]
    if not events:
        return None
    lines = [
        Text(text.splitlines()[0], no_wrap=True, overflow="ellipsis") for text in events if text
    ]
    return Group(Text("last events", style="bold"), *lines)
