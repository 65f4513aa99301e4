"""``dasksse import``: trajectories of other programs, checked and unwrapped, into a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dasksse.cli.consoles import wide_console
from dasksse.store.folders import write_json
from dasksse.store.layout import DEFAULT_PRECISION_A

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from dasksse.intake import Hints, RunReport
    from dasksse.intake.run import RunReader

BYTES_PER_MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="FILE", help="trajectories, each a run")
    add("--store", required=True, type=Path, help="store to add to, *.zarr")
    add("--system", metavar="NAME", help="name of the system; its formula when absent")
    add("--join", action="store_true", help="the files are parts of one run, in order of time")
    add("--dt-fs", type=float, metavar="X", help="time between frames")
    add("--md-step-fs", type=float, metavar="X", help="time step of the MD, for LAMMPS dumps")
    add("--temperature-K", type=float, metavar="T", help="temperature of the runs")
    add("--pressure-GPa", type=float, metavar="P", help="target pressure of NpT runs")
    add("--species-map", metavar="LIST", help="elements of types: 1=Li,2=P,3=S or Li,P,S")
    add("--topology", type=Path, metavar="FILE", help="LAMMPS data or structure file of atoms")
    add("--cell", metavar="LIST", help="a,b,c[,alpha,beta,gamma] or nine numbers, if missing")
    add("--length-unit", metavar="UNIT", help="angstrom, nm, bohr or pm, if not as usual")
    add("--frames", metavar="A:B", help="frames A to B-1 of each run, counted from 0")
    add("--every", type=int, default=1, metavar="N", help="keep every N-th frame")
    add(
        "--precision-A",
        type=float,
        default=DEFAULT_PRECISION_A,
        metavar="X",
        help=f"round positions to this, 0 not at all; {DEFAULT_PRECISION_A:g} when absent",
    )
    wrapping = parser.add_mutually_exclusive_group()
    wrapping.add_argument(
        "--unwrapped",
        dest="is_unwrapped",
        action="store_true",
        default=None,
        help="positions are unwrapped, whatever the steps",
    )
    wrapping.add_argument(
        "--wrapped",
        dest="is_unwrapped",
        action="store_false",
        default=None,
        help="positions are wrapped, whatever the file says",
    )
    add("--json", type=Path, help="write what became of each run to this file")


def command(arguments: argparse.Namespace) -> int:
    """Import trajectories, print what became of each run; write JSON when asked."""
    from dasksse.intake import Selection, import_trajectories, parse_frames

    start, stop = parse_frames(arguments.frames) if arguments.frames else (0, None)
    selection = Selection(start, stop, arguments.every)
    hints = _hints(arguments)
    console = wide_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=36),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        transient=True,
    ) as bars:
        bar = bars.add_task("", note="")

        def show(reader: RunReader, paths: Sequence[Path]) -> None:
            bars.update(
                bar,
                description=escape(reader.sources[-1].path.name),
                completed=reader.bytes_read(),
                total=sum(path.stat().st_size for path in paths),
                note=f"{reader.n_frames} frames",
            )

        reports = import_trajectories(
            arguments.paths,
            arguments.store,
            hints=hints,
            selection=selection,
            system=arguments.system,
            join=arguments.join,
            precision_A=arguments.precision_A,
            on_progress=show,
        )
    _print(console, reports, arguments.store)
    if arguments.json is not None:
        runs: list[dict[str, Any]] = [asdict(report) for report in reports]
        write_json(arguments.json, {"store": str(arguments.store), "runs": runs})
    return 0


def _hints(arguments: argparse.Namespace) -> Hints:
    from dasksse.intake import Hints, parse_cell, parse_species_map

    return Hints(
        species=parse_species_map(arguments.species_map) if arguments.species_map else None,
        topology=arguments.topology,
        cell=parse_cell(arguments.cell) if arguments.cell else None,
        dt_fs=arguments.dt_fs,
        md_step_fs=arguments.md_step_fs,
        temperature_K=arguments.temperature_K,
        pressure_GPa=arguments.pressure_GPa,
        length_unit=arguments.length_unit,
        is_unwrapped=arguments.is_unwrapped,
    )


def _print(console: Console, reports: Sequence[RunReport], store: Path) -> None:
    console.print(_table(reports))
    for report in reports:
        name = escape(", ".join(report.files))
        if report.is_known:
            console.print(f"{name}: in the store already, nothing done")
            continue
        console.print(f"{name}: {escape(report.unwrapping)}")
        if report.scalars:
            console.print(f"{name}: with {', '.join(report.scalars)} of each frame")
        if report.is_npt:
            console.print(f"{name}: the cell varies (NpT); take the headline D from NVT runs")
        for text in report.notes:
            console.print(f"[yellow]note[/yellow]  {name}: {escape(text)}")
    done = [report for report in reports if not report.is_known]
    size_MB = sum(report.n_bytes for report in done) / BYTES_PER_MB
    seconds = sum(report.seconds for report in done)
    if seconds > 0.0:
        console.print(
            f"{len(done)} runs in {escape(str(store))}; {size_MB:.1f} MB in {seconds:.1f} s, "
            f"{size_MB / seconds:.0f} MB/s"
        )


def _table(reports: Sequence[RunReport]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("format")
    table.add_column("group")
    for title in ("run", "frames", "atoms", "interval (ps)", "T (K)", "ensemble"):
        table.add_column(title, justify="right")
    for report in reports:
        numbers = ["", "", "", "", ""]
        if not report.is_known:
            kelvin = report.temperature_K
            numbers = [
                str(report.n_frames),
                str(report.n_atoms),
                f"{report.frame_interval_ps:g}",
                "unknown" if kelvin is None else f"{kelvin:g}",
                "NpT" if report.is_npt else "NVT or NVE",
            ]
        name = escape(", ".join(report.files))
        table.add_row(name, report.format, report.group, str(report.run), *numbers)
    return table
