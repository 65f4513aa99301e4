"""Tables and lists of ``dasksse jumps``."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from dasksse.report.formats import (
    UNKNOWN,
    format_number,
    format_upper_bound,
    format_value_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from dasksse.analyse.jumps import JumpResult
    from dasksse.analyse.rates import Rate
    from dasksse.analyse.residence import Residence
    from dasksse.cli.stored_runs import RunSet

PER_NS = 1000.0
CROWDED = 0.5
"""Where chance gives most jumps company, concerted ones do not show."""
CSV_COLUMNS = (
    "group", "temperature_K", "run", "atom", "frame", "time_ps", "from", "to",
    "from_class", "to_class", "dx_A", "dy_A", "dz_A", "length_A", "wait_ps", "wait_complete",
)  # fmt: skip


def print_jumps(console: Console, one: RunSet, result: JumpResult) -> None:
    """Tables and sentences about the runs of one system at one temperature."""
    history = result.history
    runs = "1 run" if len(one.runs) == 1 else f"{len(one.runs)} runs"
    span_ps = float(history.frames_per_run.sum()) * history.frame_interval_ps
    console.print(
        f"{one.title}: {runs}, {span_ps:g} ps, frames every {history.frame_interval_ps:g} ps; "
        f"{len(history.sites)} sites of {history.sites.species} from {history.sites.source}, "
        f"radius {history.radius_A:.2f} Å; {len(history.leaves)} jumps",
        markup=False,
    )
    console.print(_class_table(result))
    console.print(_rate_table(result.rates, has_barrier=_has_barrier(result)))
    for line in _memory(result):
        console.print(line, markup=False)
    for note in history.sites.notes:
        console.print(f"note: {note}", markup=False)
    for warning in result.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")


def _class_table(result: JumpResult) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for title in ("sites", "ions per site", "time in core", "residence (ps)", "half left (ps)"):
        table.add_column(title, justify="right")
    occupation, sites = result.occupation, result.history.sites
    for kind, residence in enumerate(result.residence):
        core = occupation.core_share[kind]
        table.add_row(
            residence.site_class,
            str(sites.multiplicities[kind]),
            _pair(occupation.of_class[kind], occupation.of_class_err[kind]),
            UNKNOWN if np.isnan(core) else f"{100 * core:.0f} %",
            _residence(residence),
            format_number(residence.half_ps),
        )
    return table


def _rate_table(rates: Sequence[Rate], *, has_barrier: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("from")
    table.add_column("to")
    titles = ["jumps", "length (Å)", "rate (1/ns)", *(["barrier (eV)"] if has_barrier else [])]
    for title in titles:
        table.add_column(title, justify="right")
    for rate in rates:
        if rate.rate_per_ps is None:
            continue
        row = [rate.origin, rate.target, str(rate.n_jumps), format_number(rate.mean_length_A)]
        row.append(_rate(rate))
        if has_barrier:
            row.append(format_number(rate.barrier_eV))
        table.add_row(*row)
    return table


def _memory(result: JumpResult) -> list[str]:
    """Lines about directions, memory and company of jumps."""
    lines = []
    if result.along_c is not None:
        share = _pair(100 * result.along_c, 100 * (result.along_c_err or 0.0))
        lines.append(f"along c: {share} % of the squared jump lengths (33 % if isotropic)")
    if result.back_share is not None:
        share = _pair(100 * result.back_share, 100 * (result.back_share_err or 0.0))
        lines.append(f"jumps that the next one undoes: {share} %")
    if (memory := result.correlation) is not None:
        walk = format_value_error(memory.D_random_m2_s, memory.D_random_err_m2_s, "m²/s")
        factor = "not known, too few jumps of each ion"
        if memory.factor is not None:
            factor = (
                f"{_pair(memory.factor, memory.factor_err or 0.0)} from {memory.lag_ps:g} ps"
            )
        lines.append(f"correlation factor: {factor}; D without memory: {walk}")
    if (company := result.concerted) is not None:
        chance = _pair(100 * company.by_chance, 100 * company.by_chance_err)
        is_crowded = company.by_chance > CROWDED
        lines.append(
            f"jumps with another within {company.window_ps:g} ps and {company.distance_A:g} Å: "
            f"{100 * company.share:.1f} %, by chance {chance} %"
            + ("; give a shorter --window-ps to see more" if is_crowded else "")
        )
    return lines


def _has_barrier(result: JumpResult) -> bool:
    return any(rate.barrier_eV is not None for rate in result.rates)


def _pair(value: float, error: float) -> str:
    return format_value_error(float(value), float(error)) if error > 0 else format_number(value)


def _residence(residence: Residence) -> str:
    if residence.mean_ps is None:
        bound = residence.lower_bound_ps
        return UNKNOWN if bound is None else f"> {format_number(bound, digits=2)}"
    return format_value_error(residence.mean_ps, residence.err_ps)


def _rate(rate: Rate) -> str:
    if rate.upper_bound_per_ps is not None:
        return format_upper_bound(PER_NS * rate.upper_bound_per_ps)
    return format_value_error(
        PER_NS * (rate.rate_per_ps or 0.0), PER_NS * (rate.err_per_ps or 0.0)
    )


def write_csv(path: Path, results: Sequence[tuple[RunSet, JumpResult]]) -> None:
    """One line for each jump; atoms and frames are counted from 0 as in the store."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for one, result in results:
            history = result.history
            labels, classes = history.sites.labels, history.sites.classes
            kinds, is_first = history.sites.class_of, history.is_first
            for jump, leave in enumerate(history.leaves):
                ion, origin, target = history.ion[leave], *history.site[leave : leave + 2]
                run = history.run_of_ion[ion]
                frame = history.first_frames[run] + history.end[leave]
                wait = (history.end[leave] - history.entry[leave]) * history.frame_interval_ps
                writer.writerow(
                    [
                        one.group,
                        one.temperature_K,
                        one.runs[run].run,
                        history.atom_of_ion[ion],
                        frame,
                        f"{frame * history.frame_interval_ps:.6g}",
                        labels[origin],
                        labels[target],
                        classes[kinds[origin]],
                        classes[kinds[target]],
                        *(f"{part:.4f}" for part in history.jump_A[jump]),
                        f"{history.length_A[jump]:.4f}",
                        f"{wait:.6g}",
                        int(not is_first[leave]),
                    ]
                )
