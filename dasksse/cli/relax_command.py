"""``dasksse relax``: lattice parameters of relaxed crystals, by functional."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

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
from dasksse.config.messages import nearest
from dasksse.errors import ConfigError
from dasksse.label import OPTIMISERS
from dasksse.report.formats import UNKNOWN
from dasksse.store.folders import write_json
from dasksse.study import LatticeRow, Relaxation, RelaxRequest
from dasksse.study.picks import short_reason
from dasksse.study.relaxation import calculators, write_structures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from dasksse.config.load import LoadedConfig
    from dasksse.records import Json
    from dasksse.study.relaxation import Lattice

COLUMNS = ("a Å", "b Å", "c Å", "α °", "β °", "γ °", "V Å³", "E eV/atom")


def command(arguments: argparse.Namespace) -> int:
    """Relax, print the table, write the structures. 1 when a relaxation is not converged."""
    console = wide_console()
    loaded, engine = load_checked(arguments.config, arguments.cluster)
    study = Relaxation(_request(arguments, loaded))
    root = study_root(loaded, arguments.dir, Relaxation.name)
    work(console, study, loaded, engine, root, reproducible=loaded.config.reproducible)
    values = {"rows": [_to_json(row) for row in study.rows]}
    write_json(root / "lattice.json", values)
    if arguments.json is not None:
        write_json(arguments.json, values)
    for system in dict.fromkeys(row.system for row in study.rows):
        rows = [row for row in study.rows if row.system == system]
        console.print(_table(system, rows))
        for row in rows:
            _tell(console, row)
    for path in write_structures(study.rows, root / "relaxed", root):
        console.print(f"wrote {path}", highlight=False)
    tell_failed(console, root)
    return 0 if all(row.is_converged for row in study.rows) else 1


def _request(arguments: argparse.Namespace, loaded: LoadedConfig) -> RelaxRequest:
    """What is asked, checked before anything starts."""
    if arguments.optimiser not in OPTIMISERS:
        found = arguments.optimiser
        allowed = ", ".join(OPTIMISERS)
        msg = f"--optimiser: found {found!r}, allowed: {allowed}{nearest(found, OPTIMISERS)}"
        raise ConfigError(msg)
    check_positive(max_steps=arguments.max_steps, max_force_eV_A=arguments.max_force_eV_A)
    names = tuple(dict.fromkeys(name for name in arguments.functional.split(",") if name))
    calculators(loaded.config.label.calculator, names)
    return RelaxRequest(
        systems=check_systems(arguments.system, loaded),
        functionals=names,
        cell=arguments.cell,
        max_steps=arguments.max_steps,
        max_force_eV_A=arguments.max_force_eV_A,
        optimiser=arguments.optimiser,
    )


def _to_json(row: LatticeRow) -> dict[str, Json]:
    kept = ("source", "functional", "is_surrogate", "n_atoms", "largest_force_eV_A")
    return {
        "system": row.system,
        "method": row.method,
        "lattice": row.lattice and asdict(row.lattice),
        "structure_file": row.reference and asdict(row.reference),
        "deviations_percent": row.deviations_percent
        and dict(zip(("a", "b", "c", "volume"), row.deviations_percent, strict=True)),
        "energy_eV_atom": row.energy_eV_atom,
        "pressure_GPa": row.record.get("pressure_GPa"),
        "converged": row.is_converged,
        "n_configurations": sum(record["n_configurations"] for record in row.records),
        "reason": row.reason,
        **{name: row.record.get(name) for name in kept},
    }


def _table(system: str, rows: Sequence[LatticeRow]) -> Table:
    """As Table II of Huang et al. 2021, with deviations from the structure file below."""
    table = Table(title=f"Lattice of {system}", title_justify="left", box=None, pad_edge=False)
    table.add_column("method")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in rows:
        if row.lattice is None:
            table.add_row(row.method, *[UNKNOWN] * len(COLUMNS))
            continue
        table.add_row(row.method, *_cells(row.lattice), f"{row.energy_eV_atom:.5f}")
        *lengths, volume = (f"{part:+.2f} %" for part in row.deviations_percent or ())
        table.add_row("", *lengths, "", "", "", volume)
    reference = next((row.reference for row in rows if row.reference is not None), None)
    if reference is not None:
        table.add_row("structure file", *_cells(reference))
    return table


def _cells(lattice: Lattice) -> list[str]:
    lengths = [f"{length:.4f}" for length in lattice.lengths_A]
    angles = [f"{angle:.2f}" for angle in lattice.angles_deg]
    return [*lengths, *angles, f"{lattice.volume_A3:.2f}"]


def _tell(console: Console, row: LatticeRow) -> None:
    """What a number in the table must not be trusted without."""
    if row.reason:
        text = f"{row.method}: failed: {short_reason(row.reason)}"
    elif not row.is_converged:
        text = (
            f"{row.method}: not converged, largest force "
            f"{row.record['largest_force_eV_A']:.3g} eV/Å; allow more with --max-steps"
        )
    else:
        return
    console.print(f"[yellow]{text}[/yellow]", highlight=False)
