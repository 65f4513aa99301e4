"""``dasksse convergence``: whether runs are long enough and cells large enough for D."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from dasksse.cli.consoles import wide_console
from dasksse.cli.convergence_view import print_convergence
from dasksse.cli.diffusion_command import MEMORY_MB, PLOTS, carrier, known_of, starmap_at
from dasksse.cli.stored_runs import check_folder, read_run_sets
from dasksse.errors import AnalysisError, ConfigError
from dasksse.store.folders import write_atomically, write_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from dasksse.analyse.convergence import ConvergenceInTime
    from dasksse.analyse.size_convergence import CellD, ConvergenceInSize
    from dasksse.cli.stored_runs import RunSet

LISTS = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Judged:
    """Runs of one system at one temperature, and what became of them.

    Attributes
    ----------
    store
        Where they come from.
    one
        The runs.
    found
        D against length.
    """

    store: Path
    one: RunSet
    found: ConvergenceInTime

    @property
    def cell(self) -> CellD:
        """D of the whole runs, and the size of the cell."""
        from dasksse.analyse.size_convergence import CellD

        whole, run = self.found.whole, self.one.runs[0]
        volume_A3 = float(np.abs(np.linalg.det(run.cells())).mean())
        return CellD(
            f"{self.store.name}:{self.one.group}{self.one.at_pressure}",
            len(run.numbers),
            volume_A3 ** (1.0 / 3.0),
            whole.D_m2_s,
            whole.D_err_m2_s,
            whole.upper_bound_m2_s,
        )

    @property
    def substance(self) -> tuple[tuple[int, int], ...]:
        """Atomic numbers and their counts in the smallest formula."""
        numbers, counts = np.unique(self.one.runs[0].numbers, return_counts=True)
        reduced = counts // np.gcd.reduce(counts)
        return tuple(zip(numbers.tolist(), reduced.tolist(), strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("stores", nargs="+", type=Path, metavar="STORE", help="stores (*.zarr) or run folders")
    add("--system", metavar="NAME", help="only this system or group")
    add("--temperature-K", type=float, metavar="T", help="only this temperature")
    add("--pressure-GPa", type=float, metavar="P", help="only this pressure")
    add("--species", help="mobile element; the run's own, or Li, Na ... when absent")
    add("--tolerance", type=float, default=0.1, help="relative error of D asked for (0.1)")
    add(
        "--lengths-ps",
        type=float,
        nargs="+",
        default=[],
        metavar="T",
        help="lengths to look at besides 1/16 ... 1 of the runs",
    )
    add(
        "--equilibration-ps",
        type=float,
        metavar="T",
        help="leave out at the start of each run; planned or found when absent",
    )
    add(
        "--size-extrapolation",
        action="store_true",
        help="of cells of several sizes: D of infinite size, by 1/L",
    )
    add("--threads", type=int, help="blocks of ions at a time; one per core when absent")
    add("--memory-MB", type=int, default=MEMORY_MB, help=f"for all threads ({MEMORY_MB})")
    add("--scheduler", metavar="ADDRESS", help="work on the Dask cluster of this scheduler")
    add("--json", type=Path, help="write the numbers to this file")
    add("--runs", type=Path, help="write the runs that would settle it: *.yaml or *.json")
    add("--plot", type=Path, help="draw D against length (and size) into this file")


def command(arguments: argparse.Namespace) -> int:
    """Print tables and verdicts; write JSON, list of runs and figure when asked.

    Raises
    ------
    ConfigError
        When the stores have no such runs or elements, or an option does not fit them.
    """
    _check(arguments)
    sets = [
        (store, one)
        for store in arguments.stores
        for one in read_run_sets(
            store,
            system=arguments.system,
            temperature_K=arguments.temperature_K,
            pressure_GPa=arguments.pressure_GPa,
        )
    ]
    try:
        judged = [_judge(store, one, arguments) for store, one in sets]
        sizes = _sizes(judged, arguments)
    except AnalysisError as error:
        raise ConfigError(str(error)) from error
    wanted = _wanted(judged, sizes)
    titles = _titles(judged)
    named = list(zip(titles, [each.found for each in judged], strict=True))
    print_convergence(wide_console(), named, sizes, wanted)
    _write(judged, named, sizes, wanted, arguments)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options out of range before anything is read."""
    for option, suffixes in (("json", ()), ("runs", LISTS), ("plot", PLOTS)):
        path = getattr(arguments, option)
        if path is None:
            continue
        check_folder(path, f"--{option}")
        if suffixes and path.suffix not in suffixes:
            msg = f"--{option}: found {path.name!r}, allowed: names on {', '.join(suffixes)}"
            raise ConfigError(msg)
    if not 0.0 < arguments.tolerance < 1.0:
        msg = f"--tolerance: found {arguments.tolerance:g}, allowed: between 0 and 1"
        raise ConfigError(msg)
    for length_ps in arguments.lengths_ps:
        if not length_ps > 0.0:
            msg = f"--lengths-ps: found {length_ps:g}, allowed: more than 0"
            raise ConfigError(msg)
    for option, least in (("threads", 1), ("memory_MB", 1), ("equilibration_ps", 0)):
        value = getattr(arguments, option)
        if value is not None and not value >= least:
            name = option.replace("_", "-")
            msg = f"--{name}: found {value:g}, allowed: numbers of at least {least}"
            raise ConfigError(msg)


