"""``dasksse converge``: how fine the settings of the calculator must be."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import yaml
from rich.table import Table

from dasksse.cli.consoles import wide_console
from dasksse.cli.study_session import (
    check_positive,
    check_systems,
    study_root,
    tell_failed,
    work,
)
from dasksse.cli.validate import load_checked
from dasksse.errors import AnalysisError, ConfigError
from dasksse.report.convergence import Errors
from dasksse.report.figures import save_figure
from dasksse.report.figures.convergence import convergence
from dasksse.report.formats import UNKNOWN
from dasksse.store.folders import write_atomically, write_json
from dasksse.study import Converge, set_value
from dasksse.study.ladders import parse_vary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from dasksse.config.load import LoadedConfig
    from dasksse.records import Json
    from dasksse.report.convergence import Convergence, Ladder, Rung

LEAST_FRAMES = 2
SETTINGS = ("label", "calculator", "settings")
FIGURES = ("convergence.png", "convergence.svg")
COLUMNS = ("E meV/atom", "ΔE meV/atom", "F meV/Å", "F largest", "stress GPa", "s a frame")


def command(arguments: argparse.Namespace) -> int:
    """Compute, print, draw; write the picks when asked. 1 when not all is converged."""
    console = wide_console()
    loaded, engine = load_checked(arguments.config, arguments.cluster)
    root = study_root(loaded, arguments.dir, Converge.name)
    study = _study(arguments, loaded, root)
    work(console, study, loaded, engine, root, reproducible=True)
    found = study.outcome
    if found is None:
        msg = "a finished plan without an outcome"
        raise RuntimeError(msg)
    values = to_json(found)
    write_json(root / "convergence.json", values)
    if arguments.json is not None:
        write_json(arguments.json, values)
    _print(console, found)
    _draw(console, found, root)
    _settle(console, found, loaded, is_written=arguments.write)
    tell_failed(console, root)
    return 0 if found.is_converged else 1


def _study(arguments: argparse.Namespace, loaded: LoadedConfig, root: Path) -> Converge:
    """The study, checked before anything starts."""
    if arguments.frames < LEAST_FRAMES:
        msg = (
            f"--frames: found {arguments.frames}, allowed: {LEAST_FRAMES} or more, as energy "
            "differences are those between frames"
        )
        raise ConfigError(msg)
    asked = {
        name: getattr(arguments, name)
        for name in ("force_error_meV_A", "energy_error_meV_atom", "stress_error_GPa")
    }
    check_positive(**asked)
    systems = check_systems([arguments.system] if arguments.system else [], loaded)
    study = Converge(
        root,
        system=systems[0],
        n_frames=arguments.frames,
        asked=Errors(
            asked["energy_error_meV_atom"],
            asked["force_error_meV_A"],
            asked["stress_error_GPa"],
        ),
        vary=parse_vary(arguments.vary),
    )
    study.check(loaded.config)
    return study


def to_json(found: Convergence) -> dict[str, Json]:
    """Everything that was found, as JSON values."""
    values = asdict(found)
    values["is_converged"] = found.is_converged
    for ladder, entry in zip(found.ladders, values["ladders"], strict=True):
        entry["picked"] = ladder.picked
    return values


def _print(console: Console, found: Convergence) -> None:
    console.print(
        f"{found.source}\n{found.n_frames} rattled copies of {found.system}, "
        f"{found.n_atoms} atoms; errors against the last value of each table, other settings "
        "as configured; times from scratch, no wavefunction is reused",
        highlight=False,
        markup=False,
    )
    for ladder in found.ladders:
        console.print()
        console.print(_table(ladder))
        console.print(_verdict(ladder), highlight=False, markup=False)
        for value, reason in ladder.left_out:
            console.print(f"{value} is left out: {reason}", highlight=False, markup=False)
    if found.confirmation is not None:
        console.print()
        table = _new_table("All picks together")
        _add(table, "picks", found.confirmation.rung, "")
        console.print(table)
        seconds = _short(found.confirmation.finest_seconds)
        console.print(
            f"against the finest value of each, {seconds} s a frame: "
            + ("; ".join(found.doubts) or "within what is asked"),
            highlight=False,
            markup=False,
        )


def _new_table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("value")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    table.add_column("")
    return table


def _table(ladder: Ladder) -> Table:
    table = _new_table(ladder.setting)
    for place, rung in enumerate(ladder.rungs):
        notes = ["configured"] if rung.value == ladder.configured else []
        notes += ["picked"] if place == ladder.pick else []
        _add(table, str(rung.value), rung, ", ".join(notes))
    return table


def _add(table: Table, name: str, rung: Rung, note: str) -> None:
    errors = rung.errors
    numbers: list[float | None] = [None] * (len(COLUMNS) - 1)
    if errors is not None:
        numbers = [
            errors.energy_meV_atom,
            errors.energy_difference_meV_atom,
            errors.force_meV_A,
            errors.force_largest_meV_A,
            errors.stress_GPa,
        ]
    if rung.reason:
        note = "failed"
    table.add_row(name, *(_short(number) for number in (*numbers, rung.seconds)), note)


def _short(number: float | None) -> str:
    return UNKNOWN if number is None else f"{number:.3g}"


def _verdict(ladder: Ladder) -> str:
    if ladder.pick is None:
        return f"{ladder.setting}: nothing picked; {ladder.why}"
    return f"{ladder.setting}: {ladder.picked} is enough; {ladder.why}"


def _draw(console: Console, found: Convergence, root: Path) -> None:
    try:
        figure = convergence(found=found)
    except AnalysisError as error:
        console.print(str(error), highlight=False)
        return
    for name in FIGURES:
        save_figure(figure, root / name)
    console.print(f"\nfigure: {root / FIGURES[0]}", highlight=False)


def _settle(
    console: Console, found: Convergence, loaded: LoadedConfig, *, is_written: bool
) -> None:
    """Write the picks into the config, print them to paste, or say why neither is done."""
    if found.doubts:
        console.print(
            f"nothing to write: {'; '.join(found.doubts)}; extend the ladders with --vary, or "
            "allow larger errors",
            highlight=False,
            markup=False,
        )
        return
    picks = found.confirmation.picks if found.confirmation is not None else {}
    if not is_written:
        console.print("\nto paste, or to write with --write:\n", highlight=False)
        console.print(_yaml(loaded, picks), highlight=False, markup=False)
        return
    text = loaded.path.read_text(encoding="utf-8")
    for name, value in picks.items():
        text = set_value(text, [*SETTINGS, *name.split(".")], value)
    write_atomically(loaded.path, text)
    written = ", ".join(f"{name} {value}" for name, value in picks.items())
    console.print(f"{loaded.path}: {written}", highlight=False, markup=False)


def _yaml(loaded: LoadedConfig, picks: Mapping[str, Json]) -> str:
    calculator = {"kind": loaded.config.label.calculator.kind, "settings": dict(picks)}
    return yaml.safe_dump({"label": {"calculator": calculator}}, sort_keys=False)
