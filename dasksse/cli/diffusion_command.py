"""``dasksse diffusion``: D, its error, Haven ratio and conductivity of stored trajectories."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ase.data import chemical_symbols
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from dasksse.cli.consoles import wide_console
from dasksse.cli.diffusion_view import print_results
from dasksse.cli.stored_runs import add_choice, check_folder, chosen_sets
from dasksse.errors import AnalysisError, ConfigError
from dasksse.store.folders import write_json
from dasksse.store.layout import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.analyse.block_sums import Starmap
    from dasksse.analyse.paths import Reference
    from dasksse.analyse.transport import Usage
    from dasksse.cli.diffusion_view import Row
    from dasksse.cli.stored_runs import RunSet

PLOTS = (".png", ".svg", ".pdf")
USUAL_CARRIERS = ("Li", "Na", "Ag", "K", "Cu", "Mg", "Zn")
"""Elements taken for the mobile one where nobody names it, the first that is there."""
CHARGES = {
    "H": 1, "Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Ag": 1, "Cu": 1, "Tl": 1,
    "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3, "O": -2, "S": -2, "F": -1, "Cl": -1, "Br": -1, "I": -1,
}  # fmt: skip
"""Formal charges [e], for conductivities."""
MEMORY_MB = 400
DIRECTIONS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add_choice(parser)
    add("--species", help="mobile element; the run's own, or Li, Na ... when absent")
    add("--charge", type=float, help="of a mobile ion, in e; its usual one when absent")
    add(
        "--equilibration-ps",
        type=float,
        metavar="T",
        help="leave out at the start of each run; planned or found when absent",
    )
    add(
        "--reference",
        default="framework",
        help="what stands still: framework, all, none, or elements such as P,S",
    )
    add(
        "--direction",
        metavar="DIR",
        help="last axis of D: x, y, z, a lattice vector a, b, c, or numbers such as 1,1,0",
    )
    add(
        "--framework",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look whether the other elements stay at their places",
    )
    add("--threads", type=int, help="blocks of ions at a time; one per core when absent")
    add("--memory-MB", type=int, default=MEMORY_MB, help=f"for all threads ({MEMORY_MB})")
    add("--scheduler", metavar="ADDRESS", help="work on the Dask cluster of this scheduler")
    add("--json", type=Path, help="write the numbers to this file")
    add("--plot", type=Path, help="draw MSDs of all elements into this file")


def command(arguments: argparse.Namespace) -> int:
    """Print a table of D; write JSON and a figure when asked.

    Raises
    ------
    ConfigError
        When the store has no such runs or elements, or an option does not fit them.
    """
    _check(arguments)
    console = wide_console()
    rows = analyse_store(arguments)
    print_results(console, rows)
    if arguments.json is not None:
        values = [row.to_json() for row in rows]
        write_json(arguments.json, values[0] if len(values) == 1 else {"results": values})
    if arguments.plot is not None:
        from dasksse.report.figures.msd import msd
        from dasksse.report.figures.style import save_figure

        production = [row.to_production() for row in rows]
        figure = msd(production=production, mobile_species=rows[0].result.species)
        save_figure(figure, arguments.plot)
    return 0


def analyse_store(arguments: argparse.Namespace) -> list[Row]:
    """Diffusion of each system, temperature and pressure, with the options of this command.

    Raises
    ------
    ConfigError
        When the store has no such runs or elements, or an option does not fit them.
    """
    sets = chosen_sets(arguments)
    try:
        return [_row(one, arguments) for one in sets]
    except AnalysisError as error:
        raise ConfigError(str(error)) from error


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options out of range before anything is read."""
    for option in ("json", "plot"):
        if (path := getattr(arguments, option)) is not None:
            check_folder(path, f"--{option}")
    if arguments.plot is not None and arguments.plot.suffix not in PLOTS:
        msg = f"--plot: found {arguments.plot.name!r}, allowed: names on {', '.join(PLOTS)}"
        raise ConfigError(msg)
    for option, least in (("threads", 1), ("memory_MB", 1), ("equilibration_ps", 0)):
        value = getattr(arguments, option)
        if value is not None and not value >= least:
            name = option.replace("_", "-")
            msg = f"--{name}: found {value:g}, allowed: numbers of at least {least}"
            raise ConfigError(msg)