def _judge(store: Path, one: RunSet, arguments: argparse.Namespace) -> Judged:
    """D against the length of the runs of one system at one temperature."""
    from dasksse.analyse.convergence import convergence_in_time

    n_threads = arguments.threads or len(os.sched_getaffinity(0))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("windows"),
        TimeRemainingColumn(),
    )
    with (
        starmap_at(arguments.scheduler, n_threads) as starmap,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task(one.title, total=None)
        found = convergence_in_time(
            one.runs,
            arguments.species or carrier(one, known_of(store)),
            tolerance=arguments.tolerance,
            lengths_ps=arguments.lengths_ps,
            equilibration_ps=arguments.equilibration_ps,
            memory_bytes=arguments.memory_MB * 1_000_000 // n_threads,
            starmap=starmap,
            on_window=lambda done, total: progress.update(task, completed=done, total=total),
        )
    return Judged(store, one, found)


def _sizes(judged: Sequence[Judged], arguments: argparse.Namespace) -> list[ConvergenceInSize]:
    """Comparison of sizes, for each substance, temperature and pressure with several.

    Imported runs seldom say their pressure: they go with those at none.
    """
    from dasksse.analyse.size_convergence import convergence_in_size

    groups: dict[Any, list[CellD]] = defaultdict(list)
    for each in judged:
        one = each.one
        groups[each.substance, one.temperature_K, one.pressure_GPa or 0.0].append(each.cell)
    return [
        convergence_in_size(
            cells,
            temperature_K=temperature_K,
            tolerance=arguments.tolerance,
            extrapolates=arguments.size_extrapolation,
        )
        for (_, temperature_K, _), cells in groups.items()
        if len({cell.n_atoms for cell in cells}) > 1
    ]


def _titles(judged: Sequence[Judged]) -> list[str]:
    """Group and temperature, with the store where there are several."""
    is_one = len({each.store for each in judged}) == 1
    return [
        each.one.title if is_one else f"{each.store.name}:{each.one.title}" for each in judged
    ]


def _wanted(
    judged: Sequence[Judged], sizes: Sequence[ConvergenceInSize]
) -> list[dict[str, Any]]:
    """Runs that should be longer: for their own D, or to tell sizes apart."""
    factors = {
        (name, size.temperature_K): size.length_factor
        for size in sizes
        if size.length_factor is not None
        for name in size.compared
    }
    return [
        entry
        for each in judged
        for entry in _entries(each, factors.get((each.cell.name, each.one.temperature_K), 1.0))
    ]


def _entries(each: Judged, factor: float) -> Iterable[dict[str, Any]]:
    names = [run.name for run in each.one.runs]
    verdict = each.found.verdict
    for run in each.found.runs:
        by_size_ps = run.equilibration_ps + factor * (run.present_ps - run.equilibration_ps)
        wanted_ps = max(run.wanted_ps, by_size_ps)
        if wanted_ps > run.present_ps * (1.0 + 1e-6):
            yield {
                "store": str(each.store),
                "system": each.one.system,
                "group": each.one.group,
                "temperature_K": each.one.temperature_K,
                "pressure_GPa": each.one.pressure_GPa,
                "replica": names.index(run.name),
                "length_ps": round(run.present_ps, 6),
                "wanted_ps": round(wanted_ps, 6),
                "is_lower_bound": verdict.is_lower_bound,
            }


def _write(
    judged: Sequence[Judged],
    named: Sequence[tuple[str, ConvergenceInTime]],
    sizes: Sequence[ConvergenceInSize],
    wanted: Sequence[dict[str, Any]],
    arguments: argparse.Namespace,
) -> None:
    """Files that were asked for."""
    if arguments.json is not None:
        results = [
            {
                "store": str(each.store),
                "group": each.one.group,
                "system": each.one.system,
                "pressure_GPa": each.one.pressure_GPa,
                **each.found.to_json(),
            }
            for each in judged
        ]
        values = {
            "tolerance": arguments.tolerance,
            "is_converged": all(each.found.verdict.is_converged for each in judged),
            "results": results,
            "sizes": [size.to_json() for size in sizes],
            "runs": list(wanted),
        }
        write_json(arguments.json, values)
    if arguments.runs is not None:
        if arguments.runs.suffix == ".json":
            write_json(arguments.runs, list(wanted))
        else:
            write_atomically(arguments.runs, yaml.safe_dump(list(wanted), sort_keys=False))
    if arguments.plot is not None:
        from dasksse.report.figures.convergence_in_time import convergence_in_time
        from dasksse.report.figures.style import save_figure

        save_figure(convergence_in_time(found=named, sizes=sizes), arguments.plot)
