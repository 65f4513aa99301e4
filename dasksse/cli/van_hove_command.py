"""``dasksse van-hove``: how far ions have come after some time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from dasksse.cli.diffusion_command import PLOTS, carrier, known_of
from dasksse.cli.stored_runs import add_choice, check_folder, chosen_sets
from dasksse.errors import AnalysisError, ConfigError
from dasksse.store.folders import write_json

if TYPE_CHECKING:
    import argparse

    from dasksse.analyse.van_hove import SelfVanHove
    from dasksse.cli.stored_runs import RunSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add_choice(parser)
    add("--species", help="mobile element; the run's own, or Li, Na ... when absent")
    add(
        "--lags-ps",
        type=float,
        nargs="+",
        metavar="T",
        help="times to look at; five up to a third of the shortest run when absent",
    )
    add("--bin-A", type=float, default=0.1, help="width of a bin")
    add(
        "--equilibration-ps",
        type=float,
        metavar="T",
        help="leave out at the start of each run; planned or found when absent",
    )
    add("--json", type=Path, help="write the numbers to this file")
    add("--plot", type=Path, help="draw them into this file, *.png, *.svg or *.pdf")


def command(arguments: argparse.Namespace) -> int:
    """Print a line for each lag; write JSON and a figure when asked.

    Raises
    ------
    ConfigError
        When the store has no such runs or element, or an option does not fit them.
    """
    for option in ("json", "plot"):
        if (path := getattr(arguments, option)) is not None:
            check_folder(path, f"--{option}")
    if arguments.plot is not None and arguments.plot.suffix not in PLOTS:
        msg = f"--plot: found {arguments.plot.name!r}, allowed: names on {', '.join(PLOTS)}"
        raise ConfigError(msg)
    if not arguments.bin_A > 0.0:
        msg = f"--bin-A: found {arguments.bin_A:g}, allowed: more than 0"
        raise ConfigError(msg)
    try:
        found = [(one, *_analyse(one, arguments)) for one in chosen_sets(arguments)]
    except AnalysisError as error:
        raise ConfigError(str(error)) from error
    console = Console(soft_wrap=True, highlight=False)
    for one, species, notes, result in found:
        _print(console, f"{one.title}: {species}", notes, result)
    if arguments.json is not None:
        values = [_json(*each) for each in found]
        write_json(arguments.json, values[0] if len(values) == 1 else {"results": values})
    if arguments.plot is not None:
        from dasksse.report.figures.style import save_figure
        from dasksse.report.figures.van_hove import van_hove

        titled = [(f"{one.title}: {species}", result) for one, species, _, result in found]
        save_figure(van_hove(titled), arguments.plot)
    return 0


def _analyse(
    one: RunSet, arguments: argparse.Namespace
) -> tuple[str, tuple[str, ...], SelfVanHove]:
    """Mobile element, what was left out, and its van Hove function."""
    from dasksse.analyse.transport import choose_frames, reference_of
    from dasksse.analyse.van_hove import self_van_hove

    species = arguments.species or carrier(one, known_of(arguments.store))
    usage = choose_frames(one.runs, species, equilibration_ps=arguments.equilibration_ps)
    result = self_van_hove(
        usage.runs,
        species,
        arguments.lags_ps,
        bin_A=arguments.bin_A,
        reference=reference_of(usage.runs[0], species, "framework"),
        first_frames=usage.first_frames,
    )
    return species, usage.notes, result


def _print(console: Console, title: str, notes: tuple[str, ...], result: SelfVanHove) -> None:
    runs = "1 run" if result.n_runs == 1 else f"{result.n_runs} runs"
    console.print(f"{title}: {runs}, {result.n_ions} ions in each", markup=False)
    table = Table(box=None, pad_edge=False)
    for column in ("lag (ps)", "MSD (Å²)", "most likely r (Å)", "non-Gaussian α₂"):
        table.add_column(column, justify="right")
    likely_A = result.r_A[result.per_distance_1_A.argmax(axis=1)]
    for lag_ps, msd_A2, r_A, alpha in zip(
        result.lag_ps, result.msd_A2, likely_A, result.non_gaussian, strict=True
    ):
        table.add_row(f"{lag_ps:.4g}", f"{msd_A2:.4g}", f"{r_A:.2f}", f"{alpha:.2f}")
    console.print(table)
    for note in notes:
        console.print(note, markup=False)


def _json(
    one: RunSet, species: str, notes: tuple[str, ...], result: SelfVanHove
) -> dict[str, Any]:
    return {
        "group": one.group,
        "system": one.system,
        "species": species,
        "temperature_K": one.temperature_K,
        "pressure_GPa": one.pressure_GPa,
        "n_runs": result.n_runs,
        "n_ions": result.n_ions,
        "lag_ps": result.lag_ps.tolist(),
        "r_A": result.r_A.tolist(),
        "density_1_A3": result.density_A3.tolist(),
        "per_distance_1_A": result.per_distance_1_A.tolist(),
        "msd_A2": result.msd_A2.tolist(),
        "non_gaussian": result.non_gaussian.tolist(),
        "notes": list(notes),
    }
