"""``dasksse jumps``: sites of the mobile ions, their occupation, and the jumps between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from dasksse.cli.stored_runs import add_choice, check_folder, chosen_sets
from dasksse.errors import AnalysisError, ConfigError
from dasksse.store.folders import write_json

if TYPE_CHECKING:
    import argparse

    from dasksse.analyse.jumps import JumpResult
    from dasksse.analyse.sites import Sites
    from dasksse.cli.stored_runs import RunSet

DENSITY = "density"
PLOTS = (".png", ".svg", ".pdf")
MERGE_A, WINDOW_PS, DISTANCE_A = 1.0, 1.0, 4.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add = parser.add_argument
    add_choice(parser)
    add("--species", default="Li", help="mobile element; Li when absent")
    add(
        "--sites",
        default=DENSITY,
        metavar="FILE",
        help="structure with the sites, or density (when absent): where the ions are",
    )
    add("--supercell", metavar="A,B,C", help="unit cells along each vector of the cell")
    add(
        "--merge-A",
        type=float,
        default=MERGE_A,
        metavar="X",
        help=f"sites closer than this are one; {MERGE_A:g} when absent",
    )
    add("--radius-A", type=float, metavar="R", help="radius of a site; by distances if absent")
    add("--attempt-THz", type=float, metavar="X", help="attempt frequency, for barriers")
    add(
        "--window-ps",
        type=float,
        default=WINDOW_PS,
        metavar="X",
        help=f"time between concerted jumps at most; {WINDOW_PS:g} when absent",
    )
    add(
        "--distance-A",
        type=float,
        default=DISTANCE_A,
        metavar="X",
        help=f"distance between concerted jumps at most; {DISTANCE_A:g} when absent",
    )
    add("--json", type=Path, help="write the numbers to this file")
    add("--plot", type=Path, help="draw them into this file, *.png, *.svg or *.pdf")
    add("--csv", type=Path, help="write every jump to this file")


def command(arguments: argparse.Namespace) -> int:
    """Print tables for each system and temperature; write JSON, CSV and a figure when asked.

    Raises
    ------
    ConfigError
        When the store has no such runs or element, or sites and options do not fit them.
    """
    from dasksse.cli.jumps_view import print_jumps, write_csv

    for option in ("json", "plot", "csv"):
        if (path := getattr(arguments, option)) is not None:
            check_folder(path, f"--{option}")
    if arguments.plot is not None and arguments.plot.suffix not in PLOTS:
        msg = f"--plot: found {arguments.plot.name!r}, allowed: names on {', '.join(PLOTS)}"
        raise ConfigError(msg)
    sets = chosen_sets(arguments)
    supercell = _supercell(arguments.supercell)
    try:
        results = [(one, _analyse(one, arguments, supercell)) for one in sets]
    except AnalysisError as error:
        raise ConfigError(str(error)) from error
    console = Console(soft_wrap=True, highlight=False)
    for one, result in results:
        print_jumps(console, one, result)
    if arguments.json is not None:
        values = [
            {
                "group": one.group,
                "system": one.system,
                "pressure_GPa": one.pressure_GPa,
                **result.to_json(),
            }
            for one, result in results
        ]
        write_json(arguments.json, values[0] if len(values) == 1 else {"results": values})
    if arguments.csv is not None:
        write_csv(arguments.csv, results)
    if arguments.plot is not None:
        from dasksse.report.figures.jumps import jumps
        from dasksse.report.figures.style import save_figure

        save_figure(jumps([(one.title, result) for one, result in results]), arguments.plot)
    return 0


def _analyse(
    one: RunSet, arguments: argparse.Namespace, supercell: tuple[int, int, int] | None
) -> JumpResult:
    from dasksse.analyse.jumps import analyse_jumps
    from dasksse.analyse.paths import atoms_of
    from dasksse.analyse.stays import follow_sites

    atoms_of(one.runs[0], arguments.species)
    sites = _sites(one, arguments, supercell)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("blocks of ions")
        history = follow_sites(
            one.runs,
            sites,
            radius_A=arguments.radius_A,
            on_block=lambda done, total: progress.update(task, completed=done, total=total),
        )
    return analyse_jumps(
        history,
        temperature_K=one.temperature_K,
        attempt_THz=arguments.attempt_THz,
        window_ps=arguments.window_ps,
        distance_A=arguments.distance_A,
    )


def _sites(
    one: RunSet, arguments: argparse.Namespace, supercell: tuple[int, int, int] | None
) -> Sites:
    if arguments.sites == DENSITY:
        from dasksse.analyse.density_sites import density_sites

        return density_sites(
            one.runs,
            arguments.species,
            supercell=supercell or (1, 1, 1),
            merge_below_A=arguments.merge_A,
        )
    from dasksse.analyse.reference_sites import read_reference_sites

    run = one.runs[0]
    return read_reference_sites(
        Path(arguments.sites),
        arguments.species,
        run.cells(slice(run.n_equilibration, None)).mean(axis=0),
        supercell=supercell,
        merge_below_A=arguments.merge_A,
    )


def _supercell(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    try:
        a, b, c = map(int, text.split(","))
    except ValueError as error:
        msg = f"--supercell: found {text!r}; allowed: three whole numbers such as 2,2,1"
        raise ConfigError(msg) from error
    return a, b, c
