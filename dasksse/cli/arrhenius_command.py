"""``dasksse arrhenius``: activation energy and extrapolated D from D(T)."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.cli.consoles import wide_console
from dasksse.errors import ConfigError
from dasksse.store.folders import write_atomically, write_json
from dasksse.store.layout import STORE_NAME

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from dasksse.analyse.diffusion_points import DiffusionPoint
    from dasksse.analyse.experiment import ExperimentPoint
    from dasksse.analyse.fitted_points import FittedPoints

PLOTS = (".png", ".svg", ".pdf")
TABLES = (".md", ".tex")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="CSV, JSON of diffusion, run or store",
    )
    parser.add_argument("--at-K", type=float, default=300.0, help="extrapolate to here")
    parser.add_argument("--form", default="line", help="line, two-segment or vtf")
    parser.add_argument("--species", help="what diffuses; only its results are used")
    parser.add_argument("--density-A3", type=float, help="carriers per volume, 1/Å³")
    parser.add_argument("--charge", type=float, default=1.0, help="of a carrier, in e")
    parser.add_argument(
        "--exclude-K",
        type=float,
        nargs="+",
        default=[],
        metavar="T",
        help="temperatures to leave out",
    )
    parser.add_argument("--min-K", type=float, default=0.0, help="coldest temperature used")
    parser.add_argument("--max-K", type=float, default=1e9, help="hottest temperature used")
    parser.add_argument(
        "--transition-K",
        type=float,
        nargs="+",
        default=[],
        metavar="T",
        help="known transitions; a fit or extrapolation across one is flagged",
    )
    parser.add_argument(
        "--size-extrapolation",
        action="store_true",
        help="cells of several sizes (L_A or n_atoms): use D of infinite size, by 1/L",
    )
    parser.add_argument("--columns", default="", help="CSV: names of T, D, its error[, bound]")
    parser.add_argument("--unit", default="m2/s", help="CSV with --columns: m2/s or cm2/s")
    parser.add_argument("--experiment", type=Path, help="CSV of measured D or conductivity")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--plot", type=Path, help="write a figure: *.png, *.svg or *.pdf")
    parser.add_argument("--table", type=Path, help="write a table to publish: *.tex or *.md")


def command(arguments: Namespace) -> int:
    """Read, fit, print; write JSON, figure and table when asked.

    Raises
    ------
    ConfigError
        When the input is wrong or supports no fit.
    """
    from dasksse.analyse.experiment import read_experiment_csv
    from dasksse.analyse.fitted_points import fit_points
    from dasksse.cli.arrhenius_view import print_fitted

    _check(arguments)
    groups = _read(arguments)
    carriers = {name: _carriers(points, arguments) for name, points in groups.items()}
    experiment: list[ExperimentPoint] = []
    if arguments.experiment is not None:
        known = [density for density in carriers.values() if density is not None]
        experiment = read_experiment_csv(
            arguments.experiment, squared_charge_density_A3=known[0] if known else None
        )
    fitted = [
        fit_points(
            points,
            name=name,
            at_K=arguments.at_K,
            form=arguments.form,
            squared_charge_density_A3=carriers[name],
            is_size_extrapolated=arguments.size_extrapolation,
            transitions_K=arguments.transition_K,
        )
        for name, points in groups.items()
    ]
    console = wide_console()
    for one in fitted:
        print_fitted(console, one, experiment)
    if all(one.fit is None for one in fitted):
        listed = ", ".join(map(str, arguments.paths))
        msg = f"{listed}: {'; '.join(one.trouble for one in fitted)}"
        raise ConfigError(msg)
    _write(fitted, experiment, arguments)
    return 0


def _check(arguments: Namespace) -> None:
    """Refuse options out of range before anything is read."""
    from dasksse.analyse.temperature_laws import FORMS

    if arguments.form not in FORMS:
        msg = f"--form: found {arguments.form!r}, allowed: {', '.join(FORMS)}"
        raise ConfigError(msg)
    for name in ("at_K", "density_A3"):
        value = getattr(arguments, name)
        if value is not None and not 0.0 < value < float("inf"):
            option = "--" + name.replace("_", "-")
            msg = f"{option}: found {value:g}, allowed: more than 0"
            raise ConfigError(msg)
    for name, allowed in (("plot", PLOTS), ("table", TABLES)):
        path = getattr(arguments, name)
        if path is not None and path.suffix not in allowed:
            msg = f"--{name}: found {str(path)!r}, allowed: a name that ends with one of "
            raise ConfigError(msg + ", ".join(allowed))
    if arguments.unit != "m2/s" and not arguments.columns:
        msg = "--unit goes with --columns; columns such as D_cm2_s have their unit in the name"
        raise ConfigError(msg)


def _read(arguments: Namespace) -> dict[str, list[DiffusionPoint]]:
    """Points of every system in the given files and runs, marked where left out."""
    from dasksse.analyse.diffusion_points import leave_out

    groups: dict[str, list[DiffusionPoint]] = {}
    for path in arguments.paths:
        for name, points in _read_path(path, arguments).items():
            groups.setdefault(name, []).extend(points)
    temperatures = {point.temperature_K for points in groups.values() for point in points}
    for excluded in arguments.exclude_K:
        if excluded not in temperatures:
            listed = ", ".join(f"{T:g}" for T in sorted(temperatures))
            msg = f"--exclude-K: found {excluded:g}, allowed: temperatures read: {listed}"
            raise ConfigError(msg)
    return {
        name: leave_out(
            points,
            exclude_K=arguments.exclude_K,
            min_K=arguments.min_K,
            max_K=arguments.max_K,
        )
        for name, points in groups.items()
    }


def _read_path(path: Path, arguments: Namespace) -> dict[str, list[DiffusionPoint]]:
    from dasksse.analyse.diffusion_tables import read_diffusion_csv, read_diffusion_json

    if not path.exists():
        msg = f"{path}: no such file or folder"
        raise ConfigError(msg)
    if not path.is_dir() and path.suffix != ".json":
        columns = [name.strip() for name in arguments.columns.split(",") if name.strip()]
        points = read_diffusion_csv(path, columns=columns, unit=arguments.unit)
        return {arguments.species or "": points}
    if path.suffix == ".zarr":
        groups = _read_store(path, arguments.species)
    else:
        groups = _read_run(path) if path.is_dir() else read_diffusion_json(path)
    if arguments.species is None:
        return groups
    chosen = {name: p for name, p in groups.items() if arguments.species in name.split()}
    if not chosen:
        msg = f"{path}: no results of {arguments.species!r}; found {', '.join(groups)}"
        raise ConfigError(msg)
    return chosen


def _read_run(path: Path) -> dict[str, list[DiffusionPoint]]:
    """Points of each system of a run."""
    from dasksse.analyse.diffusion_tables import group_results
    from dasksse.cli.status_command import open_run
    from dasksse.report.run_units import RunUnits

    records = RunUnits(*open_run(path)).results("diffusion")
    if not records:
        msg = (
            f"{path}: no diffusion results yet: its production has not been analysed. For D "
            f"from the frames that are there give its store, {path / STORE_NAME}"
        )
        raise ConfigError(msg)
    return group_results(
        ({"group": record["group"], **point}, f"{path}: {record['group']}")
        for record in records
        for point in record["points"]
    )


def _read_store(path: Path, species: str | None) -> dict[str, list[DiffusionPoint]]:
    """Points of each system of a store, computed as ``dasksse diffusion`` does."""
    from dasksse.analyse.diffusion_tables import group_results
    from dasksse.cli.diffusion_command import add_arguments, analyse_store

    parser = ArgumentParser()
    add_arguments(parser)
    words = [str(path), "--no-framework"]
    rows = analyse_store(parser.parse_args(words + (["--species", species] if species else [])))
    return group_results((row.to_json(), f"{path}: {row.one.title}") for row in rows)


def _carriers(points: Sequence[DiffusionPoint], arguments: Namespace) -> float | None:
    """Squared charge times density of the carriers [e²/Å³], as given or from the points."""
    from dasksse.analyse.diffusion_points import squared_charge_density_A3

    if arguments.density_A3 is not None:
        return float(arguments.charge**2 * arguments.density_A3)
    return squared_charge_density_A3(points)


def _write(
    fitted: Sequence[FittedPoints],
    experiment: Sequence[ExperimentPoint],
    arguments: Namespace,
) -> None:
    """Files that were asked for."""
    from dasksse.report.arrhenius_table import latex_table, markdown_table
    from dasksse.report.figures.arrhenius_fits import arrhenius_fits
    from dasksse.report.figures.style import save_figure

    if arguments.json is not None:
        values = [one.to_json() for one in fitted]
        write_json(arguments.json, values[0] if len(values) == 1 else {"results": values})
    if arguments.table is not None:
        as_text = latex_table if arguments.table.suffix == ".tex" else markdown_table
        write_atomically(arguments.table, as_text(fitted))
    if arguments.plot is not None:
        figure = arrhenius_fits(
            fitted=fitted, experiment=experiment, species=arguments.species or ""
        )
        save_figure(figure, arguments.plot)
