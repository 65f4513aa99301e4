"""What ``dasksse arrhenius`` shows in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from dasksse.report.arrhenius_text import (
    FORM_TITLES,
    Row,
    experiment_rows,
    form_rows,
    parameters_text,
    point_rows,
    result_lines,
    size_rows,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from dasksse.analyse.experiment import ExperimentPoint
    from dasksse.analyse.fitted_points import FittedPoints


def print_fitted(
    console: Console, one: FittedPoints, experiment: Sequence[ExperimentPoint]
) -> None:
    """Points, fit, verdict and what to be careful about."""
    title = f"D(T) of {one.name}" if one.name else "D(T)"
    console.print(_table(title, point_rows(one.points)))
    if one.sizes:
        console.print(_table("Infinite size, by 1/L", size_rows(one.sizes)))
        for temperature_K, size in one.sizes.items():
            _print_notes(console, [f"{temperature_K:g} K: {note}" for note in size.notes])
    if one.fit is None:
        _print(console, f"no fit: {one.trouble}")
        return
    if one.fit.alternatives:
        console.print(_table("Forms", form_rows(one.fit)))
        for form in (one.fit, *one.fit.alternatives.values()):
            if form.form != "line":
                _print(console, f"{FORM_TITLES[form.form]}: {parameters_text(form)}")
    for line in (*result_lines(one.fit), verdict(one.fit)):
        _print(console, line)
    _print_notes(console, one.fit.notes)
    if experiment:
        console.print(_table("Experiment", experiment_rows(one.fit, experiment)))


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False)


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        _print(console, f"care: {note}")


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in rows[0]:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row.values()))
    return table
