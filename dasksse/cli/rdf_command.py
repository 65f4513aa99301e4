"""``dasksse rdf``: radial distribution functions and coordination numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from dasksse.analyse.pair_stretches import frames_to_look_at
from dasksse.analyse.rdf import radial_distributions
from dasksse.cli.stored_runs import check_folder, chosen_sets
from dasksse.errors import AnalysisError, ConfigError
from dasksse.store.folders import write_json

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.analyse.rdf import RadialDistributions
    from dasksse.cli.stored_runs import RunSet

PLOTS = (".png", ".svg", ".pdf")
_NUMBERS = (
    "first_peak_A",
    "first_peak_err_A",
    "first_peak_g",
    "first_minimum_A",
    "first_minimum_err_A",
    "coordination",
    "coordination_err",
    "coordination_back",
    "coordination_back_err",
)


def command(arguments: argparse.Namespace) -> int:
    """Print a table for each system and temperature; write JSON and a figure when asked.

    Raises
    ------
    ConfigError
        When the store has no such runs or elements, or an option does not fit them.
    """
    for option in ("json", "plot"):
        if (path := getattr(arguments, option)) is not None:
            check_folder(path, f"--{option}")
    if arguments.plot is not None and arguments.plot.suffix not in PLOTS:
        msg = f"--plot: found {arguments.plot.name!r}, allowed: names on {', '.join(PLOTS)}"
        raise ConfigError(msg)
    sets = chosen_sets(arguments)
    try:
        results = [(one, _distributions(one, arguments)) for one in sets]
    except AnalysisError as error:
        raise ConfigError(str(error)) from error
    console = Console(soft_wrap=True, highlight=False)
    for one, result in results:
        _print(console, one, result)
    if arguments.json is not None:
        values = [_json(one, result) for one, result in results]
        write_json(arguments.json, values[0] if len(values) == 1 else {"results": values})
    if arguments.plot is not None:
        from dasksse.report.figures.rdf import rdf
        from dasksse.report.figures.style import save_figure

        save_figure(rdf([(one.title, result) for one, result in results]), arguments.plot)
    return 0


def _distributions(one: RunSet, arguments: argparse.Namespace) -> RadialDistributions:
    n_frames = sum(map(len, frames_to_look_at(one.runs, every=arguments.every)))
    pairs = None if arguments.pairs is None else arguments.pairs.split(",")
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("frames", total=n_frames)
        return radial_distributions(
            one.runs,
            pairs,
            r_max_A=arguments.r_max_A,
            bin_A=arguments.bin_A,
            every=arguments.every,
            on_frame=lambda: progress.advance(task),
        )


def _print(console: Console, one: RunSet, result: RadialDistributions) -> None:
    runs = "1 run" if result.n_runs == 1 else f"{result.n_runs} runs"
    console.print(
        f"{one.title}: {runs}, {result.n_frames} frames, one of {result.every}; "
        f"distances up to {result.r_max_A:.2f} Å",
        markup=False,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("A-B")
    for title in ("first peak (Å)", "g", "first minimum (Å)", "B around A", "A around B"):
        table.add_column(title, justify="right")
    for entry in result.pairs:
        table.add_row(
            entry.pair,
            _number(entry.first_peak_A, entry.first_peak_err_A),
            _number(entry.first_peak_g),
            _number(entry.first_minimum_A, entry.first_minimum_err_A),
            _number(entry.coordination, entry.coordination_err),
            _number(entry.coordination_back, entry.coordination_back_err),
        )
    console.print(table)


def _number(value: float, error: float = math.nan) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" + ("" if math.isnan(error) else f" ± {error:.2f}")


def _json(one: RunSet, result: RadialDistributions) -> dict[str, Any]:
    return {
        "group": one.group,
        "system": one.system,
        "temperature_K": one.temperature_K,
        "pressure_GPa": one.pressure_GPa,
        "n_runs": result.n_runs,
        "n_frames": result.n_frames,
        "every": result.every,
        "r_max_A": result.r_max_A,
        "pairs": [
            {"pair": entry.pair} | {name: _known(getattr(entry, name)) for name in _NUMBERS}
            for entry in result.pairs
        ],
        "r_A": result.r_A.tolist(),
        "g": {entry.pair: _column(entry.g) for entry in result.pairs},
        "g_err": {entry.pair: _column(entry.g_err) for entry in result.pairs},
        "neighbours": {entry.pair: _column(entry.neighbours) for entry in result.pairs},
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _column(values: NDArray[np.float64]) -> list[float | None]:
    return [_known(value) for value in values.tolist()]
