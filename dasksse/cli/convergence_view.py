"""What ``dasksse convergence`` shows in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from dasksse.analyse.length_verdict import format_length
from dasksse.report.formats import (
    UNKNOWN,
    format_number,
    format_upper_bound,
    format_value_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from dasksse.analyse.convergence import ConvergenceInTime
    from dasksse.analyse.length_verdict import TimeWindow, WindowSet
    from dasksse.analyse.size_convergence import ConvergenceInSize

UNIT = "m²/s"


def print_convergence(
    console: Console,
    found: Sequence[tuple[str, ConvergenceInTime]],
    sizes: Sequence[ConvergenceInSize],
    wanted: Sequence[Mapping[str, Any]],
) -> None:
    """Tables and verdicts by length, by size, and the runs that would settle it."""
    for title, one in found:
        runs = "1 run" if len(one.runs) == 1 else f"{len(one.runs)} runs"
        console.print(_lengths(f"{title}: D({one.species}) in {UNIT}, {runs}", one))
        _say(console, one.verdict.text)
        for note in one.notes:
            _say(console, f"care: {note}")
        console.print()
    for size in sizes:
        console.print(_cells(size))
        _say(console, size.text)
        if size.infinite is not None:
            D = format_value_error(size.infinite.D_m2_s, size.infinite.D_err_m2_s, UNIT)
            _say(console, f"infinite cell, by 1/L: {D}")
            for note in size.infinite.notes:
                _say(console, f"care: {note}")
        console.print()
    if wanted:
        console.print(_runs(wanted))
    else:
        _say(console, "no run needs to be longer")


def _lengths(title: str, one: ConvergenceInTime) -> Table:
    table = _table(title, "length", "first part", "windows", "mean", "scatter", "stated error")
    sets = {round(each.length_ps, 6): each for each in one.window_sets}
    for window in one.nested:
        apart = _apart(sets.get(round(window.length_ps, 6)))
        table.add_row(format_length(window.length_ps), _value(window), *apart)
    return table


def _value(window: TimeWindow) -> str:
    if window.D_m2_s is not None:
        return format_value_error(window.D_m2_s, window.D_err_m2_s)
    regime = window.regime.replace("_", " ")
    if window.upper_bound_m2_s is None:
        return regime
    return f"{format_upper_bound(window.upper_bound_m2_s)}, {regime}"


def _apart(one: WindowSet | None) -> tuple[str, ...]:
    if one is None:
        return ("", "", "", "")
    return (
        f"{len(one.known)} of {len(one.windows)}",
        format_number(one.mean_m2_s, digits=2),
        format_number(one.scatter_m2_s, digits=2),
        format_number(one.stated_m2_s, digits=2),
    )


def _cells(size: ConvergenceInSize) -> Table:
    at = "" if size.temperature_K is None else f" at {size.temperature_K:g} K"
    table = _table(f"Cell size{at}", "cell", "atoms", "L (Å)", f"D ({UNIT})")
    for cell in size.cells:
        D = format_value_error(cell.D_m2_s, cell.D_err_m2_s)
        if cell.D_m2_s is None:
            D = format_upper_bound(cell.upper_bound_m2_s)
        table.add_row(cell.name, str(cell.n_atoms), f"{cell.length_A:.1f}", D)
    return table


def _runs(wanted: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Runs that would settle it", "system", "T (K)", "replica", "now", "wanted")
    for run in wanted:
        temperature_K = run["temperature_K"]
        least = "at least " if run["is_lower_bound"] else ""
        table.add_row(
            run["system"],
            UNKNOWN if temperature_K is None else f"{temperature_K:g}",
            str(run["replica"]),
            format_length(run["length_ps"]),
            least + format_length(run["wanted_ps"]),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), justify="left" if column == columns[0] else "right")
    return table


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False)