def _row(one: RunSet, arguments: argparse.Namespace) -> Row:
    """Analyse runs of one system at one temperature."""
    from dasksse.analyse.paths import axes_along
    from dasksse.analyse.transport import choose_frames, count_blocks, diffuse, framework_msd
    from dasksse.analyse.vibration import can_be_followed, framework_motion, melted_elements
    from dasksse.cli.diffusion_view import Row

    known = known_of(arguments.store)
    species = arguments.species or carrier(one, known)
    usage = choose_frames(one.runs, species, equilibration_ps=arguments.equilibration_ps)
    n_threads = arguments.threads or len(os.sched_getaffinity(0))
    memory_bytes = arguments.memory_MB * 1_000_000 // n_threads
    elements = {chemical_symbols[number] for number in one.runs[0].numbers}
    drawn = elements if arguments.plot is not None else {species}
    n_blocks = count_blocks(usage, sorted(drawn), memory_bytes=memory_bytes)
    with (
        starmap_at(arguments.scheduler, n_threads) as starmap,
        _progress(one.title, n_blocks) as counted,
    ):
        result = diffuse(
            usage,
            species,
            charge=_charge(species, arguments.charge),
            trust_eV_A=known.get("trust_eV_A"),
            reference=_reference(arguments.reference),
            axes=_axes(arguments.direction, usage, axes_along),
            memory_bytes=memory_bytes,
            starmap=counted(starmap),
        )
        curves: Mapping[str, NDArray[np.float64]] = {}
        if arguments.plot is not None:
            curves = framework_msd(
                usage, species, memory_bytes=memory_bytes, starmap=counted(starmap)
            )
    framework = None
    if arguments.framework and can_be_followed(usage, species):
        framework = framework_motion(
            usage.runs, species, first_frames=usage.first_frames, memory_bytes=memory_bytes
        )
        melted: tuple[str, ...] | None = framework.melted
    else:
        melted = melted_elements(usage, species, memory_bytes=memory_bytes)
    return Row(one, usage, result, curves, framework, melted)


def known_of(where: Path) -> dict[str, Any]:
    """Mobile element and trust level of a learning run; nothing of other stores."""
    known: dict[str, Any] = {}
    mobile = open_store(where, mode="r").attrs.get("mobile_species")
    if mobile:
        known["mobile_species"] = str(mobile)
    resolved = where / "config.resolved.yaml"
    if resolved.is_file():
        config = yaml.safe_load(resolved.read_text(encoding="utf-8")) or {}
        high = ((config.get("select") or {}).get("trust") or {}).get("high_eV_A")
        known |= {} if high is None else {"trust_eV_A": float(high)}
    return known


def carrier(one: RunSet, known: dict[str, Any]) -> str:
    """Mobile element where nobody names it."""
    present = {chemical_symbols[number] for number in one.runs[0].numbers}
    if known.get("mobile_species") in present:
        return str(known["mobile_species"])
    for element in USUAL_CARRIERS:
        if element in present:
            return element
    msg = f"{one.group}: --species is needed; elements present: {', '.join(sorted(present))}"
    raise ConfigError(msg)


def _charge(species: str, given: float | None) -> float | None:
    usual = CHARGES.get(species)
    return given if given is not None else (None if usual is None else float(usual))


def _reference(text: str) -> Reference:
    if text in {"framework", "all", "none"}:
        return text  # type: ignore[return-value] # one of the three
    return tuple(text.split(","))


def _axes(text: str | None, usage: Usage, axes_along: Callable[..., Any]) -> Any:  # noqa: ANN401 - array or None
    """Three axes at right angles, the last along what is asked for."""
    if text is None:
        return None
    cell = usage.runs[0].cells().mean(axis=0)
    named = DIRECTIONS | dict(zip("abc", cell, strict=True))
    if text in named:
        return axes_along(named[text])
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(DIRECTIONS) or not any(numbers):
        msg = f"--direction: found {text!r}, allowed: {', '.join(named)}, or numbers x,y,z"
        raise ConfigError(msg)
    return axes_along(numbers)


def starmap_at(address: str | None, n_threads: int) -> AbstractContextManager[Starmap]:
    """What works on blocks of ions: threads, or the Dask cluster of a scheduler."""
    from dasksse.engine.reductions import dask_starmap, thread_starmap

    return thread_starmap(n_threads) if address is None else dask_starmap(address)


@contextmanager
def _progress(title: str, n_blocks: int) -> Iterator[Callable[[Starmap], Starmap]]:
    """Bar that moves with each block of ions; makes a starmap that moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blocks of atoms"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=n_blocks)

        def counted(starmap: Starmap) -> Starmap:
            def moving(
                function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], /
            ) -> Iterator[Any]:
                for result in starmap(function, calls):
                    progress.advance(task)
                    yield result

            return moving

        yield counted
